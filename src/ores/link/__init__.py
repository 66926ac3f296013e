"""What every process needs to talk: time, trust, and messages."""
