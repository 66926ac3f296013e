"""What a module tells stands in place of the derived, is never older than the state, and widens nothing."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standard.test_both_validators_agree import generated
from tools import schemas

from ores.control.told import later, taken
from ores.model import Capabilities, ElementFlexibility

PACK = {
    "rating": {"consume_max_w": 3000, "produce_max_w": 2500},
    "setpoint": {"consume_max_w": 3000, "produce_max_w": 2500, "response_s": 1},
    "storage": {"capacity_wh": 10000},
}


def flexibility(parts: dict[str, Any]) -> ElementFlexibility:
    return msgspec.convert(parts, ElementFlexibility)


def used(told: dict[str, Any], derived: dict[str, Any], able: dict[str, Any]) -> dict[str, Any]:
    can = msgspec.convert(able, Capabilities)
    found: dict[str, Any] = msgspec.to_builtins(taken(flexibility(told), flexibility(derived), can, can))
    return found


def store(**fields: Any) -> dict[str, Any]:
    return {"store": {"holds": "electricity", "capacity_wh": 10000, "energy_wh": 5000, **fields}}


def level(low_wh: float, high_wh: float, *points: tuple[float, float]) -> dict[str, Any]:
    curve = [{"power_w": power_w, "fill_w": fill_w} for power_w, fill_w in points]
    return {"energy_from_wh": low_wh, "energy_to_wh": high_wh, **({"points": curve} if curve else {})}


def test_what_is_told_stands_in_place_of_all_that_would_be_derived() -> None:
    derived = {**store(charge_efficiency_pct=95), "power": {"by": "setpoint", "consume_max_w": 3000}}
    assert used(store(), derived, PACK) == store()


def test_the_newest_state_is_newer_than_what_was_told() -> None:
    assert used(store(), store(energy_wh=4000), PACK)["store"]["energy_wh"] == 4000


def test_what_the_state_does_not_know_is_as_it_was_told() -> None:
    assert used(store(), store(energy_wh=None), PACK)["store"]["energy_wh"] == 5000


def test_power_that_is_told_does_not_exceed_what_the_description_allows() -> None:
    told = {"power": {"by": "setpoint", "consume_max_w": 9000, "produce_max_w": 2000, "consume_now_w": 9000}}
    derived = {"power": {"by": "setpoint", "consume_max_w": 3000, "produce_max_w": 2500, "consume_now_w": 0}}
    assert used(told, derived, PACK)["power"] == {
        "by": "setpoint", "consume_max_w": 3000, "produce_max_w": 2000, "consume_now_w": 0,
    }  # fmt: skip


def test_a_direction_that_the_description_does_not_allow_cannot_be_told() -> None:
    told = {"power": {"by": "limit", "consume_max_w": 50, "produce_max_w": 400}}
    derived = {"power": {"by": "limit", "produce_max_w": 400}}
    able = {"limit": {"produce": True}, "rating": {"produce_max_w": 400}}
    assert used(told, derived, able) == derived


def test_a_reserve_and_the_makers_bounds_are_only_narrowed() -> None:
    told = store(energy_reserve_wh=0, energy_min_wh=0, energy_max_wh=10000)
    derived = store(energy_reserve_wh=2000, energy_min_wh=500, energy_max_wh=9500)
    assert used(told, derived, PACK) == derived
    assert used(derived, told, PACK) == derived


def test_a_part_that_no_capability_stands_for_means_nothing() -> None:
    told = {"job": {"phase": "waiting"}, "modes": {"mode": "on", "modes": {"on": {}}}, **store()}
    assert used(told, {}, {"job": {}}) == {"job": {"phase": "waiting"}}


def test_a_vehicle_may_be_told_as_a_store_that_nothing_derives() -> None:
    able = {"ev": {"current_min_a": 6, "current_max_a": 16}}
    assert used(store(), {"vehicle": {"connected": True}}, able) == store()


def test_a_course_for_another_phase_is_over() -> None:
    told = {"job": {"phase": "waiting", "profile": [{"duration_s": 9, "power_w": 9}]}}
    derived = {"job": {"phase": "running", "energy_wh": 1, "duration_s": 60}}
    assert used(told, derived, {"job": {}}) == derived
    still = {"job": {"phase": "waiting", "latest_end_in_s": 5}}
    assert used(told, still, {"job": {}})["job"] == {**told["job"], "latest_end_in_s": 5}


def test_levels_are_cut_to_the_rating() -> None:
    told = store(levels=[level(0, 10000, (-5000, -5200), (0, 0), (6000, 5400))])
    assert used(told, store(), PACK)["store"]["levels"] == [
        level(0, 10000, (-2500, -2600), (0, 0), (3000, 2700))
    ]


@pytest.mark.parametrize(
    "levels",
    [
        [level(0, 4000), level(5000, 10000)],
        [level(4000, 10000), level(0, 4000)],
        [level(4000, 4000)],
        [level(0, 10000, (0, 0), (0, 0))],
        [level(0, 10000, (0, 0), (1000, 900), (2000, 800))],
        [level(0, 10000, (0, 0), (1000, 1100))],
    ],
    ids=["gap", "falls", "empty", "same power twice", "turns back", "makes energy"],
)
def test_levels_that_make_no_sense_are_left_out(levels: list[dict[str, Any]]) -> None:
    assert used(store(levels=levels), store(), PACK) == store()


def test_a_store_of_heat_may_take_more_heat_than_power() -> None:
    able = {"thermal": {}, "rating": {"consume_max_w": 3000}}
    told = store(holds="heat", levels=[level(0, 10000, (0, 0), (2000, 7000))])
    assert used(told, {}, able) == told


# ---- later ---------------------------------------------------------------------------------------------


def at(parts: dict[str, Any], by_s: float) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(later(flexibility(parts), by_s))
    return found


def test_what_was_in_a_minute_is_soon_and_never_before_now() -> None:
    job = {"phase": "waiting", "duration_s": 600, "earliest_start_in_s": 10, "latest_end_in_s": 900}
    assert at({"job": job}, 60) == {"job": {**job, "earliest_start_in_s": 0, "latest_end_in_s": 840}}
    assert (
        at({"vehicle": {"connected": True, "departure_in_s": None}}, 60)["vehicle"]["departure_in_s"] is None
    )
    assert (
        at({"modes": {"mode": "a", "modes": {"a": {}}, "next_change_in_s": 90}}, 60)["modes"][
            "next_change_in_s"
        ]
        == 30
    )


def test_slots_that_are_over_are_gone() -> None:
    slots = [
        {"duration_s": 60, "power_w": -1},
        {"duration_s": 60, "power_w": -2},
        {"duration_s": 60, "power_w": -3},
    ]
    left = at({"production": {"available_w": 1, "forecast": slots}}, 90)["production"]["forecast"]
    assert left == [{"duration_s": 30, "power_w": -2}, {"duration_s": 60, "power_w": -3}]


def test_the_course_of_a_job_begins_when_it_is_started() -> None:
    profile = [{"duration_s": 600, "power_w": 50}]
    waiting = {"phase": "waiting", "profile": profile}
    assert at({"job": waiting}, 60) == {"job": waiting}
    assert at({"job": {"phase": "running", "profile": profile}}, 60)["job"]["profile"][0]["duration_s"] == 540


def any_flexibility(seed: int) -> dict[str, Any]:
    home = schemas.homes()["ElementFlexibility"]
    found: dict[str, Any] = generated(
        schemas.files()[home]["$defs"]["ElementFlexibility"], home, random.Random(seed)
    )
    return found


@given(seed=st.integers(0, 2**32), first_s=st.floats(0, 1e5), then_s=st.floats(0, 1e5))
def test_later_is_always_a_valid_message(seed: int, first_s: float, then_s: float) -> None:
    found = later(later(flexibility(any_flexibility(seed)), first_s), then_s)
    assert schemas.accepts("ElementFlexibility", msgspec.json.encode(found))


@given(told=st.integers(0, 2**32), derived=st.integers(0, 2**32))
def test_whatever_is_told_bounds_are_never_wider_and_the_message_is_valid(told: int, derived: int) -> None:
    able = {**PACK, "produce": {}, "ev": {"current_min_a": 6, "current_max_a": 16}, "thermal": {}, "job": {},
            "switch": {}, "mode": {"modes": {"on": {}}}}  # fmt: skip
    mine = any_flexibility(derived)
    found = used(any_flexibility(told), mine, able)
    assert schemas.accepts("ElementFlexibility", msgspec.json.encode(found))
    if "power" in found:
        for field in ("consume_max_w", "produce_max_w"):
            assert found["power"].get(field, 0) <= mine["power"].get(field, 0)
    if "store" in found and "store" in mine and found["store"]["holds"] == mine["store"]["holds"]:
        for field in ("energy_min_wh", "energy_reserve_wh"):
            assert (found["store"].get(field) or 0) >= (mine["store"].get(field) or 0)
    for one in found.get("store", {}).get("levels", []):
        for point in one.get("points", []):
            assert -2500 <= point["power_w"] <= 3000
