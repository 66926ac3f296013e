"""The documentation as a site; `python -m tools.website` builds it."""
