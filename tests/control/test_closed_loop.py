from math import pi, sin

import pytest
from tests.control.control_homes import BAT2, wants
from tests.control.toy_plant import Toy, ToyBattery, ToyCharger, ToyPv, changes


@pytest.mark.parametrize("dead_s", [1, 2, 3])
@pytest.mark.parametrize("late", [False, True])
def test_after_an_oven_the_grid_is_back_within_the_response_and_two_cycles(dead_s: int, late: bool) -> None:
    home = Toy(lambda t: 300.0 if t < 60 else 3300.0, batteries=[ToyBattery(dead_s=dead_s, late=late)])
    home.run(120)
    assert max(abs(w) for w in home.grid[50:60]) <= 10.0
    assert max(abs(w) for w in home.grid[60 + dead_s + 2 :]) <= 30.0


def test_a_battery_that_misreads_itself_still_brings_the_grid_to_its_target() -> None:
    home = Toy(lambda t: 3000.0, batteries=[ToyBattery(dead_s=2, misreads=0.97)])
    home.run(60)
    assert max(abs(w) for w in home.grid[30:]) <= 10.0


def test_a_step_moves_the_battery_once() -> None:
    each = ToyBattery(dead_s=2, late=True)
    home = Toy(lambda t: 300.0 if t < 60 else 3300.0, batteries=[each])
    home.run(120)
    assert changes(each.commands[55:]) == 1


@pytest.mark.parametrize("late", [False, True])
def test_a_cloud_is_followed_without_swinging(late: bool) -> None:
    def sun_w(t: int) -> float:
        return 4000.0 if t < 60 or t >= 120 else 1000.0

    home = Toy(lambda t: 500.0, batteries=[ToyBattery(dead_s=2, late=late)], sun=ToyPv(sun_w))
    home.run(200)
    for since in (10, 65, 125):
        assert max(abs(w) for w in home.grid[since : since + 50]) <= 30.0


def test_two_batteries_share_and_neither_works_against_the_other() -> None:
    pair = [ToyBattery(soc_pct=30.0), ToyBattery(BAT2, soc_pct=70.0, dead_s=3)]
    home = Toy(lambda t: 500.0 + 2000.0 * sin(t / 40.0 * pi), batteries=pair, sun=ToyPv(lambda t: 1500.0))
    home.run(400)
    for one, other in zip(pair[0].commands, pair[1].commands, strict=True):
        assert one * other >= 0.0
    assert sum(abs(w) for w in home.grid[50:]) / 350 < 600.0


def test_a_battery_that_fills_up_leaves_the_rest_to_the_next() -> None:
    pair = [ToyBattery(soc_pct=99.9), ToyBattery(BAT2, soc_pct=50.0)]
    home = Toy(lambda t: 0.0, batteries=pair, sun=ToyPv(lambda t: 4000.0))
    home.run(200)
    assert pair[0].power_w == 0.0
    assert abs(home.grid[-1]) <= 10.0


def test_zero_export_holds_the_sun_back_only_as_far_as_nobody_takes_it() -> None:
    each, sun = ToyBattery(soc_pct=50.0), ToyPv(lambda t: 4000.0)
    home = Toy(lambda t: 500.0, wants(export_max_w=0.0), batteries=[each], sun=sun)
    home.run(120)
    assert min(home.grid[5:]) >= 0.0
    assert sun.power_w == pytest.approx(-4000.0, abs=60.0)
    assert each.power_w == pytest.approx(3550.0, abs=70.0)


def test_zero_export_with_a_full_battery_follows_the_load() -> None:
    sun = ToyPv(lambda t: 4000.0)
    home = Toy(
        lambda t: 2000.0 if t < 60 else 500.0,
        wants(export_max_w=0.0),
        batteries=[ToyBattery(soc_pct=100.0)],
        sun=sun,
    )
    home.run(120)
    assert min(home.grid[5:60]) >= 0.0
    # A drop of load is seen one cycle later and obeyed another one later.
    assert min(home.grid[63:]) >= 0.0
    assert max(home.grid[63:]) <= 60.0


def test_curtailment_is_released_promptly_and_without_swinging() -> None:
    sun = ToyPv(lambda t: 4000.0, dead_s=2)
    home = Toy(lambda t: 500.0 if t < 60 else 3500.0, wants(export_max_w=0.0), sun=sun)
    home.run(160)
    assert max(home.grid[68:]) <= 60.0
    assert min(home.grid[5:]) >= 0.0
    assert changes(sun.limits[70:]) <= 2


def test_sun_battery_and_a_fast_car_do_not_swing_under_zero_export() -> None:
    def load_w(t: int) -> float:
        return 400.0 + 2600.0 * (t // 60 % 2) + 20.0 * sin(t * 2.1)

    each, sun = ToyBattery(soc_pct=50.0, dead_s=2), ToyPv(lambda t: 2500.0)
    home = Toy(
        load_w,
        wants(export_max_w=0.0, ev_mode="fast"),
        batteries=[each],
        sun=sun,
        car=ToyCharger(lines=1),
    )
    home.run(600)
    for since in range(60, 600, 60):
        assert max(abs(w) for w in home.grid[since + 10 : since + 60]) <= 130.0
        assert min(home.grid[since + 10 : since + 60]) >= 0.0
    assert changes(each.commands) <= 300
    assert changes(sun.limits) <= 150


def test_an_export_limit_is_used_to_its_guard() -> None:
    sun = ToyPv(lambda t: 5500.0)
    home = Toy(lambda t: 500.0, wants(export_max_w=3000.0), batteries=[ToyBattery(soc_pct=100.0)], sun=sun)
    home.run(60)
    assert min(home.grid[5:]) >= -3000.0
    assert home.grid[-1] <= -2940.0


def test_the_car_charges_from_surplus_in_whole_amperes() -> None:
    car = ToyCharger(lines=1)
    home = Toy(lambda t: 500.0, sun=ToyPv(lambda t: 4000.0), car=car)
    home.run(300)
    assert car.currents[-1] == 15.0
    assert -230.0 <= home.grid[-1] <= 0.0
    assert changes(car.currents) <= 3


def test_a_short_cloud_does_not_stop_the_car_and_a_long_one_does() -> None:
    def sun_w(t: int) -> float:
        return 200.0 if 200 <= t < 240 or t >= 400 else 4000.0

    car = ToyCharger(lines=1)
    home = Toy(lambda t: 200.0, sun=ToyPv(sun_w), car=car, batteries=[ToyBattery(soc_pct=100.0)])
    home.run(600)
    assert min(car.currents[205:300]) >= 6.0
    assert car.currents[-1] == 0.0


def test_noise_does_not_make_the_car_flap() -> None:
    car = ToyCharger(lines=1)
    home = Toy(lambda t: 500.0 + 150.0 * sin(t * 1.7), sun=ToyPv(lambda t: 3500.0), car=car)
    home.run(900)
    assert changes(car.currents[100:]) <= 20


def test_the_main_fuse_holds_while_the_car_charges_fast() -> None:
    car = ToyCharger(lines=3)
    home = Toy(lambda t: 4000.0 if t < 200 else 9000.0, wants(ev_mode="fast"), car=car, fuse_a=25.0)
    home.run(400)
    assert max(home.grid[50:200]) <= 25 * 690
    assert max(home.grid[206:]) <= 25 * 690
    assert home.grid[-1] >= 25 * 690 - 2 * 690
    assert changes(car.currents[210:]) <= 2


def test_a_battery_supports_an_import_limit() -> None:
    home = Toy(
        lambda t: 6000.0,
        wants(self_consumption=False, import_max_w=4000.0),
        batteries=[ToyBattery(soc_pct=80.0)],
    )
    home.run(60)
    assert max(home.grid[5:]) <= 4000.0
    assert min(home.grid[5:]) >= 3900.0


def test_a_car_that_just_fits_below_the_main_fuse_does_not_swing() -> None:
    def load_w(t: int) -> float:
        return 3.0 * 230.0 * (10.9 + 0.15 * sin(t * 1.3) + 0.1 * sin(t / 50.0))

    car = ToyCharger(lines=3)
    home = Toy(load_w, wants(ev_mode="fast"), car=car, fuse_a=20.0)
    home.run(900)
    assert car.currents[-1] >= 8.0
    assert changes(car.currents[40:]) <= 2


def test_batteries_use_the_room_below_the_fuse_that_a_paused_car_leaves() -> None:
    home = Toy(
        lambda t: 100.0,
        wants(grid_target_w=8000.0),
        batteries=[ToyBattery(soc_pct=10.0)],
        car=ToyCharger(lines=3),
        fuse_a=6.0,
    )
    home.run(60)
    assert home.grid[-1] >= 0.9 * 6.0 * 690.0
    assert max(home.grid) <= 6.0 * 690.0


def test_what_is_drawn_from_the_grid_on_purpose_is_no_surplus_for_the_car() -> None:
    car = ToyCharger(lines=1)
    home = Toy(lambda t: 100.0, wants(grid_target_w=5000.0), batteries=[ToyBattery(soc_pct=10.0)], car=car)
    home.run(90)
    assert max(car.currents) == 0.0
