"""Where load and weather come from: a generator that needs no files, or recorded homes."""
