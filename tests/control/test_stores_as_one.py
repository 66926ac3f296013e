"""All stores of a house as one, and one power dealt out among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.control.control_homes import (
    BAT,
    BAT2,
    HYBRID,
    battery,
    battery_state,
    hybrid,
    hybrid_state,
    meter,
    meter_state,
    snap,
    wants,
)

from ores.control.stores import USUAL_EFFICIENCY, Stores, dealt_w, stored_kwh, stores

ONE, TWO = (BAT, "battery"), (BAT2, "battery")


def house(soc_pct: float | None = 50.0, soc2_pct: float | None = 50.0, reserve_pct: float = 0.0):
    modules = [
        (meter(), meter_state(0.0)),
        (battery(), battery_state(0.0, soc_pct)),
        (battery(BAT2, 2500.0), battery_state(0.0, soc2_pct)),
    ]
    return snap(modules, wants(reserve_pct=reserve_pct))


def test_they_add_up_above_the_reserve() -> None:
    usual = USUAL_EFFICIENCY
    assert stores(house(reserve_pct=20.0)) == Stores(16.0, 7.5, 7.5, usual, usual)
    assert stored_kwh(house(reserve_pct=20.0)) == pytest.approx(6.0)


def test_what_is_below_the_reserve_counts_as_nothing() -> None:
    assert stored_kwh(house(10.0, 60.0, reserve_pct=20.0)) == pytest.approx(4.0)


def test_where_one_charge_is_unknown_so_is_the_sum() -> None:
    assert stored_kwh(house(None)) is None


def test_a_house_that_keeps_all_for_an_outage_or_only_watches_has_none() -> None:
    assert stores(house(reserve_pct=100.0)) is None
    watched = snap([(battery(), battery_state(0.0))], watched=frozenset({BAT}))
    assert stores(watched) is None


def test_a_power_is_dealt_by_what_each_can_do() -> None:
    assert dealt_w(house(), 3000.0) == pytest.approx({ONE: 2000.0, TWO: 1000.0})
    assert dealt_w(house(), 0.0) == {ONE: 0.0, TWO: 0.0}


def test_one_that_is_full_or_empty_leaves_its_part_to_the_other() -> None:
    assert dealt_w(house(100.0), 2000.0) == pytest.approx({ONE: 0.0, TWO: 2000.0})
    assert dealt_w(house(50.0, 20.0, reserve_pct=20.0), -2000.0) == pytest.approx({ONE: -2000.0, TWO: 0.0})


def test_a_whole_inverter_is_told_its_sun_as_well() -> None:
    modules = [(hybrid(at_inverter=True), hybrid_state(-2880.0, -3000.0, 0.0))]
    dealt = dealt_w(snap(modules), -1000.0)
    assert dealt == {(HYBRID, "inverter"): pytest.approx(-3880.0)}
    unknown = snap(modules, stale=frozenset({HYBRID}))
    assert dealt_w(unknown, -1000.0) is None


@given(power_w=st.floats(-7500, 7500), soc=st.floats(0, 100), soc2=st.floats(0, 100))
def test_what_is_dealt_is_what_was_asked(power_w: float, soc: float, soc2: float) -> None:
    dealt = dealt_w(house(soc, soc2), power_w)
    assert dealt is not None
    assert sum(dealt.values()) == pytest.approx(power_w, abs=1e-6)
