"""Chargers that speak OCPP: the hub is their central system."""
