"""Devices that are described in one file each: what stands where, what it means, how they are commanded."""
