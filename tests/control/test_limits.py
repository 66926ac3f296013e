import pytest
from msgspec import UNSET
from tests.control.control_homes import (
    BAT,
    EV,
    HEAT,
    METER,
    PANEL,
    PV,
    battery,
    battery_state,
    charger,
    charger_state,
    heat_pump,
    heat_state,
    meter,
    meter_state,
    once,
    panel,
    panel_state,
    pv,
    pv_state,
    setpoint_w,
    snap,
    wants,
)

from ores.control.memory import Memory
from ores.control.offers import PROGRAMME_EVENT, Offer


def current_a(decided, mid: str = EV) -> float:
    return decided.commands[mid]["evse"].limit.current_max_a


def again(home, seconds: int, memory: Memory | None = None, start_s: int = 0):
    """The same picture for a while, as if nothing changed."""
    decided = once(home, [], memory, float(start_s))
    for t in range(1, seconds):
        decided = once(home, [], decided.memory, float(start_s + t))
    return decided


def test_a_conductor_limits_the_charger_that_loads_it() -> None:
    lines = {"L1": 4600.0, "L2": 3680.0, "L3": 3680.0}
    home = [(meter(3, 25.0), meter_state(11960.0, lines)), (charger(), charger_state(11040.0, 16.0))]
    assert current_a(once(snap(home, wants(ev_mode="fast")))) == 16.0
    lines["L2"] = 6900.0
    home[0] = (meter(3, 25.0), meter_state(15180.0, lines))
    decided = once(snap(home, wants(ev_mode="fast")))
    assert current_a(decided) == 11.0
    assert decided.rulings[f"{EV}/evse"].limited_by == ("wiring",)


def test_below_six_amperes_charging_pauses() -> None:
    lines = {"L1": 7500.0, "L2": 3680.0, "L3": 3680.0}
    home = [(meter(3, 20.0), meter_state(14860.0, lines)), (charger(), charger_state(3680.0 * 3, 16.0))]
    assert current_a(once(snap(home, wants(ev_mode="fast")))) == 0.0


def test_a_charger_behind_a_circuit_keeps_to_the_circuit() -> None:
    home = [(meter(), meter_state(6000.0)), (panel(behind_b=True), panel_state(0.0, 3910.0, evse_w=3680.0))]
    # 1 A of something else on a circuit of 16 A.
    assert current_a(once(snap(home, wants(ev_mode="fast"))), PANEL) == 15.0
    named = wants(ev_mode="fast", circuit_max_a={f"{PANEL}/b": 10.0})
    assert current_a(once(snap(home, named)), PANEL) == 9.0


def test_an_unreadable_circuit_leaves_the_charger_its_least() -> None:
    states = panel_state(0.0, 3910.0, evse_w=3680.0)
    del states.elements["b"]
    home = [(meter(), meter_state(6000.0)), (panel(behind_b=True), states)]
    assert current_a(once(snap(home, wants(ev_mode="fast"))), PANEL) == 6.0


def test_a_stale_meter_leaves_the_charger_its_failsafe() -> None:
    home = [(meter(3, 25.0), meter_state(3000.0)), (charger(), charger_state(11040.0, 16.0))]
    decided = once(snap(home, wants(ev_mode="fast"), stale=frozenset({METER})))
    assert current_a(decided) == 6.0
    surplus = once(snap(home, wants(), stale=frozenset({METER})))
    assert current_a(surplus) == 0.0


def test_a_stale_meter_under_zero_export_stops_the_sun() -> None:
    home = [
        (meter(), meter_state(500.0)),
        (pv(), pv_state(-2000.0, 4000.0)),
        (battery(), battery_state(-500.0)),
    ]
    decided = once(snap(home, wants(export_max_w=0.0), stale=frozenset({METER})))
    assert decided.commands[PV]["pv0"].limit.produce_max_w == 0.0
    assert decided.commands[BAT]["battery"].limit.produce_max_w == 0.0
    assert setpoint_w(decided) == 0.0


def test_without_an_export_limit_the_sun_is_free_and_told_so() -> None:
    home = [(meter(), meter_state(-2000.0)), (pv(), pv_state(-2500.0, 2500.0))]
    decided = once(snap(home))
    assert decided.commands[PV]["pv0"].limit.produce_max_w == 6000.0


def test_a_battery_is_not_discharged_into_the_grid_beyond_the_limit() -> None:
    home = [(meter(), meter_state(800.0)), (battery(), battery_state(0.0))]
    wish = [
        Offer(
            subject=f"{BAT}/battery",
            rank=PROGRAMME_EVENT,
            source="utility",
            rule="event",
            reason="r",
            power_w=-4000.0,
        )
    ]
    decided = once(snap(home, wants(export_max_w=1000.0)), wish)
    assert setpoint_w(decided) == pytest.approx(-1800.0, abs=1.0)
    assert decided.rulings[f"{BAT}/battery"].limited_by == ("export limit",)


def test_the_reserve_is_kept_and_needs_a_little_more_before_it_gives_again() -> None:
    def home(soc_pct: float):
        return snap(
            [(meter(), meter_state(1500.0)), (battery(), battery_state(0.0, soc_pct))],
            wants(reserve_pct=30.0),
        )

    at_reserve = once(home(30.0))
    assert setpoint_w(at_reserve) == 0.0
    assert at_reserve.rulings[f"{BAT}/battery"].limited_by == ("backup reserve",)
    assert setpoint_w(once(home(30.5), [], at_reserve.memory)) == 0.0
    above = once(home(31.5), [], at_reserve.memory)
    assert setpoint_w(above) == -1500.0
    assert setpoint_w(once(home(30.5), [], above.memory, 110.0)) == -1500.0


def test_an_unknown_charge_is_not_discharged_below_a_reserve() -> None:
    home = [(meter(), meter_state(1500.0)), (battery(), battery_state(0.0, None))]
    assert setpoint_w(once(snap(home, wants(reserve_pct=30.0)))) == 0.0


def test_below_the_reserve_the_battery_comes_before_the_car() -> None:
    home = [
        (meter(), meter_state(-4000.0)),
        (battery(), battery_state(0.0, 10.0)),
        (charger(1), charger_state(0.0, 0.0)),
    ]
    poor = again(snap(home, wants(reserve_pct=30.0)), 40)
    assert (setpoint_w(poor), current_a(poor)) == (4000.0, 0.0)
    rich = again(snap(home), 40)
    assert current_a(rich) == 16.0


def test_a_circuit_that_is_not_critical_is_opened_last_and_closed_when_there_is_lasting_room() -> None:
    def home(grid_w: float, *, closed: bool = True):
        return snap(
            [
                (meter(), meter_state(grid_w)),
                (panel(), panel_state(2000.0, 1500.0 if closed else 0.0, b_closed=closed)),
            ],
            wants(import_max_w=3000.0),
        )

    decided = again(home(3600.0), 4)
    assert PANEL not in decided.commands
    decided = again(home(3600.0), 2, decided.memory, 4)
    assert decided.commands[PANEL]["b"].switch.closed is False
    assert "a" not in decided.commands[PANEL]
    # Room is there at once, but the circuit must rest and the room must last.
    decided = again(home(1000.0, closed=False), 118, decided.memory, 6)
    assert decided.commands[PANEL]["b"].switch.closed is False
    decided = again(home(1000.0, closed=False), 3, decided.memory, 124)
    assert decided.commands[PANEL]["b"].switch.closed is True
    decided = again(home(2500.0), 2, decided.memory, 127)
    assert PANEL not in decided.commands


def test_a_circuit_that_was_opened_is_not_forgotten_while_its_panel_is_silent() -> None:
    modules = [(meter(), meter_state(3600.0)), (panel(), panel_state(2000.0, 1500.0))]
    decided = again(snap(modules, wants(import_max_w=3000.0)), 6)
    silent = snap(modules, wants(import_max_w=3000.0), stale=frozenset({PANEL}))
    decided = again(silent, 5, decided.memory, 6)
    assert decided.commands == {}
    modules = [(meter(), meter_state(500.0)), (panel(), panel_state(500.0, 0.0, b_closed=False))]
    decided = again(snap(modules, wants(import_max_w=3000.0)), 140, decided.memory, 11)
    assert decided.commands[PANEL]["b"].switch.closed is True


def test_the_car_starts_only_after_half_a_minute_of_surplus_and_again_after_a_loss_of_memory() -> None:
    home = snap([(meter(), meter_state(-4000.0)), (charger(1), charger_state(0.0, 0.0))])
    early = again(home, 30)
    assert current_a(early) == 0.0
    assert "30 s of room" in early.rulings[f"{EV}/evse"].reason
    assert current_a(again(home, 2, early.memory, 30)) == 16.0
    assert current_a(again(home, 2, None, 30)) == 0.0


def test_heat_is_blocked_before_a_circuit_is_opened() -> None:
    home = [
        (meter(), meter_state(4000.0)),
        (panel(), panel_state(2000.0, 1500.0)),
        (heat_pump(), heat_state(2000.0)),
    ]
    decided = again(snap(home, wants(import_max_w=3000.0)), 6)
    assert decided.commands[HEAT]["heat"].mode.mode == "blocked"
    assert PANEL not in decided.commands


def test_heat_takes_lasting_surplus_and_keeps_it_for_its_hold() -> None:
    def home(grid_w: float, mode: str, power_w: float):
        return snap(
            [(meter(), meter_state(grid_w)), (heat_pump(), heat_state(power_w, mode))], wants(heat_boost=True)
        )

    decided = again(home(-2500.0, "normal", 0.0), 119)
    assert decided.commands[HEAT]["heat"].mode.mode == "normal"
    decided = again(home(-2500.0, "normal", 0.0), 3, decided.memory, 119)
    assert decided.commands[HEAT]["heat"].mode.mode == "boost"
    decided = again(home(2500.0, "boost", 1000.0), 299, decided.memory, 122)
    assert decided.commands[HEAT]["heat"].mode.mode == "boost"
    decided = again(home(2500.0, "boost", 1000.0), 20, decided.memory, 421)
    assert decided.commands[HEAT]["heat"].mode.mode == "normal"


def test_heat_is_left_alone_where_the_owner_says_nothing() -> None:
    decided = once(snap([(meter(), meter_state(-2500.0)), (heat_pump(), heat_state(0.0))]))
    assert decided.commands[HEAT]["heat"].mode is UNSET


@pytest.mark.parametrize("mode", ["off", "surplus", "fast"])
def test_a_charger_without_a_vehicle_is_ready_with_the_least(mode: str) -> None:
    home = [(meter(), meter_state(500.0)), (charger(), charger_state(0.0, 16.0, connected=False))]
    expected = {"off": 0.0, "surplus": 0.0, "fast": 6.0}[mode]
    assert current_a(once(snap(home, wants(ev_mode=mode)))) == expected


def test_a_decision_is_recorded_when_it_changes_and_not_each_second() -> None:
    home = snap([(meter(), meter_state(-2000.0)), (battery(), battery_state(0.0))])
    first = once(home)
    assert [d.element_id for d in first.decisions] == ["battery"]
    second = once(
        snap([(meter(), meter_state(-2050.0)), (battery(), battery_state(0.0))]), [], first.memory, 200.0
    )
    assert second.decisions == []
    assert (
        "2.0 kW" in second.rulings[f"{BAT}/battery"].reason
        or "2.1 kW" in second.rulings[f"{BAT}/battery"].reason
    )
    third = once(
        snap([(meter(), meter_state(1500.0)), (battery(), battery_state(0.0))]), [], second.memory, 300.0
    )
    assert len(third.decisions) == 1


def _oven_home(b_w: float, *, closed: bool = True, a_w: float = 500.0):
    named = wants(circuit_max_a={f"{PANEL}/a": 5.0, f"{PANEL}/b": 10.0})
    return snap([(meter(), meter_state(a_w + b_w)), (panel(), panel_state(a_w, b_w, b_closed=closed))], named)


def test_a_circuit_beyond_the_owners_limit_is_opened_after_an_inrush_could_have_passed() -> None:
    assert PANEL not in again(_oven_home(3000.0), 2).commands
    decided = again(_oven_home(3000.0), 3)
    assert decided.commands[PANEL]["b"].switch.closed is False
    assert "bears 10 A" in decided.rulings[f"{PANEL}/b"].reason
    assert PANEL not in again(_oven_home(2200.0), 60).commands


def test_a_critical_circuit_beyond_its_limit_stays_closed() -> None:
    assert PANEL not in again(_oven_home(0.0, a_w=3000.0), 60).commands


def test_a_circuit_that_nobody_can_read_stays_closed() -> None:
    home = _oven_home(3000.0)
    del home.modules[PANEL].state.elements["b"]
    assert PANEL not in again(home, 60).commands


def test_what_was_too_much_for_its_own_circuit_is_tried_again_after_hours() -> None:
    decided = again(_oven_home(3000.0), 3)
    opened = _oven_home(0.0, closed=False)
    decided = once(opened, [], decided.memory, 3600.0)
    assert decided.commands[PANEL]["b"].switch.closed is False
    decided = once(opened, [], decided.memory, 7300.0)
    decided = once(opened, [], decided.memory, 7370.0)
    assert decided.commands[PANEL]["b"].switch.closed is True
