"""The command line: `ores …`."""
