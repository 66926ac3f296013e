"""Counters that wrap, fall, leap and begin anew: what is told onwards never falls within its epoch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ores.adapters.counters import SURE_AFTER, Counter, Kept

RANGE_WH = float(2**32)


class Told:
    """A counter that is read each second."""

    def __init__(self, *raw_wh: float | None, kept: Kept | None = None) -> None:
        self.counter = Counter(kept, range_wh=RANGE_WH, rating_w=10_000.0)
        self.now_s = 1000.0
        self.wh = [self.take(one) for one in raw_wh]

    def take(self, raw_wh: float | None, after_s: float = 1.0) -> float | None:
        self.now_s += after_s
        return self.counter.take(raw_wh, self.now_s, 0, int(self.now_s))

    @property
    def epoch(self) -> int:
        assert self.counter.kept is not None
        return self.counter.kept.epoch


def test_what_rises_is_told_as_it_is() -> None:
    assert Told(100.0, 101.0, 101.0, 105.0).wh == [100.0, 101.0, 101.0, 105.0]


def test_what_is_not_known_is_not_told_and_nothing_is_lost() -> None:
    assert Told(100.0, None, 105.0).wh == [100.0, None, 105.0]


def test_a_counter_at_its_end_goes_on() -> None:
    told = Told(RANGE_WH - 2, 3.0, 8.0)
    assert told.wh == [RANGE_WH - 2, RANGE_WH + 3, RANGE_WH + 8]
    assert told.epoch == 0


def test_one_reading_that_falls_is_not_passed_on() -> None:
    told = Told(5000.0, 12.0, 5001.0)
    assert told.wh == [5000.0, 5000.0, 5001.0]
    assert told.epoch == 0


def test_one_reading_that_leaps_is_not_passed_on() -> None:
    assert Told(5000.0, 500_000.0, 5001.0).wh == [5000.0, 5000.0, 5001.0]


def test_a_counter_that_has_begun_anew_gets_a_new_epoch() -> None:
    told = Told(5000.0, *[12.0, 12.0, 13.0])
    assert told.wh == [5000.0, 5000.0, 5000.0, 13.0]
    assert told.epoch != 0


def test_energy_across_a_gap_is_neither_lost_nor_doubled() -> None:
    told = Told(5000.0)
    assert told.take(5000.0 + 30_000.0, after_s=6 * 3600.0) == 35_000.0
    assert told.epoch == 0


def test_a_restart_of_the_adapter_goes_on_where_it_was() -> None:
    before = Told(RANGE_WH - 2, 3.0)
    after = Told(5.0, kept=before.counter.kept)
    assert after.wh == [RANGE_WH + 5]
    assert after.epoch == 0


@given(st.lists(st.none() | st.floats(0, 2 * RANGE_WH), max_size=60))
def test_whatever_is_read_nothing_falls_within_an_epoch(raw_wh: list[float | None]) -> None:
    told = Told()
    last: dict[int, float] = {}
    for one in raw_wh:
        wh = told.take(one)
        if wh is not None:
            assert wh >= last.get(told.epoch, 0.0)
            last[told.epoch] = wh


@given(st.lists(st.floats(0, 2.0), min_size=5, max_size=80), st.data())
def test_glitches_that_pass_change_nothing_of_the_sum(steps: list[float], data: st.DataObject) -> None:
    true_wh, told = 10_000.0, Told(10_000.0)
    for step in steps:
        for _ in range(data.draw(st.integers(0, SURE_AFTER - 1))):
            told.take(data.draw(st.sampled_from([0.0, 17.0, 9e8, 1234.0])))
        true_wh += step
        assert told.take(true_wh) == true_wh
    assert told.epoch == 0
