"""What the owner wants, and what a house may take (section 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import flexibility, house
from ores.conformance.hubs.parts import Json
from ores.conformance.wire.caller import Answer

DECIDES_S: Final = 2.0
LIMITS_S: Final = 5.0
RESPONSE_S: Final = 0.2
"""The longest `response_s` of the modules that the kit plays."""
SLACK_S: Final = 0.5
"""For the way and a busy machine."""
LOOK_S: Final = 1.2
SLOP_W: Final = 25.0
VOLTAGE_V: Final = 230.0
LEAST: Final[Json] = {"self_consumption": False, "ev_mode": "off", "reserve_pct": 0}
ALL: Final[Json] = {
    "self_consumption": False,
    "ev_mode": "off",
    "reserve_pct": 12.5,
    "grid_target_w": 50,
    "import_max_w": 20_000,
    "export_max_w": 15_000,
    "main_fuse_a": 50,
    "price_per_kwh": 0.31,
}


async def begin(bench: HubBench) -> None:
    """The full house; what modules tell of themselves takes its time, and begins now."""
    await house.ready(bench)
    bench.early(flexibility.shown)


section: Section[HubBench] = Section(
    "preferences", "Changes what the owner wants, and looks at what the modules are told.", begin=begin
)


def same(found: Json, wanted: Json) -> bool:
    """Whether preferences are these, and no others."""
    return found.keys() == wanted.keys() and all(
        found[name] == value
        if isinstance(value, bool | str)
        else isinstance(found[name], int | float) and abs(found[name] - value) < 1e-6
        for name, value in wanted.items()
    )


async def put(bench: HubBench, wanted: Json) -> Answer:
    """Ask for preferences."""
    return await bench.owner.request("PUT", "/preferences", wanted)


@section.check("hub-preferences-whole")
async def hub_preferences_whole(bench: HubBench) -> None:
    """HUB-018: all, or none."""
    try:
        for wanted in (ALL, LEAST):
            answer = await put(bench, wanted)
            need(
                answer.status == 200,
                f"PUT /preferences with {wanted}: {answer.status} {answer.code}; 200 is demanded",
            )
            found = await bench.owner.get("/preferences")
            need(same(found, wanted), f"PUT /preferences with {wanted}, and GET gives {short(found)}")
        for wrong in ({"ev_mode": "hover"}, {"export_max_w": -1}, {"reserve_pct": 101}):
            answer = await put(bench, {**ALL, **wrong})
            need(
                answer.status >= 400,
                f"PUT /preferences with {wrong} was answered with {answer.status}; it is to be refused",
            )
            found = await bench.owner.get("/preferences")
            need(
                same(found, LEAST),
                f"PUT /preferences was refused because of {wrong}, and GET gives {short(found)}; "
                f"what was there before is demanded, {LEAST}",
            )
    finally:
        await bench.prefer()


@section.check("hub-preferences-at-once", timed=True)
async def hub_preferences_at_once(bench: HubBench) -> None:
    """HUB-021: whoever presses a button looks at the house."""
    battery, load_w = bench.players["Battery"].parts["battery"], bench.house.base_w

    def gives() -> bool:
        return (battery.now_w(bench.house) or 0.0) < -100

    try:
        await bench.prefer()
        bench.house.base_w = 2000.0
        await bench.pause(1.0)
        for wanted in (True, False):
            await bench.prefer(self_consumption=wanted)
            await bench.until(
                lambda wanted=wanted: gives() is wanted,  # type: ignore[misc]
                DECIDES_S + SLACK_S,
                f"self_consumption became {wanted} while the house takes 2000 W, and {DECIDES_S:g} s later "
                f"the battery {'gives nothing' if wanted else 'still gives'}",
            )
    finally:
        bench.house.base_w = load_w
        await bench.prefer()


@section.check("hub-connection-limits", timed=True)
async def hub_connection_limits(bench: HubBench) -> None:
    """HUB-020: what the owner has signed for, wherever leases can bring it about."""
    sun, load_w = bench.players["Sun"].parts["inverter"], bench.house.base_w
    wish = bench.proposal(bench.players["Battery"], "battery", id="kit-much", wish={"power_w": 3000})
    try:
        await bench.prefer()
        await bench.propose(wish)
        await bench.until(
            lambda: (bench.house.grid_w() or 0.0) > 3000,
            LIMITS_S + SLACK_S,
            "without a limit a wish of 3000 W for the battery does not reach the grid",
        )
        await _within(bench, "import_max_w", 2500.0, lambda grid_w: grid_w <= 2500 + SLOP_W)
        await _within(bench, "main_fuse_a", 10.0, lambda grid_w: abs(grid_w) <= 10 * VOLTAGE_V + SLOP_W)
        await bench.withdraw(wish)
        sun.available_w = 4000.0
        await bench.prefer()
        await bench.until(
            lambda: (bench.house.grid_w() or 0.0) < -2000,
            LIMITS_S + SLACK_S,
            "without a limit 4000 W of sun do not reach the grid",
        )
        await _within(bench, "export_max_w", 1000.0, lambda grid_w: grid_w >= -1000 - SLOP_W)
        bench.house.base_w = 50.0
        await _within(bench, "export_max_w", 0.0, lambda grid_w: grid_w >= -SLOP_W)
    finally:
        sun.available_w, bench.house.base_w = 0.0, load_w
        await bench.withdraw(wish)
        await bench.prefer()


async def _within(bench: HubBench, name: str, most: float, kept: Callable[[float], bool]) -> None:
    """Set a limit; from some moment on, in time, it is kept."""
    await bench.prefer(**{name: most})
    kept_since_s = None
    deadline_s = bench.elapsed_s + LIMITS_S + RESPONSE_S + SLACK_S
    while kept_since_s is None or bench.elapsed_s - kept_since_s < LOOK_S:
        grid_w = bench.house.grid_w() or 0.0
        if not kept(grid_w):
            kept_since_s = None
        elif kept_since_s is None:
            kept_since_s = bench.elapsed_s
        need(
            kept_since_s is not None or bench.elapsed_s < deadline_s,
            f"{LIMITS_S + RESPONSE_S:g} s after {name} became {most:g}, {grid_w:g} W flow at the connection "
            "point, though all that flows can be limited",
        )
        await bench.pause(0.1)


@section.check("hub-reserve-kept", timed=True)
async def hub_reserve_kept(bench: HubBench) -> None:
    """HUB-022: it is kept for the night without a grid."""
    player = bench.players["Battery"]
    battery, load_w = player.parts["battery"], bench.house.base_w
    wish = bench.proposal(player, "battery", id="kit-reserve", wish={"power_w": -1500})
    soc_pct = battery.soc_pct
    try:
        await bench.prefer(self_consumption=True, reserve_pct=60)
        battery.soc_pct, bench.house.base_w = 55.0, 2000.0
        await bench.propose(wish)
        await bench.pause(DECIDES_S + SLACK_S)
        deadline_s = bench.elapsed_s + LOOK_S
        while bench.elapsed_s < deadline_s:
            power_w = battery.now_w(bench.house) or 0.0
            need(
                power_w > -1,
                f"reserve_pct is 60, the store holds 55 %, and is told {short(battery.told)}: it gives "
                f"{-power_w:g} W; nothing is allowed",
            )
            await bench.pause(0.1)
    finally:
        battery.soc_pct, bench.house.base_w = soc_pct, load_w
        await bench.withdraw(wish)
        await bench.prefer()
