"""The hub as seen by other software: each door is one file or a few, and closed unless it is asked for."""
