"""The central control unit: discover, read, decide, act, remember, show."""
