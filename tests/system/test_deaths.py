"""Point 3: what dies harms nobody else, and what lives on keeps what was agreed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.system.houses import Api, control_sources, do, generated, in_lock_step, power_w, witness

from ores.cli.demo.hub_process import HubProcess
from ores.cli.demo.on_sockets import Demo, conductor_address
from ores.hub.leases import SHORT_TTL_S, TTL_S
from ores.link.clock import Clock
from ores.model import History
from ores.sim.home import Home
from ores.sim.world_api import Soc, TurnOff, TurnOn

LEASED = {"hybrid", "battery", "charger", "gateway"}
"""Modules with something to command; a meter has nothing to fall back from."""
TAKE_OVER_S = 10.0
LOST_S = 2.0


async def until_settled(clock: Clock, home: Home) -> None:
    for store in ("ac_battery", "hybrid_battery"):
        do(home, Soc(store=store, soc_pct=50.0))
    await clock.sleep(30.0)


async def kill_the_hub(clock: Clock, demo: Demo, at_s: float) -> None:
    """Kill -9 at a simulated time; returns a second later."""
    demo.conductor.at(at_s, lambda: demo.conductor.kill("hub"))
    await clock.sleep_until(at_s + 1.0)
    assert "hub" not in demo.conductor.pace().participants


async def start_again(clock: Clock, demo: Demo) -> HubProcess:
    """The same hub from what it has kept; nobody pairs anything."""
    hub = HubProcess(clock, demo.directory / "hub", join=conductor_address(demo.directory))
    await hub.start()
    await demo.conductor.joined("hub")
    return hub


def test_without_its_hub_every_module_is_on_its_policy_within_the_life_of_a_lease(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        await until_settled(clock, demo.home)
        before = control_sources(demo.modules)
        assert {name for name, source in before.items() if source == "lease"} >= LEASED
        died_at_s = clock.now() + 3.3
        await kill_the_hub(clock, demo, died_at_s)
        ends_s = {
            name: it.module.state().lease.expires_in_s for name, it in demo.modules.items() if name in LEASED
        }
        assert all(0.0 < left_s <= TTL_S for left_s in ends_s.values())
        await clock.sleep_until(died_at_s + TTL_S)
        after = control_sources(demo.modules)
        assert {after[name] for name in LEASED} == {"policy"}

    in_lock_step(generated(start_hour=10.0), tmp_path, story)


async def exported_after_death_wh(clock: Clock, demo: Demo, *, at_death: Callable[[], None]) -> list[float]:
    """What leaves a zero-export home in each second of the quarter of an hour after its hub's death."""
    home, exported = demo.home, []
    died_at_s = clock.now() + 5.0

    def see() -> None:
        if clock.now() > died_at_s:
            exported.append(max(0.0, -power_w(home, "grid")) / 3600.0)

    witness(home, see)
    demo.conductor.at(died_at_s, at_death)
    await kill_the_hub(clock, demo, died_at_s)
    await clock.sleep(900.0)
    assert len(exported) >= 899
    assert sum(exported[int(TTL_S) + 3 :]) == 0.0, "once on its failsafe limits, nothing at all"
    return exported


@pytest.mark.parametrize("soc_pct", [50.0, 100.0])
def test_a_dead_hub_lets_not_a_watt_hour_out_of_a_zero_export_home(tmp_path: Path, soc_pct: float) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        for store in ("ac_battery", "hybrid_battery"):
            do(demo.home, Soc(store=store, soc_pct=soc_pct))
        await clock.sleep(60.0)
        sun_w = -power_w(demo.home, "string1")
        assert sun_w > 100.0, "there is something to keep in"
        exported = await exported_after_death_wh(clock, demo, at_death=lambda: None)
        assert sum(exported) < 1.0

    in_lock_step(generated(start_hour=12.0, prefer=("export_max_w=0",)), tmp_path, story)


def test_when_the_oven_goes_off_as_the_hub_dies_no_more_leaves_than_in_the_life_of_a_short_lease(
    tmp_path: Path,
) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        await until_settled(clock, demo.home)
        do(demo.home, TurnOn(circuit="oven", power_w=3000.0, duration_s=3600.0))
        await clock.sleep(20.0)
        exported = await exported_after_death_wh(
            clock, demo, at_death=lambda: do(demo.home, TurnOff(circuit="oven"))
        )
        # A living hub, too, hears of it a second later, and batteries need their response time (1.6 Wh).
        blind_s = SHORT_TTL_S + 1.0
        assert sum(exported[int(blind_s) + 1 :]) == 0.0
        assert sum(exported) <= 3000.0 * blind_s / 3600.0, f"{sum(exported):.1f} Wh"

    in_lock_step(generated(start_hour=12.0, prefer=("export_max_w=0",)), tmp_path, story)


def test_a_hub_that_comes_back_takes_over_within_10_s_and_has_lost_at_most_2_s(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        await until_settled(clock, demo.home)
        pins = {name: it.pins.controller().id for name, it in demo.modules.items()}
        died_at_s = clock.now() + 3.3
        died_utc = clock.utc() + timedelta(seconds=3.3)
        await kill_the_hub(clock, demo, died_at_s)
        await clock.sleep(30.0)
        hub = await start_again(clock, demo)
        try:
            back_at_s = clock.now()
            await clock.sleep(TAKE_OVER_S)
            sources = control_sources(demo.modules)
            assert {sources[name] for name in LEASED} == {"lease"}
            assert {name: it.pins.controller().id for name, it in demo.modules.items()} == pins
            assert clock.now() == back_at_s + TAKE_OVER_S, "no time was lost in starting"

            api = Api(clock, hub.url)
            start, end = died_utc - timedelta(seconds=30), died_utc
            history = await api.get(
                f"/history?series=flow.grid_w&start={text(start)}&end={text(end)}&max_points=1000", History
            )
            assert history.step_s == 1.0
            seconds = history.series["flow.grid_w"].mean
            known = [i for i, value in enumerate(seconds) if value is not None]
            assert len(seconds) >= 29
            assert known[-1] >= len(seconds) - 1 - LOST_S
            assert len(known) >= len(seconds) - 1 - LOST_S, "and none is missing before"
        finally:
            hub.kill()
            await hub.died()

    in_lock_step(generated(start_hour=10.0), tmp_path, story)


def text(time) -> str:
    return quote(time.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
