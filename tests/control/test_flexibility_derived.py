"""The table of chapter 5.3: which field comes from which points, and what stays unknown."""

from __future__ import annotations

import random
import re
from math import sqrt
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from tests.standard.test_both_validators_agree import generated
from tools import schemas

from ores.control.flexibility import commander, derive, watt_per_ampere
from ores.model import Description, Element, ElementFlexibility, State

SPEC = schemas.STANDARD / "spec"


def blocks(chapter: str, name: str) -> list[dict[str, Any]]:
    """The JSON blocks of a chapter that show this message."""
    text = (SPEC / chapter).read_text()
    return [
        schemas.read(found.encode()) for found in re.findall(rf"```json {name}\n(.*?)```", text, re.DOTALL)
    ]


def described(*elements: dict[str, Any]) -> Description:
    head = {
        **blocks("03-data-model.md", "Description")[0],
        "elements": [{"kind": "load", **one} for one in elements],
        "element_count": len(elements),
    }
    return msgspec.convert(head, Description)


def stated(**elements: Any) -> State:
    return msgspec.convert(
        {"boot_id": "00000001", "uptime_ms": 1, "control_source": "policy", "elements": elements}, State
    )


def derived(capabilities: dict[str, Any], points: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """What a single element comes to."""
    description = described({"id": "one", "capabilities": capabilities, **how})
    found = derive(description, stated() if points is None else stated(one=points))
    told: dict[str, Any] = msgspec.to_builtins(found.get("one", ElementFlexibility()))
    return told


BATTERY = {
    "setpoint": {"consume_max_w": 3000, "produce_max_w": 2500, "response_s": 1},
    "rating": {"consume_max_w": 2800, "produce_max_w": 2600},
    "storage": {"capacity_wh": 10000, "soc_min_pct": 5, "soc_max_pct": 95},
}
EV = {"current_min_a": 6, "current_max_a": 16, "step_a": 1}


def test_the_example_of_the_chapter_is_what_the_table_gives() -> None:
    [battery] = [one for one in blocks("03-data-model.md", "Description") if one["name"] == "Garage battery"]
    state = next(one["state"] for one in blocks("04-module-protocol.md", "FromModule") if "state" in one)
    found = derive(msgspec.convert(battery, Description), msgspec.convert(state, State))
    shown = blocks("05-flexibility.md", "ElementFlexibility")[0]
    assert msgspec.to_builtins(found) == {"battery": shown}


def test_a_store_is_counted_in_energy_by_what_it_holds_now() -> None:
    points = {"storage": {"soc_pct": 50, "capacity_wh": 8000, "reserve_pct": 20}}
    assert derived(BATTERY, points)["store"] == {
        "holds": "electricity",
        "capacity_wh": 8000,
        "energy_wh": 4000,
        "energy_min_wh": 400,
        "energy_max_wh": 7600,
        "energy_reserve_wh": 1600,
        "commanded_at": "one",
    }


@pytest.mark.parametrize("capacity", [{}, {"capacity_wh": None}])
def test_a_capacity_that_is_not_measured_is_the_declared_one(capacity: dict[str, Any]) -> None:
    assert derived(BATTERY, {"storage": {"soc_pct": 50, **capacity}})["store"]["energy_wh"] == 5000


def test_an_unknown_state_of_charge_is_no_energy_and_not_none_of_it() -> None:
    store = derived(BATTERY, {"storage": {"soc_pct": None, "reserve_pct": None}})["store"]
    assert store["energy_wh"] is None
    assert store["energy_reserve_wh"] is None


@pytest.mark.parametrize("quality", ["stale", "bad"])
def test_points_of_bad_quality_are_not_known(quality: str) -> None:
    points = {
        "storage": {"soc_pct": 50},
        "setpoint": {"consume_max_w": 1, "produce_max_w": 1},
        "quality": quality,
    }
    found = derived(BATTERY, points)
    assert found == derived(BATTERY, None)
    assert found["store"]["energy_wh"] is None
    assert "consume_now_w" not in found["power"]


def test_an_estimate_counts() -> None:
    found = derived(BATTERY, {"storage": {"soc_pct": 50}, "quality": "estimated"})
    assert found["store"]["energy_wh"] == 5000


def test_what_a_setpoint_may_ask_is_cut_to_the_rating_and_what_is_possible_now_is_apart() -> None:
    power = derived(BATTERY, {"setpoint": {"consume_max_w": 0, "produce_max_w": None}})["power"]
    assert power == {
        "by": "setpoint",
        "consume_max_w": 2800,
        "produce_max_w": 2500,
        "consume_now_w": 0,
        "produce_now_w": None,
        "response_s": 1,
    }


def test_a_direction_that_cannot_be_limited_is_absent() -> None:
    assert derived({"limit": {"produce": True}, "rating": {"consume_max_w": 50, "produce_max_w": 400}}) == {
        "power": {"by": "limit", "produce_max_w": 400}
    }


def test_a_charger_is_commanded_in_amperes_and_reckoned_in_watts() -> None:
    able = {"limit": {"current": True}, "rating": {"current_max_a": 32, "voltage_v": 230}, "ev": EV}
    found = derived(able, {"ev": {"connected": True, "energy_needed_wh": 9000, "departure_in_s": 60}},
                    connection="three_phase")  # fmt: skip
    assert found["power"] == {"by": "current", "consume_max_w": 11040, "consume_min_w": 4140, "step_w": 690}
    assert found["vehicle"] == {"connected": True, "energy_needed_wh": 9000, "departure_in_s": 60}


def test_a_charger_that_switches_phases_begins_on_one_conductor() -> None:
    able = {"limit": {"current": True}, "rating": {"current_max_a": 16, "voltage_v": 230},
            "ev": {**EV, "phase_switching": True}}  # fmt: skip
    assert derived(able, connection="three_phase")["power"]["consume_min_w"] == 1380


def test_without_a_voltage_there_are_no_watts() -> None:
    able = {"limit": {"current": True}, "rating": {"current_max_a": 16}, "ev": EV}
    assert derived(able, connection="three_phase")["power"] == {"by": "current"}


@pytest.mark.parametrize(
    ("connection", "terminals", "voltage_v", "expected"),
    [
        ("single_phase", ["L2"], 230, (230, 1)),
        (None, ["L1", "N"], 230, (230, 1)),
        ("split_phase", ["L1", "L2"], 120, (240, 2)),
        ("split_phase", ["L1", "L2"], 240, (240, 2)),
        ("three_phase", ["L1", "L2", "L3"], 230, (690, 3)),
        (None, ["L1", "L2", "L3", "N"], 400, (sqrt(3) * 400, 3)),
        ("dc", ["DC"], 400, None),
        (None, None, 230, None),
    ],
)
def test_what_an_ampere_makes(
    connection: str | None, terminals: list[str] | None, voltage_v: float, expected: object
) -> None:
    shape: dict[str, Any] = {
        "id": "one",
        "kind": "load",
        "capabilities": {"rating": {"voltage_v": voltage_v}},
    }
    shape |= {} if connection is None else {"connection": connection}
    shape |= {} if terminals is None else {"terminals": terminals}
    assert watt_per_ampere(msgspec.convert(shape, Element)) == expected


def test_a_vehicle_that_is_away_needs_nothing() -> None:
    able = {"ev": EV}
    gone = {"ev": {"connected": False, "energy_needed_wh": 5, "departure_in_s": 5}}
    assert derived(able, gone) == {"vehicle": {"connected": False}}
    assert derived(able, {}) == {"vehicle": {"connected": None}}


def test_a_store_behind_an_inverter_is_commanded_there() -> None:
    able = {"setpoint": BATTERY["setpoint"], "limit": {"produce": True}, "rating": {"produce_max_w": 3000}}
    inverter = {"id": "inverter", "capabilities": able}
    pack = {"id": "pack", "upstream": "inverter", "capabilities": {"storage": {"capacity_wh": 2000}}}
    string = {"id": "string", "upstream": "inverter", "capabilities": {"produce": {"peak_w": 900}}}
    found = derive(described(inverter, pack, string), stated(string={"produce": {"available_w": 120}}))
    assert msgspec.to_builtins(found["pack"]) == {
        "store": {"holds": "electricity", "capacity_wh": 2000, "energy_wh": None, "commanded_at": "inverter"}
    }
    assert msgspec.to_builtins(found["string"]) == {
        "production": {"available_w": 120, "peak_w": 900, "commanded_at": "inverter"}
    }


def test_a_circle_of_upstreams_ends() -> None:
    ring = [
        {"id": name, "upstream": to, "capabilities": {"storage": {"capacity_wh": 1}}}
        for name, to in ("ab", "ba")
    ]
    elements = {one.id: one for one in described(*ring).elements}
    assert commander(elements["a"], elements, "setpoint") is None


def test_a_job_without_a_course_is_even() -> None:
    found = derived({"job": {}}, {"job": {"phase": "waiting", "energy_wh": 1000, "duration_s": 7200}})
    assert found["job"]["profile"] == [{"duration_s": 7200, "power_w": 500}]


@pytest.mark.parametrize(
    "points", [{"energy_wh": None, "duration_s": 60}, {"energy_wh": 5, "duration_s": 0}, {}]
)
def test_a_job_of_unknown_size_has_no_course(points: dict[str, Any]) -> None:
    assert "profile" not in derived({"job": {}}, {"job": {"phase": "waiting", **points}})["job"]


def test_modes_are_the_declared_ones_and_say_no_more() -> None:
    able = {"mode": {"hold_s": 600, "modes": {"on": {"name": "On", "consume_min_w": 5}, "off": {}}}}
    assert derived(able, {"mode": {"mode": "on", "next_change_in_s": 60}})["modes"] == {
        "mode": "on",
        "modes": {"on": {"consume_min_w": 5}, "off": {}},
        "hold_s": 600,
        "next_change_in_s": 60,
    }


def test_a_switch_sheds_what_flows_through_it() -> None:
    able = {"switch": {"min_off_s": 60, "critical": False}}
    found = derived(able, {"switch": {"closed": True}, "ac_measure": {"power_w": 230}})
    assert found["shed"] == {"closed": True, "power_w": 230, "min_off_s": 60, "critical": False}
    assert derived(able, {"switch": {"closed": None}})["shed"]["power_w"] is None


def test_what_has_no_flexibility_is_not_there() -> None:
    meter = {"id": "meter", "capabilities": {"ac_measure": {}, "energy": {}, "rating": {"consume_max_w": 9}}}
    assert derive(described(meter), stated(meter={"ac_measure": {"power_w": 5}})) == {}


# ---- whatever a module declares and reports ----------------------------------------------------------------

NAMED_IN_PART = {
    "power": {"setpoint", "limit"}, "store": {"storage"}, "production": {"produce"}, "vehicle": {"ev"},
    "modes": {"mode"}, "thermal": {"thermal"}, "shed": {"switch"}, "job": {"job"},
}  # fmt: skip


def anything(name: str, rng: random.Random) -> Any:
    home = schemas.homes()[name]
    return generated(schemas.files()[home]["$defs"][name], home, rng)


@given(seed=st.integers(0, 2**32))
def test_whatever_is_declared_and_reported_the_derived_is_a_valid_message(seed: int) -> None:
    rng = random.Random(seed)
    element = {**anything("Element", rng), "id": "one"}
    description = described(element)
    found = derive(description, stated(one=anything("ElementState", rng))).get("one", ElementFlexibility())
    assert schemas.accepts("ElementFlexibility", msgspec.json.encode(found)), found
    for part, capabilities in NAMED_IN_PART.items():
        if getattr(found, part) is not UNSET:
            assert capabilities & element["capabilities"].keys(), part


@given(seed=st.integers(0, 2**32))
def test_without_a_state_nothing_of_now_is_known(seed: int) -> None:
    rng = random.Random(seed)
    description = described({**anything("Element", rng), "id": "one"})
    found = derive(description, stated()).get("one", ElementFlexibility())
    assert found.store is UNSET or found.store.energy_wh is None
    assert found.power is UNSET or found.power.consume_now_w is UNSET
    assert found.production is UNSET or found.production.available_w is None
    assert found.vehicle is UNSET or found.vehicle.connected is None
    assert found.modes is UNSET or found.modes.mode is None
    assert found.job is UNSET or found.job.phase is None


@given(seed=st.integers(0, 2**32))
def test_power_that_can_be_asked_for_lies_within_the_rating(seed: int) -> None:
    rng = random.Random(seed)
    element = {**anything("Element", rng), "id": "one"}
    found = derive(described(element), stated()).get("one", ElementFlexibility())
    rating = element["capabilities"].get("rating", {})
    if found.power is not UNSET:
        for field in ("consume_max_w", "produce_max_w"):
            asked = getattr(found.power, field)
            assert asked is UNSET or asked <= rating.get(field, float("inf"))
