"""Hubs that are wrong on purpose: the reference hub, with one attribute of it replaced."""
