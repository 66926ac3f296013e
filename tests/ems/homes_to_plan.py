"""Homes for the tests of the planner: any that a person could have, and some that nobody would."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from ores.ems.inputs import Battery, Home
from ores.tariff.terms import PeakTerm, Terms, TierTerm

PRICES = st.floats(-1.0, 3.0).map(lambda price: round(price, 3))
POWERS = st.floats(0.0, 12.0).map(lambda power: round(power, 2))
LIMITS = st.one_of(st.just(math.inf), st.floats(0.0, 10.0).map(lambda power: round(power, 1)))
SHARES = st.floats(0.0, 100.0).map(lambda share: round(share, 1))


def terms(import_per_kwh: list[float], export_per_kwh: list[float], hours: float = 1.0) -> Terms:
    """Plain prices."""
    count = len(import_per_kwh)
    return Terms(np.full(count, hours), np.array(import_per_kwh), np.array(export_per_kwh))


def arrays(values: st.SearchStrategy[float], count: int) -> st.SearchStrategy[np.ndarray]:
    """One value for each interval."""
    return st.lists(values, min_size=count, max_size=count).map(np.array)


@st.composite
def batteries(draw: st.DrawFn, count: int) -> Battery:
    """Any battery, in any state."""
    low, high = sorted((draw(SHARES), draw(SHARES)))
    return Battery(
        capacity_kwh=draw(st.floats(0.5, 30.0).map(lambda kwh: round(kwh, 1))),
        soc_pct=draw(SHARES),
        charge_max_kw=draw(POWERS),
        discharge_max_kw=draw(arrays(POWERS, count)),
        charge_efficiency=draw(st.sampled_from([0.5, 0.9, 0.95, 1.0])),
        discharge_efficiency=draw(st.sampled_from([0.6, 0.95, 1.0])),
        soc_min_pct=low,
        soc_max_pct=high,
        reserve_pct=draw(arrays(SHARES, count)),
        wear_per_kwh=draw(st.sampled_from([0.0, 0.03])),
        end_value_per_kwh=draw(st.sampled_from([0.0, 0.2, -0.1])),
    )


@st.composite
def peaks(draw: st.DrawFn, count: int) -> PeakTerm:
    """A charge on some or all intervals, in blocks of one or more."""
    size, first = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    block = (np.arange(count) + first) // size
    block[draw(arrays(st.booleans(), count)) & draw(st.booleans())] = -1
    return PeakTerm(draw(st.sampled_from([0.0, 0.5, 12.0])), block, draw(POWERS))


@st.composite
def tiers(draw: st.DrawFn, count: int) -> TierTerm:
    """An amount beyond which energy costs more or less."""
    extra = draw(st.sampled_from([0.2, 0.05, -0.1]))
    return TierTerm(extra, draw(arrays(st.booleans(), count)), draw(POWERS))


@st.composite
def homes(draw: st.DrawFn, most: int = 12) -> Home:
    """Any home."""
    count = draw(st.integers(1, most))
    hours = draw(arrays(st.sampled_from([1 / 60, 0.25, 0.5, 1.0]), count))
    return Home(
        terms=Terms(
            hours,
            draw(arrays(PRICES, count)),
            draw(arrays(PRICES, count)),
            tuple(draw(st.lists(peaks(count), max_size=2))),
            tuple(draw(st.lists(tiers(count), max_size=1))),
        ),
        load_kw=draw(arrays(st.floats(-3.0, 12.0).map(lambda power: round(power, 2)), count)),
        pv_available_kw=draw(arrays(POWERS, count)),
        pv_curtailable=draw(st.booleans()),
        import_max_kw=draw(st.one_of(LIMITS, arrays(LIMITS, count))),
        export_max_kw=draw(LIMITS),
        batteries=tuple(draw(st.lists(batteries(count), max_size=2))),
    )
