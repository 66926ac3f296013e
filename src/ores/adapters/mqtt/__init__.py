"""Devices behind an MQTT broker."""
