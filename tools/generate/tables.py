"""Reference tables of the chapters."""
from pathlib import Path


def generate(schemas: Path) -> dict[str, str]:
    return {}
