"""The page, in a real browser: what it shows is what the hub says, and its switches reach the hub."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.system.browser import Tab, browser, needs_chromium
from tests.system.houses import ROOT, Api, do, generated, in_lock_step

from ores.cli.demo.on_sockets import Demo
from ores.link.clock import Clock
from ores.model import Preferences
from ores.sim.world_api import TurnOn

BUILT = ROOT / "src" / "ores" / "hub" / "page" / "index.html"
pytestmark = [
    needs_chromium,
    pytest.mark.skipif(not BUILT.is_file(), reason="the page is not built: run `make setup`"),
]


def shown(power_w: float | None) -> str:
    """Power as a person reads it on the page."""
    if power_w is None:
        return "–"
    size_w = abs(power_w)
    if size_w < 999.5:
        return f"{math.floor(size_w + 0.5)} W"
    return f"{size_w / 1000:.2f} kW" if size_w < 9995 else f"{size_w / 1000:.1f} kW"


async def shows_what_the_hub_says(tab: Tab, api: Api) -> None:
    live = await api.live()
    flow = live.flow
    for node, power_w in {
        "grid": flow.grid_w,
        "pv": flow.pv_w,
        "battery": flow.battery_w,
        "house": flow.load_w,
        "ev": flow.ev_w,
        "heat": flow.heat_w,
    }.items():
        await tab.until(f"""document.querySelector('[data-flow="{node}"]')?.textContent""", shown(power_w))
    cards = """Object.fromEntries([...document.querySelectorAll("[data-module]")].map(
        card => [card.dataset.module, card.querySelector(".doing").textContent]))"""
    names = {module.id: module.description.name for module in await api.modules()}
    await tab.until(cards, {names[one]: module.doing for one, module in live.modules.items()})


def test_the_page_shows_what_the_hub_says_and_its_switches_reach_the_hub(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        api = Api(clock, demo.hub.url)
        await clock.sleep(20.0)
        async with browser(tmp_path / "browser") as tab:
            with clock.hold():
                await tab.open(demo.hub.url)
                await shows_what_the_hub_says(tab, api)
                checked = """document.querySelector('[role="radio"][aria-checked="true"]')?.textContent"""
                await tab.until(checked, "From surplus")
                await tab.look("""[...document.querySelectorAll('[role="radio"]')]
                    .find(radio => radio.textContent === "Fast").click()""")
                await tab.until(checked, "Fast")
            assert (await api.get("/preferences", Preferences)).ev_mode == "fast"

            do(demo.home, TurnOn(circuit="oven", power_w=3000.0))
            await clock.sleep(10.0)
            with clock.hold():
                await shows_what_the_hub_says(tab, api)

    in_lock_step(generated(start_hour=10.0), tmp_path / "home", story)
