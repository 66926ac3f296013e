"""A home as time goes on, beside the same home in a backtest's own loop."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ores import tariff
from ores.ems.inputs import Battery
from ores.ems.standing import SLOT_S, Standing

DAY = 96
START_S = 1_750_000_500 // SLOT_S * SLOT_S
BATTERY = Battery(capacity_kwh=10.0, soc_pct=0.0, charge_max_kw=3.0, discharge_max_kw=3.0)


def one(**more: object) -> tariff.Tariff:
    rates = [{"from": "16:00", "to": "21:00", "import": 0.5}, {"from": "21:00", "to": "16:00", "import": 0.2}]
    document = {"id": "a", "currency": "EUR", "time_zone": "Europe/Berlin", "rates": rates, "export": 0.1}
    return tariff.tariffs(json.loads(json.dumps({"tariffs": [document | more]})))["a"]


def past(days: int) -> tuple[np.ndarray, np.ndarray]:
    start_s = START_S + SLOT_S * np.arange(days * DAY)
    return start_s, 0.3 + 0.2 * np.sin(np.arange(days * DAY) / 15.0)


def test_told_at_once_or_slot_by_slot_it_knows_the_same() -> None:
    start_s, net = past(3)
    at_once, bit_by_bit = Standing(one(), BATTERY), Standing(one(), BATTERY)
    at_once.observe(start_s, net, net)
    for number in range(len(net)):
        part = slice(number, number + 1)
        bit_by_bit.observe(start_s[part], net[part], net[part])
    now_s = int(start_s[-1]) + SLOT_S
    for left, right in zip(at_once.slots(now_s, 2), bit_by_bit.slots(now_s, 2), strict=True):
        assert left.start_s == right.start_s
        assert np.array_equal(left.kept.after, right.kept.after)
        assert np.array_equal(left.kept.outcomes_kwh, right.kept.outcomes_kwh)


def test_what_is_told_twice_counts_once() -> None:
    start_s, net = past(2)
    twice, once = Standing(one(), BATTERY), Standing(one(), BATTERY)
    once.observe(start_s, net, net)
    twice.observe(start_s, net, net)
    twice.observe(start_s, 9.0 * net, net)
    now_s = int(start_s[-1]) + SLOT_S
    assert np.array_equal(once.slots(now_s, 1)[0].kept.after, twice.slots(now_s, 1)[0].kept.after)


def test_it_works_from_the_first_day_and_with_gaps() -> None:
    fresh = Standing(one(), BATTERY)
    assert np.isfinite(fresh.slots(START_S, 2)[1].kept.after).all()
    start_s, net = past(2)
    net[10:40] = np.nan
    fresh.observe(start_s, net, net)
    slot = fresh.slots(int(start_s[-1]) + SLOT_S, 1)[0]
    assert np.isfinite(slot.kept.after).all()
    assert np.isfinite(slot.kept.outcomes_kwh).all()


def test_it_goes_through_days_and_changes_of_the_clock() -> None:
    standing = Standing(one(), BATTERY)
    first_s = 1_761_350_400  # a day and a half before the clock of Berlin goes back
    for number in range(3 * DAY):
        at_s = np.array([first_s + number * SLOT_S])
        slots = standing.slots(int(at_s[0]), 2)
        assert [slot.start_s for slot in slots] == [at_s[0], at_s[0] + SLOT_S]
        standing.observe(at_s, np.array([0.3]), np.array([0.3]))


def test_a_clock_that_is_set_back_is_believed() -> None:
    standing = Standing(one(), BATTERY)
    standing.slots(START_S, 2)
    assert standing.slots(START_S - SLOT_S, 2)[0].start_s == START_S - SLOT_S
    fresh = Standing(one(), BATTERY).slots(START_S - SLOT_S, 2)[0]
    assert standing.slots(START_S - SLOT_S, 2)[0].kept.price == fresh.kept.price


def test_it_says_until_when_the_price_stays() -> None:
    noon_s = 1_750_154_400  # 12:00 in Berlin
    slot = Standing(one(), BATTERY).slots(noon_s, 1)[0]
    assert slot.same_until_s == noon_s + 4 * 3600
    flat = one(rates=[{"import": 0.3}])
    assert Standing(flat, BATTERY).slots(noon_s, 1)[0].same_until_s is None


def test_what_may_not_be_sold_earns_nothing() -> None:
    assert Standing(one(), BATTERY).slots(START_S, 1)[0].kept.price.export_per_kwh == pytest.approx(0.1)
    assert Standing(one(), BATTERY, sells=False).slots(START_S, 1)[0].kept.price.export_per_kwh == 0.0


def test_a_peak_of_the_month_that_has_been_reached_costs_no_more() -> None:
    standing = Standing(one(demand=[{"name": "power", "minutes": 15, "price": 10.0}]), BATTERY)
    start_s, net = past(3)
    standing.observe(start_s, net, net)
    now_s = int(start_s[-1]) + SLOT_S
    before = max(above for above, _ in standing.slots(now_s, 1)[0].kept.price.steps)
    standing.observe(np.array([now_s]), np.array([2.0]), np.array([2.0]))
    after = min(above for above, _ in standing.slots(now_s + SLOT_S, 1)[0].kept.price.steps)
    assert before < 8.0 <= after
