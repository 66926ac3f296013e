"""The hub's door for people and apps: `/ores/v1`, the working group's draft paths, and the page."""
