"""Devices that describe themselves by SunSpec models in Modbus registers."""
