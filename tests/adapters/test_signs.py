"""A meter that shows export as positive is found out by its own counters."""

from __future__ import annotations

import pytest

from ores.adapters.signs import SignWatch
from ores.model import Energy


def watched(power_w: float, flow_w: float, hours: float = 1.0) -> bool:
    """What is said after some time in which this was shown, and that flowed."""
    watch, said = SignWatch(), False
    for second in range(0, int(hours * 3600), 10):
        wh = flow_w * second / 3600
        energy = Energy(energy_in_wh=1000.0 + max(wh, 0), energy_out_wh=2000.0 - min(wh, 0), counter_epoch=0)
        said = watch.look(power_w, energy, float(second))
    return said


@pytest.mark.parametrize("flow_w", [3000.0, -3000.0])
def test_power_against_its_counters_is_noticed(flow_w: float) -> None:
    assert watched(-flow_w, flow_w)


@pytest.mark.parametrize("flow_w", [3000.0, -3000.0])
def test_power_that_agrees_with_its_counters_is_left_alone(flow_w: float) -> None:
    assert not watched(flow_w, flow_w)


def test_nothing_is_said_before_enough_has_flowed() -> None:
    assert not watched(-300.0, 300.0, hours=0.1)


def test_counters_that_stand_still_say_nothing() -> None:
    assert not watched(-3000.0, 0.0)
