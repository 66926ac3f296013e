"""Open Renewable Energy Systems: an open standard for home energy, and its reference implementation."""

__version__ = "0.1.0"
