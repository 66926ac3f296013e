"""TypeScript types, by json-schema-to-typescript."""
from pathlib import Path


def generate(schemas: Path) -> dict[str, str]:
    return {}
