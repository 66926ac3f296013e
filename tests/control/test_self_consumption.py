from tests.control.control_homes import (
    BAT,
    BAT2,
    METER,
    battery,
    battery_state,
    meter,
    meter_state,
    once,
    setpoint_w,
    snap,
    wants,
)


def test_the_battery_gives_what_the_house_takes_from_the_grid() -> None:
    decided = once(snap([(meter(), meter_state(1500.0)), (battery(), battery_state(0.0))]))
    assert setpoint_w(decided) == -1500.0


def test_what_the_battery_already_does_is_not_counted_twice() -> None:
    decided = once(snap([(meter(), meter_state(100.0)), (battery(), battery_state(-1400.0))]))
    assert setpoint_w(decided) == -1500.0


def test_a_full_battery_leaves_the_rest_to_the_next() -> None:
    home = [
        (meter(), meter_state(-3000.0)),
        (battery(), battery_state(0.0, soc_pct=100.0)),
        (battery(BAT2), battery_state(0.0)),
    ]
    decided = once(snap(home))
    assert setpoint_w(decided) == 0.0
    assert setpoint_w(decided, BAT2) == 3000.0


def test_without_a_meter_the_battery_idles_and_says_why() -> None:
    decided = once(snap([(battery(), battery_state(500.0))]))
    assert setpoint_w(decided) == 0.0
    assert "no meter" in decided.rulings[f"{BAT}/battery"].reason


def test_a_stale_meter_is_not_zero_watts() -> None:
    home = [(meter(), meter_state(-3000.0)), (battery(), battery_state(2000.0))]
    decided = once(snap(home, stale=frozenset({METER})))
    assert setpoint_w(decided) == 0.0
    assert "does not report" in decided.rulings[f"{BAT}/battery"].reason


def test_a_stale_battery_gets_no_command() -> None:
    home = [(meter(), meter_state(-3000.0)), (battery(), battery_state(2000.0))]
    assert once(snap(home, stale=frozenset({BAT}))).commands == {}


def test_a_watched_battery_is_only_told_in_words() -> None:
    home = [(meter(), meter_state(-3000.0)), (battery(), battery_state(0.0))]
    decided = once(snap(home, watched=frozenset({BAT})))
    assert decided.commands == {}
    assert decided.rulings[f"{BAT}/battery"].watch_only
    assert decided.rulings[f"{BAT}/battery"].number == 3000.0


def test_without_self_consumption_the_battery_keeps_its_own_policy() -> None:
    home = [(meter(), meter_state(-3000.0)), (battery(), battery_state(0.0))]
    assert setpoint_w(once(snap(home, wants(self_consumption=False)))) is None


def test_the_reason_says_what_the_sun_gives() -> None:
    decided = once(snap([(meter(), meter_state(-2400.0)), (battery(), battery_state(0.0))]))
    assert decided.rulings[f"{BAT}/battery"].reason == (
        "charging 2.4 kW: the sun gives 2.4 kW more than the house uses"
    )
