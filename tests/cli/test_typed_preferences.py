"""Preferences as people type them."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from ores.cli.preferences import changed
from ores.link.errors import ConfigError
from ores.model import Preferences

USUAL = Preferences(self_consumption=True, ev_mode="surplus", reserve_pct=10.0)


def test_numbers_words_and_switches_are_taken_as_typed() -> None:
    wanted = changed(USUAL, ["reserve_pct=25", "ev_mode=off", "self_consumption=off", "heat_boost=on"])
    assert (wanted.reserve_pct, wanted.ev_mode, wanted.self_consumption, wanted.heat_boost) == (
        25.0,
        "off",
        False,
        True,
    )


def test_a_limit_is_set_and_removed() -> None:
    limited = changed(USUAL, ["export_max_w=0"])
    assert limited.export_max_w == 0.0
    assert changed(limited, ["export_max_w="]).export_max_w is UNSET


def test_a_circuit_has_its_own_limit() -> None:
    key = "a" * 26 + "/oven"
    assert changed(USUAL, [f'circuit_max_a={{"{key}": 10}}']).circuit_max_a == {key: 10.0}


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("reserve_pct=120", "reserve_pct"),
        ("reserve_pct=much", "reserve_pct"),
        ("export_max_w=-1", "export_max_w"),
        ("export_max_w=NaN", "export_max_w"),
        ("ev_mode=warp", "ev_mode"),
        ("reserve_pct", "NAME=VALUE"),
        ("moon=full", "NAME=VALUE"),
        ("ev_mode=", "preferences"),
    ],
)
def test_what_cannot_be_is_refused_by_name(typed: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        changed(USUAL, [typed])
