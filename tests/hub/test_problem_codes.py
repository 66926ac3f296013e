"""What the hub answers with is in the registry."""

from __future__ import annotations

from pathlib import Path

import yaml

from ores.hub.api.problems import TITLES


def test_every_code_of_the_hub_is_registered_with_its_status_and_title() -> None:
    path = Path(__file__).parents[2] / "standard/registry/errors.yaml"
    registry = {row["code"]: (row["status"], row["title"]) for row in yaml.safe_load(path.read_text())}
    assert {code: registry.get(code) for code in TITLES} == TITLES
