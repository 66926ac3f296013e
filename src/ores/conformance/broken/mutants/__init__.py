"""The mutations, a file for each file of checks."""
