"""Point 1: the battery follows the sun, and the oven is paid for by the batteries, not by the grid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.system.houses import CYCLE_S, batteries_w, do, generated, in_lock_step, in_one_process, power_w

from ores.cli.demo.in_memory import MemoryDemo
from ores.link.clock import Clock
from ores.sim.home import Home
from ores.sim.world_api import Cloud, Soc, TurnOn

OVEN_W = 3000.0
TARGET_W = 0.0
NEAR_W = 60.0
"""Two per cent of the oven: what steps and rounding leave while the rest of the house changes, too."""
SETTLED_W = 40.0
"""Where nothing changes but by the sun's slow way: both batteries' steps, and the meter's rounding."""

Story = Callable[[Clock, Home], Awaitable[None]]


@pytest.fixture(params=["memory", "sockets"])
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Story], None]:
    """Tell a story of the demo home at its usual hour, over either link."""
    options = generated(start_hour=10.0)

    def run(story: Story) -> None:
        if request.param == "memory":
            in_one_process(options, lambda clock, demo: story(clock, demo.home))
        else:
            in_lock_step(options, tmp_path, lambda clock, demo: story(clock, demo.home))

    return run


def declared_response_s(home: Home) -> float:
    """The slowest battery's, as its description says."""
    found = [
        element.capabilities.setpoint.response_s
        for device in home.devices.values()
        for element in device.elements
        if element.kind == "battery"
    ]
    assert len(found) == 2
    return max(found)


async def ready(clock: Clock, home: Home) -> None:
    """Both batteries half full, everything paired and calm."""
    for store in ("ac_battery", "hybrid_battery"):
        do(home, Soc(store=store, soc_pct=50.0))
    await clock.sleep(60.0)
    assert abs(power_w(home, "grid") - TARGET_W) <= NEAR_W


def test_the_oven_is_carried_by_the_batteries_within_their_response_and_two_cycles(tell) -> None:
    async def story(clock: Clock, home: Home) -> None:
        await ready(clock, home)
        before_w, oven_before_w = batteries_w(home), power_w(home, "oven")
        do(home, TurnOn(circuit="oven", power_w=OVEN_W))
        await clock.sleep(1.0)
        assert power_w(home, "oven") - oven_before_w == pytest.approx(OVEN_W)
        assert power_w(home, "grid") > 0.9 * OVEN_W, "until they answer, the grid carries it"
        await clock.sleep(declared_response_s(home) + 2 * CYCLE_S - 1.0)
        seen = []
        for _ in range(30):
            seen.append(power_w(home, "grid") - TARGET_W)
            await clock.sleep(1.0)
        assert abs(seen[0]) <= NEAR_W
        assert max(abs(sum(seen[i : i + 5]) / 5) for i in range(25)) <= NEAR_W, "and it stays there"
        assert before_w - batteries_w(home) > 0.9 * OVEN_W

    tell(story)


def test_the_battery_follows_the_sun(tell) -> None:
    async def story(clock: Clock, home: Home) -> None:
        await ready(clock, home)
        bright_w = batteries_w(home)
        assert bright_w > 1000.0, "at ten in June they charge"
        do(home, Cloud(factor=0.3, duration_s=60.0))
        await clock.sleep(declared_response_s(home) + 2 * CYCLE_S)
        assert abs(power_w(home, "grid") - TARGET_W) <= NEAR_W
        assert batteries_w(home) < 0.5 * bright_w
        await clock.sleep(80.0)
        assert abs(power_w(home, "grid") - TARGET_W) <= NEAR_W
        assert batteries_w(home) == pytest.approx(bright_w, rel=0.15)

    tell(story)


def test_the_grid_settles_at_the_target_while_both_batteries_charge() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        await ready(clock, demo.home)
        seen = []
        for _ in range(60):
            await clock.sleep(1.0)
            seen.append(power_w(demo.home, "grid") - TARGET_W)
        assert abs(sum(seen) / len(seen)) <= SETTLED_W, f"{sum(seen) / len(seen):.0f} W on average"

    in_one_process(generated(start_hour=10.0), story)
