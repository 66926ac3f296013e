"""The simulated home: steps per second of the full device set, beside the array operations it is made of.

One step is one second of every device of every home, weather and load included. The floor is a loop of as
many numpy additions, on arrays of one value per home, as a step has array operations. The peer, where it is
installed, is vessim with as many loads and arrays and two batteries, but constant signals and no losses,
conductors or heat. Aim: 40,000 home-steps per second at one home, 1,000,000 at 100.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable

import numpy as np

from ores.sim.physics import world
from ores.sim.physics.config import HouseConfig
from ores.sim.physics.house import House
from ores.sim.sources.household import Household

STEPS = 3600
ROUNDS = 7
OPERATIONS = 52
"""Array operations of a step with the grid, without its part of the ticks."""


def run() -> dict[str, object]:
    """All figures; every time is of this process on one core."""
    figures: dict[str, object] = {f"{homes}_homes": steps_of(homes) for homes in (1, 10, 100)}
    figures["1_home_on_an_island"] = steps_of(1, island=True)
    figures["1_home_minutes"] = steps_of(1, step_s=60.0, steps=1440)
    figures["vessim_home_steps_per_s"] = vessim_steps()
    return figures


def timed(work: Callable[[], None]) -> list[float]:
    """Wall time of each round, s."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def steps_of(
    homes: int, *, island: bool = False, step_s: float = 1.0, steps: int = STEPS
) -> dict[str, float]:
    """Full steps with changing set-points; µs per step (median and best round) and home-steps per second."""
    config = HouseConfig()
    house = House(config, Household(config, 1, homes), step_s)
    actions = house.actions()
    house.step(actions)
    if island:
        world.set_soc_pct(house, "hybrid_battery", 100.0)
        world.cut_grid(house)

    def go() -> None:
        step, wishes = house.step, actions.ac_battery_w
        for index in range(steps):
            wishes[:] = 3000.0 if index & 64 else -3000.0
            step(actions)

    def floor() -> None:
        add, a, b, c = np.add, np.zeros(homes), np.zeros(homes), np.zeros(homes)
        for _ in range(steps * OPERATIONS // 10):
            add(a, b, c)

    took, bare = timed(go), timed(floor)
    middle = statistics.median(took)
    return {
        "us_per_step": round(middle / steps * 1e6, 2),
        "us_per_step_best": round(min(took) / steps * 1e6, 2),
        "floor_us_per_step": round(statistics.median(bare) / steps * 1e7, 2),
        "home_steps_per_s": round(homes * steps / middle),
        "home_steps_per_s_best": round(homes * steps / min(took)),
    }


def vessim_steps() -> float | None:
    """Home-steps per second of vessim at one home; None where it is not installed."""
    if importlib.util.find_spec("vessim") is None:
        return None
    vessim = importlib.import_module("vessim")
    config = HouseConfig()
    loads = [
        vessim.Consumer(c.name, vessim.StaticSignal(150.0)) for c in (*config.circuits, config.unmetered)
    ]
    suns = [vessim.Producer(f"pv{i}", vessim.StaticSignal(900.0)) for i in range(len(config.arrays))]
    stores = [
        vessim.SimpleBattery(name, b.capacity_wh, b.start_soc_pct / 100.0, c_rate=b.charge_w / b.capacity_wh)
        for name, b in (("ac", config.ac_battery), ("hybrid", config.hybrid.battery))
    ]
    environment = vessim.Environment(sim_start="2025-06-21", step_size=1)
    environment.add_microgrid(actors=[*loads, *suns], dispatchables=stores)
    begin = time.perf_counter()
    environment.run(until=STEPS)
    return round(STEPS / (time.perf_counter() - begin))


if __name__ == "__main__":
    for name, figure in run().items():
        print(name, figure)
