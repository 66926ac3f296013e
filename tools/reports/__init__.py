"""Conformance reports of every reference implementation; `python -m tools.reports` writes them."""
