"""Point 2: a recorded home, replayed: physics balances, limits hold while they bind, no sun is wasted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.sim import textbook
from tests.system.houses import (
    do,
    generated,
    history_hash,
    in_lock_step,
    in_one_process,
    needs_data,
    power_w,
    replayed,
    witness,
)

from ores.cli.demo.options import DemoOptions
from ores.hub.config import HubConfig
from ores.hub.run import open_hub
from ores.link import clock as clocks
from ores.link import memory
from ores.link.clock import Clock
from ores.link.endpoint import Endpoint, Peer, Session
from ores.sim.home import Home, in_memory
from ores.sim.ledger import GRACE_S
from ores.sim.physics.config import Gateway, HouseConfig, PvArray
from ores.sim.sources.replay import Replay
from ores.sim.world_api import Car, Soc, TurnOn

HOUR_S = 3600.0
NAMED_LOSSES = {
    "ac_battery": ("ac_battery_loss", "ac_battery_standby"),
    "hybrid_battery": ("hybrid_battery_loss",),
}
"""By store, in the order of the physics."""
pytestmark = needs_data


class Books:
    """What is summed by the test itself, step by step, beside the home's own ledger."""

    def __init__(self, home: Home) -> None:
        self.home = home
        config = home.plant.house.config
        names = [c.name for c in (*config.circuits, config.unmetered)]
        names += [f"micro{i + 1}" for i in range(config.gateway.count)]
        names += ["ac_battery", "heat_pump", "car", "inverter"]
        self._rows = [home.plant.rows(name) for name in names]
        self._grid = home.plant.rows("grid")
        self.steps = 0
        self.worst_imbalance = 0.0
        self.worst_storage_wh = 0.0
        self._stored_wh = [self._stored(row) for row in range(len(NAMED_LOSSES))]
        witness(home, self.see)

    def see(self) -> None:
        all_w = self.home.plant.power_w
        children_w = [sum(all_w[rows]) for rows in self._rows]  # all below the connection point, each once
        grid_w = sum(all_w[self._grid])
        size_w = abs(grid_w) + sum(map(abs, children_w))
        self.worst_imbalance = max(self.worst_imbalance, abs(sum(children_w) - grid_w) / max(1.0, size_w))
        for index, (name, losses) in enumerate(NAMED_LOSSES.items()):
            before_wh, self._stored_wh[index] = self._stored_wh[index], self._stored(index)
            lost_w = sum(power_w(self.home, loss) for loss in losses)
            gained_wh = (power_w(self.home, name) - lost_w) / HOUR_S
            error_wh = abs(self._stored_wh[index] - before_wh - gained_wh)
            self.worst_storage_wh = max(self.worst_storage_wh, error_wh)
        self.steps += 1

    def _stored(self, row: int) -> float:
        return float(self.home.plant.house.stores.energy_wh[row, 0])

    def balance(self) -> None:
        """The laws of physics, as the issue words them."""
        assert self.steps > 0
        assert self.worst_imbalance <= 1e-6
        assert self.worst_storage_wh <= 1e-9
        assert self.home.world.ledger.balance_error <= 1e-6


def fill(home: Home, soc_pct: float) -> None:
    for store in NAMED_LOSSES:
        do(home, Soc(store=store, soc_pct=soc_pct))


def held(home: Home, *names: str) -> None:
    """These limits bound for an hour each, and none of all was exceeded."""
    watches = home.world.ledger.watches
    exceeded = {name: (w.violations, w.beyond_s, w.worst) for name, w in watches.items() if w.violations}
    assert not exceeded
    for name in names:
        assert math.isfinite(watches[name].limit)
        assert watches[name].binding_s >= HOUR_S, f"{name} bound for {watches[name].binding_s:.0f} s"


def limited(hours: float, options: DemoOptions, soc_pct: float, *binding: str) -> None:
    async def story(clock: Clock, demo) -> None:
        fill(demo.home, soc_pct)
        books = Books(demo.home)
        await clock.sleep(hours * HOUR_S)
        books.balance()
        held(demo.home, *binding)
        assert demo.running.hub.cycle.missed == 0

    in_one_process(options, story)


BOTH_WAYS = ("export_max_w=300", "import_max_w=1400", "grid_target_w=2500", "reserve_pct=0")
"""The owner wants more from the grid than was agreed, and the sun gives more than may be sold."""


def test_export_and_import_limits_hold_while_they_bind() -> None:
    # Until two the full batteries leave 0.6 to 1.7 kW of sun; then the house wants 2.1 kW more than it gives.
    limited(2.3, replayed(start_hour=36.8, prefer=BOTH_WAYS), 100.0, "export", "import")


def test_the_main_fuse_holds_on_every_conductor_while_it_binds() -> None:
    # At night the batteries would charge with 8 kW; 6 A on each of three conductors are 4.1 kW.
    wants = ("main_fuse_a=6", "grid_target_w=8000", "reserve_pct=0", "ev_mode=off")
    limited(1.1, replayed(start_hour=25.0, prefer=wants), 10.0, "fuse_l1", "fuse_l2", "fuse_l3")


@pytest.mark.long
@pytest.mark.parametrize(
    ("circuit", "line"),
    [
        ("bathroom", 1),
        ("washer", 0),
        ("garage", 2),
    ],
)
def test_the_main_fuse_holds_on_the_fullest_conductor_while_the_car_would_take_more(
    circuit: str, line: int
) -> None:
    fuse_a, near_a = 20.0, 1.5

    async def story(clock: Clock, demo) -> None:
        home = demo.home
        do(home, Car(present=True))
        do(home, Soc(store="car", soc_pct=10.0))
        do(home, TurnOn(circuit=circuit, power_w=2300.0, duration_s=2 * HOUR_S))
        await clock.sleep(120.0)
        books, near = Books(home), []
        grid = home.plant.rows("grid").start + line
        witness(home, lambda: near.append(home.plant.power_w[grid] / 230.0 > fuse_a - near_a))
        await clock.sleep(1.05 * HOUR_S)
        books.balance()
        held(home)
        assert sum(near) >= HOUR_S, "within one of the charger's whole amperes and what is kept to spare"
        assert power_w(home, "car") < 0.8 * 11040.0, "it would take more"

    wants = (f"main_fuse_a={fuse_a}", "ev_mode=fast", "reserve_pct=100")
    in_one_process(generated(start_hour=1.0, prefer=wants), story)


@pytest.mark.long
def test_the_car_does_not_swing_under_the_main_fuse() -> None:
    async def story(clock: Clock, demo) -> None:
        home = demo.home
        do(home, Car(present=True))
        do(home, Soc(store="car", soc_pct=10.0))
        do(home, TurnOn(circuit="bathroom", power_w=2300.0, duration_s=2 * HOUR_S))
        await clock.sleep(120.0)
        seen: list[float] = []
        witness(home, lambda: seen.append(round(power_w(home, "car"))))
        await clock.sleep(HOUR_S)
        changes = sum(a != b for a, b in pairwise(seen))
        assert changes <= 10, f"{changes} changes in an hour in which the house hardly changes"

    wants = ("main_fuse_a=20", "ev_mode=fast", "reserve_pct=100")
    in_one_process(generated(start_hour=1.0, prefer=wants), story)


def test_a_circuit_beyond_its_limit_is_opened_and_stays_so_for_an_hour() -> None:
    async def story(clock: Clock, demo) -> None:
        home = demo.home
        await clock.sleep(60.0)
        books = Books(home)
        do(home, TurnOn(circuit="oven", power_w=3000.0, duration_s=2 * HOUR_S))
        await clock.sleep(1.0)
        assert power_w(home, "oven") / 230.0 > 13.0
        await clock.sleep(GRACE_S + 1.0)
        assert power_w(home, "oven") / 230.0 <= 10.0
        carried_wh = home.plant.house.energy_in_wh("oven")
        await clock.sleep(HOUR_S)
        assert home.plant.house.energy_in_wh("oven") == carried_wh, "closed again in vain"
        books.balance()
        held(home)

    in_one_process(generated(start_hour=1.0, prefer=('circuit_max_a={"panel/oven": 10}',)), story)


def test_the_batteries_use_what_a_car_leaves_of_the_fuse() -> None:
    wants = ("main_fuse_a=6", "grid_target_w=8000", "reserve_pct=0")

    async def story(clock: Clock, demo) -> None:
        fill(demo.home, 10.0)
        await clock.sleep(120.0)
        held(demo.home)
        assert power_w(demo.home, "grid") > 0.9 * 3 * 6 * 230.0

    in_one_process(replayed(start_hour=25.0, prefer=wants), story)


def test_no_sun_is_held_back_while_the_house_imports() -> None:
    async def story(clock: Clock, demo) -> None:
        home = demo.home
        fill(home, 100.0)
        await clock.sleep(120.0)
        before_wh = home.plant.net_energy("grid").in_wh
        await clock.sleep(600.0)
        imported_w = (home.plant.net_energy("grid").in_wh - before_wh) * 6.0
        assert imported_w <= 25.0, f"{imported_w:.0f} W although the sun gives more than the house uses"

    # 2.6 kW of sun, 2.1 kW of load, full batteries
    in_one_process(replayed(start_hour=37.0, prefer=("export_max_w=500", "reserve_pct=0")), story)


# ---- the textbook ----------------------------------------------------------------------------------------


def battery_only(config: HouseConfig) -> HouseConfig:
    """The recorded home with all its sun on the roof's inverters and one battery."""
    roof = PvArray(peak_w=6000.0, tilt_deg=30.0, azimuth_deg=180.0)
    dark = replace(roof, peak_w=0.0)
    hybrid = replace(config.hybrid, strings=(dark,), standby_w=0.0)
    return replace(config, gateway=Gateway(array=roof, rating_w=900.0), hybrid=hybrid)


def connector(module: Endpoint, clock: Clock):
    async def connect() -> Session:
        return memory.connect(module, Peer(id="hub", role="controller"), clock)

    return connect


def self_consumption_beside_the_book(
    start_hour: float, hours: float, soc_pct: float, data: Path
) -> tuple[float, float]:
    """The hub's part of the sun used at home, and the book's for the same load, sun and battery."""
    options = replayed(start_hour=start_hour, prefer=("reserve_pct=0",))
    config = battery_only(options.scene()[0])
    source = Replay(config, options.replay, ["h03"], gaps="fill")
    battery = config.ac_battery

    async def main(clock: Clock) -> tuple[list[tuple[float, float]], float]:
        home = Home(config, source, clock, only=["battery", "meter", "gateway"])
        do(home, Soc(store="ac_battery", soc_pct=soc_pct))
        series: list[tuple[float, float]] = []
        loads = [c.name for c in (*config.circuits, config.unmetered)]
        micros = [f"micro{i + 1}" for i in range(config.gateway.count)]
        witness(
            home,
            lambda: series.append(
                (sum(power_w(home, n) for n in loads), -sum(power_w(home, n) for n in micros))
            ),
        )
        sessions = {module_id: connector(module, clock) for module_id, module in in_memory(home).items()}
        hub = HubConfig(data=data, port=None, discover=False, preferences=options.preferences())
        async with open_hub(hub, clock, sessions=sessions):
            await clock.sleep(hours * HOUR_S)
        return series, home.plant.net_energy("grid").out_wh

    series, export_wh = clocks.run(main, start_utc=config.site.start)
    book = textbook.self_consume(
        series,
        step_s=1.0,
        capacity_wh=battery.capacity_wh,
        power_w=battery.discharge_w,
        efficiency=battery.efficiency,
        start_wh=battery.capacity_wh * soc_pct / 100.0,
        standby_w=battery.standby_w,
        taper=battery.taper,
    )
    assert book.grid_export > 200.0, "a run in which the book exports nothing proves nothing"
    return 1.0 - export_wh / book.pv, book.self_consumption


def test_the_hub_uses_the_sun_as_the_textbook_does(tmp_path: Path) -> None:
    # From noon to four of the second day: the battery fills, the rest is sold, then the house draws on it.
    hub, book = self_consumption_beside_the_book(36.5, 3.5, 96.0, tmp_path)
    assert book < 0.97
    assert hub >= 0.995 * book


class Yields(NamedTuple):
    """What a run made of the sun."""

    self_consumption: float
    self_sufficiency: float


def whole_home_beside_the_book(
    start_hour: float, hours: float, soc_pct: float
) -> tuple[Yields, textbook.Result]:
    """The same for the home as it is: the book pools both batteries, and sees the strings' sun at AC."""

    async def story(clock: Clock, demo) -> tuple[Yields, textbook.Result]:
        home, series = demo.home, []
        fill(home, soc_pct)
        config = home.plant.house.config
        pack, hybrid = config.ac_battery, config.hybrid
        loads = [c.name for c in (*config.circuits, config.unmetered)]
        micros = [f"micro{i + 1}" for i in range(config.gateway.count)]
        strings = [f"string{i + 1}" for i in range(len(hybrid.strings))]

        def see() -> None:
            sun_w = sum(power_w(home, n) for n in micros)
            sun_w += hybrid.efficiency * sum(power_w(home, n) for n in strings)
            series.append((sum(power_w(home, n) for n in loads), -sun_w))

        witness(home, see)
        await clock.sleep(hours * HOUR_S)
        capacity_wh = pack.capacity_wh + hybrid.battery.capacity_wh
        at_ac = hybrid.battery.efficiency * hybrid.efficiency
        book = textbook.self_consume(
            series,
            step_s=1.0,
            capacity_wh=capacity_wh,
            power_w=pack.discharge_w + hybrid.battery.discharge_w,
            efficiency=(pack.efficiency * pack.capacity_wh + at_ac * hybrid.battery.capacity_wh)
            / capacity_wh,
            start_wh=capacity_wh * soc_pct / 100.0,
            standby_w=pack.standby_w + hybrid.standby_w,
            taper=pack.taper,
        )
        assert book.grid_export > 200.0, "a run in which the book exports nothing proves nothing"
        grid = home.plant.net_energy("grid")
        return Yields(1.0 - grid.out_wh / book.pv, 1.0 - grid.in_wh / book.load), book

    return in_one_process(replayed(start_hour=start_hour, prefer=("reserve_pct=0",)), story)


def test_with_both_batteries_the_hub_uses_the_sun_as_the_textbook_does() -> None:
    hub, book = whole_home_beside_the_book(36.75, 2.0, 98.0)
    assert book.self_consumption < 0.97
    assert hub.self_consumption >= 0.995 * book.self_consumption


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_with_both_batteries_the_hub_uses_the_sun_as_the_textbook_does_for_seven_days() -> None:
    # From the end of April: the sun gives twice what the house uses, and fills even both. Over days the
    # book, which charges the hybrid's battery by way of AC, loses more than the strings beside that battery
    # do; what it wastes would count as used, so here the two are compared by what the house has to buy.
    hub, book = whole_home_beside_the_book(268 * 24.0, 7 * 24.0, 40.0)
    assert hub.self_sufficiency >= 0.995 * book.self_sufficiency


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_hub_uses_the_sun_as_the_textbook_does_for_seven_days(tmp_path: Path) -> None:
    hub, book = self_consumption_beside_the_book(0.0, 7 * 24.0, 40.0, tmp_path)
    assert hub >= 0.995 * book


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_seven_days_keep_every_limit_while_it_binds() -> None:
    limited(7 * 24.0, replayed(prefer=BOTH_WAYS), 100.0, "export", "import")


# ---- the same run again ----------------------------------------------------------------------------------


class Burners:
    """Processes that do nothing but take the machine's time."""

    def __enter__(self) -> None:
        burn = [sys.executable, "-c", "while True: pass"]
        self._all = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 2)]

    def __exit__(self, *_: object) -> None:
        for one in self._all:
            one.kill()
            one.wait()


def remembered_in_memory(directory: Path, seed: int, hours: float) -> str:
    async def story(clock: Clock, demo) -> str:
        await clock.sleep(600.0)
        do(demo.home, TurnOn(circuit="oven", power_w=3000.0))
        await clock.sleep(hours * HOUR_S - 600.0)
        return demo.running.hub.history.hash()

    return in_one_process(replayed(start_hour=36.0, seed=seed, data=directory), story)


def test_the_same_seed_gives_the_same_run_also_under_load(tmp_path: Path) -> None:
    first = remembered_in_memory(tmp_path / "a", 7, 0.3)
    with Burners():
        again = remembered_in_memory(tmp_path / "b", 7, 0.3)
    assert first == again
    assert remembered_in_memory(tmp_path / "c", 8, 0.3) != first, "another seed is another run"


def remembered_over_sockets(directory: Path, hours: float) -> tuple[str, float, int]:
    async def story(clock: Clock, demo) -> tuple[float, int]:
        fill(demo.home, 60.0)
        books = Books(demo.home)
        await clock.sleep(hours * HOUR_S / 2)
        do(demo.home, TurnOn(circuit="oven", power_w=3000.0))
        await clock.sleep(hours * HOUR_S / 2)
        books.balance()
        held(demo.home)
        summary = await demo.summary()
        return demo.home.world.ledger.summary()["energy_kwh"], summary["missed_cycles"]

    energy, missed = in_lock_step(replayed(start_hour=36.0, seed=7), directory, story)
    return history_hash(directory), energy, missed


def test_over_sockets_too_the_same_seed_gives_the_same_run_also_under_load(tmp_path: Path) -> None:
    first = remembered_over_sockets(tmp_path / "a", 0.05)
    with Burners():
        again = remembered_over_sockets(tmp_path / "b", 0.05)
    assert first == again
    assert first[-1] == 0, "missed cycles"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hours_over_sockets_balance_and_repeat(tmp_path: Path) -> None:
    assert remembered_over_sockets(tmp_path / "a", 2.0) == remembered_over_sockets(tmp_path / "b", 2.0)
