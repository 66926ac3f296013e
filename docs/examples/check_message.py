"""Check a message against the standard: `python docs/examples/check_message.py Envelope my_envelope.json`."""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SCHEMAS = Path(__file__).resolve().parents[2] / "standard/schema/v1"


def wrong(name: str, message: object) -> list[str]:
    """What a message of this name breaks, field by field; empty where it is valid."""
    files = [json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")]
    registry = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in files)
    [home] = [one["$id"] for one in files if name in one["$defs"]]
    validator = Draft202012Validator({"$ref": f"{home}#/$defs/{name}"}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(message)]


if __name__ == "__main__":
    found = wrong(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
    print("\n".join(found) or "valid")
    sys.exit(bool(found))
