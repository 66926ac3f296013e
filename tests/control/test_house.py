import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from tests.control.control_homes import (
    BAT,
    BAT2,
    EV,
    HYBRID,
    METER,
    PANEL,
    PV,
    battery,
    battery_state,
    charger,
    charger_state,
    describe,
    hybrid,
    hybrid_state,
    meter,
    meter_state,
    once,
    panel,
    panel_state,
    pv,
    pv_state,
    setpoint_w,
    snap,
    state,
    wants,
)

from ores.control.failsafe import failsafe_limits, import_max_w
from ores.control.flexibility import watt_per_ampere
from ores.control.flow import flow
from ores.control.topology import compile_topology
from ores.control.words import doing
from ores.model import Failsafe, Limits


def test_the_flow_closes_at_the_connection_point() -> None:
    home = [
        (meter(), meter_state(-1000.0)),
        (pv(), pv_state(-4000.0)),
        (battery(), battery_state(1500.0, 40.0)),
        (panel(), panel_state(300.0, 200.0)),
        (hybrid(), hybrid_state(-900.0, -2000.0, 1000.0)),
    ]
    now = flow(snap(home))
    assert None not in (now.grid_w, now.pv_w, now.battery_w, now.ev_w, now.heat_w, now.load_w)
    assert now.pv_w + now.battery_w == pytest.approx(-4000.0 + 1500.0 - 900.0)
    assert now.load_w == pytest.approx(2400.0)
    assert now.unmetered_w == pytest.approx(2400.0 - 500.0)
    assert now.soc_pct == pytest.approx((40.0 * 10 + 50.0 * 8) / 18)
    assert now.island is False


def test_what_is_stale_is_unknown_and_never_zero() -> None:
    home = [(meter(), meter_state(-1000.0)), (pv(), pv_state(-4000.0)), (battery(), battery_state(1500.0))]
    now = flow(snap(home, stale=frozenset({PV})))
    assert (now.grid_w, now.pv_w, now.battery_w, now.load_w) == (-1000.0, None, 1500.0, None)
    now = flow(snap(home, stale=frozenset({METER})))
    assert (now.grid_w, now.load_w, now.unmetered_w) == (None, None, None)


def test_a_charger_behind_a_metered_circuit_is_not_counted_twice() -> None:
    home = [(meter(), meter_state(6000.0)), (panel(behind_b=True), panel_state(300.0, 4000.0, evse_w=3680.0))]
    now = flow(snap(home))
    assert now.ev_w == 3680.0
    assert now.load_w == pytest.approx(6000.0 - 3680.0)
    assert now.unmetered_w == pytest.approx(6000.0 - 4300.0)


def test_a_charger_of_another_module_can_be_placed_behind_a_circuit() -> None:
    topology = compile_topology([panel(), charger()], {f"{EV}/evse": f"{PANEL}/b"})
    assert next(c for c in topology.circuits if c.place.element_id == "b").members == {f"{EV}/evse"}


def test_the_set_point_of_a_battery_behind_an_inverter_counts_at_ac() -> None:
    # Of 2000 W at DC 1900 W arrive; at 100 W of import it takes 2000 W at AC.
    home = [(meter(), meter_state(100.0)), (hybrid(), hybrid_state(-1900.0, 0.0, -2000.0))]
    assert setpoint_w(once(snap(home)), HYBRID) == -2000.0
    # 3000 W from the strings into the battery spare the conversion: they are worth 2880 W at AC.
    home = [(meter(), meter_state(0.0)), (hybrid(), hybrid_state(-960.0, -4000.0, 3000.0))]
    assert setpoint_w(once(snap(home)), HYBRID) == 2880.0
    assert flow(snap(home)).battery_w == pytest.approx(2880.0)


@pytest.mark.parametrize("at_inverter", [False, True])
def test_a_hybrid_keeps_the_grid_at_its_target_wherever_its_set_point_is(at_inverter: bool) -> None:
    home = [
        (meter(), meter_state(1200.0)),
        (hybrid(at_inverter=at_inverter), hybrid_state(-1000.0, -1000.0, 0.0)),
    ]
    decided = once(snap(home))
    # At the battery it is the battery's own power, at the inverter its AC power.
    element, expected = ("inverter", -2200.0) if at_inverter else ("battery", -1200.0)
    assert setpoint_w(decided, HYBRID, element) == expected


def test_at_the_reserve_an_inverter_still_gives_what_the_sun_gives() -> None:
    home = [(meter(), meter_state(1200.0)), (hybrid(at_inverter=True), hybrid_state(-1000.0, -1000.0, 0.0))]
    decided = once(snap(home, wants(reserve_pct=60.0)))
    assert setpoint_w(decided, HYBRID, "inverter") == -1000.0


def test_on_an_island_the_former_is_left_alone_and_the_car_waits() -> None:
    home = [
        (meter(), meter_state(0.0)),
        (hybrid(), hybrid_state(-800.0, 0.0, -850.0, island=True)),
        (charger(), charger_state(4000.0, 6.0)),
    ]
    decided = once(snap(home, wants(ev_mode="fast", reserve_pct=80.0, export_max_w=0.0)))
    assert setpoint_w(decided, HYBRID) is None
    assert decided.commands[EV]["evse"].limit.current_max_a == 0.0
    assert decided.rulings[f"{EV}/evse"].limited_by[0] == "island"
    # Zero export is an agreement with a grid that is not there, and so is the reserve for this very case.
    assert decided.commands[HYBRID]["inverter"].limit.produce_max_w == 8000.0
    assert flow(snap(home)).island is True


def test_on_an_island_circuits_are_opened_when_the_former_nears_its_end() -> None:
    def home(headroom_w: float, soc_pct: float):
        states = hybrid_state(-800.0, 0.0, -850.0, island=True, headroom_w=headroom_w, soc_pct=soc_pct)
        return snap([(meter(), None), (hybrid(), states), (panel(), panel_state(300.0, 200.0))])

    assert PANEL not in once(home(4000.0, 50.0)).commands
    for low in (home(300.0, 50.0), home(4000.0, 15.0)):
        assert once(low).commands[PANEL]["b"].switch.closed is False
        assert "a" not in once(low).commands[PANEL]


def test_a_charging_point_that_stores_and_names_no_vehicle_is_decided_on_like_a_battery() -> None:
    caps = {
        "ac_measure": {},
        "rating": {"consume_max_w": 3000, "produce_max_w": 3000},
        "limit": {"consume": True, "produce": True},
        "setpoint": {"consume_max_w": 3000, "produce_max_w": 3000, "response_s": 1.0},
        "storage": {"capacity_wh": 40000.0},
    }
    box = describe(EV, [{"id": "evse", "kind": "evse", "bus": "grid", "capabilities": caps}])
    now = state({"evse": {"ac_measure": {"power_w": 0.0}, "storage": {"soc_pct": 50.0}}})
    home = snap([(meter(), meter_state(1000.0)), (box, now)])
    assert once(home).commands[EV]["evse"].setpoint.power_w < -500.0


def test_zero_export_leaves_no_producer_a_watt_when_the_hub_dies() -> None:
    topology = compile_topology([meter(), battery(), pv(), hybrid()])
    limits = failsafe_limits(topology, wants(export_max_w=0.0))
    assert limits[PV].elements["pv0"].produce_max_w == 0.0
    assert limits[BAT].elements["battery"].produce_max_w == 0.0
    assert limits[HYBRID].elements["inverter"].produce_max_w == 0.0


@given(st.floats(0.0, 20000.0), st.floats(0.0, 20000.0), st.floats(6.0, 63.0))
def test_failsafe_limits_together_keep_what_was_agreed(
    export_w: float, import_w: float, fuse_a: float
) -> None:
    topology = compile_topology([meter(3), battery(), pv(), hybrid(), charger()])
    agreed = wants(export_max_w=export_w, import_max_w=import_w, main_fuse_a=fuse_a)
    produce = consume = current = 0.0
    for failsafe in failsafe_limits(topology, agreed).values():
        for limits in failsafe.elements.values():
            produce += 0.0 if limits.produce_max_w is UNSET else limits.produce_max_w
            consume += 0.0 if limits.consume_max_w is UNSET else limits.consume_max_w
            current += 0.0 if limits.current_max_a is UNSET else limits.current_max_a
    assert produce <= export_w
    assert consume + current * 690.0 <= import_w + 1e-6
    assert current <= fuse_a


limit_w = st.one_of(st.just(UNSET), st.floats(0.0, 12000.0))


@given(st.floats(0.0, 20000.0), limit_w, st.sampled_from([BAT, PV, HYBRID]))
def test_what_an_absent_module_may_still_export_is_taken_from_the_others(
    export_w: float, kept_w: float | UnsetType, absent: str
) -> None:
    topology = compile_topology([meter(3), battery(), pv(), hybrid(), charger()])
    element = {BAT: "battery", PV: "pv0", HYBRID: "inverter"}[absent]
    rating_w = topology.places[f"{absent}/{element}"].produce_max_w
    keeps = Failsafe(elements={element: Limits(produce_max_w=kept_w)})
    ordinary = failsafe_limits(topology, wants(export_max_w=export_w))
    limits = failsafe_limits(topology, wants(export_max_w=export_w), {absent: keeps})
    assert limits[absent] == ordinary[absent]  # its share, once it can be told
    assert all(_sum_of(limits, m, "produce_max_w") <= _sum_of(ordinary, m, "produce_max_w") for m in limits)
    others_w = sum(_sum_of(limits, m, "produce_max_w") for m in limits if m != absent)
    held_w = rating_w if kept_w is UNSET else min(kept_w, rating_w)
    assert others_w <= max(0.0, export_w - held_w) + 1e-6


@given(st.floats(0.0, 40000.0), limit_w)
def test_what_an_absent_battery_may_still_charge_is_taken_from_the_others(
    import_w: float, kept_w: float | UnsetType
) -> None:
    topology = compile_topology([meter(3), battery(), battery(BAT2), charger()])
    rating_w = topology.places[f"{BAT}/battery"].consume_max_w
    keeps = Failsafe(elements={"battery": Limits(consume_max_w=kept_w)})
    limits = failsafe_limits(topology, wants(import_max_w=import_w), {BAT: keeps})
    others_w = _sum_of(limits, BAT2, "consume_max_w") + 690.0 * _sum_of(limits, EV, "current_max_a")
    held_w = rating_w if kept_w is UNSET else min(kept_w, rating_w)
    assert others_w <= max(0.0, import_w * 0.5 - held_w) + 1e-6


def _sum_of(limits: dict[str, Failsafe], module_id: str, name: str) -> float:
    values = [getattr(of, name) for of in limits[module_id].elements.values()]
    return sum(value for value in values if value is not UNSET)


def test_an_absent_module_that_keeps_its_share_changes_nothing_for_the_others() -> None:
    topology = compile_topology([meter(3), battery(), pv(), hybrid(), charger()])
    agreed = wants(export_max_w=3333.0, import_max_w=9999.0)
    ordinary = failsafe_limits(topology, agreed)
    for absent in (BAT, PV, HYBRID, EV):
        assert failsafe_limits(topology, agreed, {absent: ordinary[absent]}) == ordinary


def test_without_agreed_limits_nothing_needs_a_failsafe() -> None:
    assert failsafe_limits(compile_topology([battery(), pv()]), wants()) == {}


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        (battery_state(2300.0, 61.0), "battery", "charging 2.3 kW at 61 %"),
        (battery_state(-400.0, 61.0), "battery", "discharging 400 W at 61 %"),
        (battery_state(None), "battery", "unknown"),
        (pv_state(-1500.0, 4000.0), "inverter", "producing 1.5 kW of 4.0 kW"),
        (charger_state(0.0, 0.0, connected=False), "evse", "no vehicle"),
        (charger_state(4140.0, 6.0), "evse", "charging 4.1 kW"),
        (meter_state(-300.0), "meter", "exporting 300 W"),
        (panel_state(0.0, 0.0, b_closed=False), "circuit", "off"),
    ],
)
def test_doing_says_it_in_words(state, kind: str, words: str) -> None:
    assert doing(list(state.elements.values())[-1], kind) == words


def test_an_element_that_is_unknown_is_doing_nothing_that_we_know() -> None:
    assert doing(None, "battery") == "unknown"


@pytest.mark.parametrize(
    ("connection", "terminals", "voltage_v", "watt_per_a"),
    [
        ("split_phase", ["L1", "L2"], 240, 240.0),
        ("split_phase", ["L1", "L2"], 120, 240.0),
        ("split_phase", ["L1", "L2"], None, 240.0),
        ("single_phase", ["L1"], 120, 120.0),
        ("single_phase", ["L2"], None, 230.0),
        ("three_phase", ["L1", "L2", "L3"], 230, 690.0),
        ("three_phase", ["L1", "L2", "L3"], 400, 400 * 3**0.5),
        ("three_phase", ["L1", "L2", "L3"], None, 690.0),
    ],
)
def test_an_ampere_makes_the_watts_that_chapter_5_says(
    connection: str, terminals: list[str], voltage_v: int | None, watt_per_a: float
) -> None:
    rating = {"current_max_a": 30} | ({} if voltage_v is None else {"voltage_v": voltage_v})
    caps = {"ac_measure": {}, "rating": rating, "switch": {}}
    dryer = describe(PANEL, [{"id": "dryer", "kind": "circuit", "bus": "grid", "terminals": terminals,
                              "connection": connection, "capabilities": caps}])  # fmt: skip
    place = compile_topology([dryer]).places[f"{PANEL}/dryer"]
    assert place.watt_per_a == pytest.approx(watt_per_a)
    derived = watt_per_ampere(dryer.elements[0])
    assert derived is None or derived[0] == pytest.approx(place.watt_per_a)


def test_a_main_fuse_of_two_hundred_amperes_is_48_kilowatts_in_a_split_phase_home() -> None:
    caps = {"ac_measure": {"connection_point": True}, "rating": {"current_max_a": 200}}
    mains = describe(METER, [{"id": "mains", "kind": "meter", "bus": "grid", "terminals": ["L1", "L2"],
                              "connection": "split_phase", "capabilities": caps}])  # fmt: skip
    assert import_max_w(compile_topology([mains]), wants()) == pytest.approx(48_000.0)
