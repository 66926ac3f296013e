"""What an owner says of chargers: what is wrong in it is named by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ores.adapters.ocpp.settings import Charger, assembled
from ores.link.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["rated_a=200"], "chargers.rated_a"),
        (["phases=2"], "chargers.phases"),
        (["colour=red"], "chargers"),
        (["password=short"], "chargers.GARAGE.password"),
        (["conductor=L1"], "chargers.GARAGE.conductor"),
        (["rated_a=8", "min_a=10"], "chargers.GARAGE.min_a"),
        (["nothing"], "--set"),
    ],
)
def test_what_is_wrong_in_the_words_is_named(words: list[str], why: str) -> None:
    with pytest.raises(ConfigError) as said:
        assembled(None, ["GARAGE"], words)
    assert said.value.detail.startswith(f"{why}: found")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tags: some", "tags"),
        ("tags: [[1]]", "tags[0]"),
        ("chargers: 5", "chargers"),
        ("chargers: {'a/b': {}}", "chargers"),
        ("chargers: {GARAGE: {rated_a: much}}", "chargers.rated_a"),
        ("chargers: {GARAGE: 5}", "chargers"),
        ("tls: {key: a.pem}", "tls"),
        ("- one", "--map it.yaml"),
        ("{", "--map it.yaml"),
        ("tags: all", "chargers"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as said:
        assembled(file, [], [])
    assert said.value.detail.startswith(f"{why}: found"), said.value.detail


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--map"):
        assembled(tmp_path / "it.yaml", ["GARAGE"], [])


def test_words_hold_for_the_chargers_that_the_command_names(tmp_path: Path) -> None:
    file = tmp_path / "it.yaml"
    file.write_text("tags: [A1]\nchargers:\n  GARAGE: {name: Garage, rated_a: 10}\n  YARD:\n    phases: 1\n")
    all_ = assembled(file, ["GARAGE"], ["rated_a=12", "tags=all"])
    assert all_.chargers == {
        "GARAGE": Charger(name="Garage", rated_a=12.0),
        "YARD": Charger(phases=1),
    }
    assert all_.accepts("whoever")


def test_cards_are_the_same_in_capitals_and_small_letters() -> None:
    all_ = assembled(None, ["GARAGE"], ["tags=04aF,77"])
    assert (all_.accepts("04AF"), all_.accepts("77"), all_.accepts("78")) == (True, True, False)
