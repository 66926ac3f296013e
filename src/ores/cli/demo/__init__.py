"""`ores demo`: a simulated home, a hub, and its page."""
