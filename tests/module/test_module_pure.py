"""Ramps, responses and counters: arithmetic that physics can check."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.module.counters import EnergyCounters
from ores.module.response import ramped_w, settled_w

POWER_W = st.floats(-1e5, 1e5)


@given(POWER_W, POWER_W, st.floats(0, 100), st.floats(0.1, 1e5))
def test_a_ramp_never_overshoots_and_never_hurries(power_w, target_w, dt_s, ramp_w_per_s):
    after_w = ramped_w(power_w, target_w, dt_s, ramp_w_per_s)
    assert min(power_w, target_w) <= after_w <= max(power_w, target_w)
    assert abs(after_w - power_w) <= ramp_w_per_s * dt_s + 1e-6


def test_a_response_makes_ninety_percent_in_its_time():
    assert settled_w(0.0, 1000.0, 2.0, 2.0) == pytest.approx(900.0)
    assert settled_w(0.0, 1000.0, 0.0, 2.0) == 0.0
    assert settled_w(0.0, 1000.0, 0.001, 0.0) == 1000.0


@given(POWER_W, POWER_W, st.floats(0, 10), st.floats(0, 10), st.floats(0.01, 10))
def test_a_response_does_not_depend_on_how_time_is_cut(power_w, target_w, one_s, two_s, response_s):
    at_once = settled_w(power_w, target_w, one_s + two_s, response_s)
    in_two = settled_w(settled_w(power_w, target_w, one_s, response_s), target_w, two_s, response_s)
    assert in_two == pytest.approx(at_once, abs=1e-6)


@given(st.lists(st.tuples(st.none() | POWER_W, st.floats(0, 100)), min_size=1, max_size=30))
def test_counters_never_go_back_and_their_difference_is_the_area(readings):
    counters = EnergyCounters(["a"], {}, 3)
    now_s, area_wh, before_w, energy = 0.0, 0.0, None, None
    for power_w, dt_s in readings:
        now_s += dt_s
        found = counters.count("a", power_w, now_s)
        if energy is not None:
            assert found.energy_in_wh >= energy.energy_in_wh
            assert found.energy_out_wh >= energy.energy_out_wh
        if before_w is not None and power_w is not None:
            area_wh += (before_w + power_w) / 2 * dt_s / 3600
        before_w, energy = power_w, found
    assert energy.energy_in_wh - energy.energy_out_wh == pytest.approx(area_wh, abs=1e-3)
    assert energy.counter_epoch == 3


def test_a_power_that_crosses_zero_is_counted_on_both_sides():
    counters = EnergyCounters(["a"], {"a": (10.0, 20.0)}, 0)
    counters.count("a", 3600.0, 0.0)
    energy = counters.count("a", -1200.0, 4.0)  # 3 s above zero, 1 s below
    assert (energy.energy_in_wh, energy.energy_out_wh) == pytest.approx((11.5, 20.0 + 1200 * 1 / 2 / 3600))
