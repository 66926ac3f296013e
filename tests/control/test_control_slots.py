"""A battery that knows only modes gets the one that fits what may come."""

from __future__ import annotations

import numpy as np
import pytest

from ores.control.slots import MODES, mode_of
from ores.ems.inputs import Battery
from ores.ems.worth import Price

BATTERY = Battery(capacity_kwh=10.0, soc_pct=50.0, charge_max_kw=4.0, discharge_max_kw=3.0)
LEVELS = np.linspace(0.0, 10.0, 41)
SUN_OR_NEED = np.array([-2.0, 2.0])


def mode(outcomes_kw: np.ndarray, buy: float, sell: float, per_kwh: float) -> str:
    values = np.tile(LEVELS * per_kwh, (len(outcomes_kw), 1))
    likely = np.full(len(outcomes_kw), 1.0 / len(outcomes_kw))
    return mode_of(outcomes_kw, likely, 1.0, Price(buy, sell), BATTERY, levels_kwh=LEVELS, values=values).name


@pytest.mark.parametrize(
    ("buy", "sell", "per_kwh", "name"),
    [
        (0.5, 0.05, 0.3, "self-consumption"),
        (0.31, 0.05, 0.3, "store surplus"),
        (0.5, 0.29, 0.3, "cover need"),
        (0.31, 0.29, 0.3, "hold"),
        (0.1, 0.05, 0.3, "charge"),
        (0.6, 0.5, 0.3, "discharge"),
    ],
)
def test_each_mode_has_its_prices(buy: float, sell: float, per_kwh: float, name: str) -> None:
    assert mode(SUN_OR_NEED, buy, sell, per_kwh) == name


def test_the_chances_decide() -> None:
    """Where a need is all but certain, a mode that only covers it is as good as self-consumption."""
    assert mode(np.array([2.0, 2.0]), 0.5, 0.05, 0.3) in {"self-consumption", "cover need"}


def test_no_mode_asks_for_more_than_the_battery_can() -> None:
    net = np.linspace(-20.0, 20.0, 9)
    for one in MODES:
        power = one.power_kw(net, BATTERY)
        assert (power <= 4.0).all()
        assert (power >= -3.0).all()
