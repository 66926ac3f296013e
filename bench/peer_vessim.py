"""Vessim at one home, run by an interpreter that has it: `peer_vessim STEPS LOADS SUNS STORES(json)`.

As many loads, arrays and batteries as the house of `ores.sim`; but its signals are constant, and it knows no
losses, conductors or heat.
"""

import json
import sys
import time

import vessim  # type: ignore[import-not-found]  # lives in an environment of its own


def main() -> None:
    """Print home-steps per second, the best of three."""
    steps, loads, suns = (int(number) for number in sys.argv[1:4])
    best_s = min(timed_s(steps, loads, suns, json.loads(sys.argv[4])) for _ in range(3))
    print(json.dumps(round(steps / best_s)))


def timed_s(steps: int, loads: int, suns: int, stores: list[list[float]]) -> float:
    """Wall time of so many steps of 1 s."""
    actors = [vessim.Consumer(f"load{i}", vessim.StaticSignal(150.0)) for i in range(loads)]
    actors += [vessim.Producer(f"pv{i}", vessim.StaticSignal(900.0)) for i in range(suns)]
    batteries = [
        vessim.SimpleBattery(f"battery{i}", capacity_wh, soc, c_rate=charge_w / capacity_wh)
        for i, (capacity_wh, soc, charge_w) in enumerate(stores)
    ]
    environment = vessim.Environment(sim_start="2025-06-21", step_size=1)
    environment.add_microgrid(actors=actors, dispatchables=batteries)
    begun_s = time.perf_counter()
    environment.run(until=steps)
    return time.perf_counter() - begun_s


if __name__ == "__main__":
    main()
