"""The module SDK: turn a thing into an ORES module."""
