"""Forecast and plan: numbers in, numbers out. Pure: no clock, no disk, no network."""
