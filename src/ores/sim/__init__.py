"""The physical world of a home, and devices in it that speak the real protocol."""
