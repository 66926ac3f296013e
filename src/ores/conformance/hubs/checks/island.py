"""Connection points, kinds, ties and islands (sections 2.1, 2.5 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs import parts
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.proposing import at, settle
from ores.conformance.hubs.parts import Json, Part
from ores.conformance.hubs.player import Player

KNOWN_S: Final = 6.0
FORMER_MAX_W: Final = 2000.0
SHED_S: Final = 12.0
SUN_W: Final = 1500.0
FREED_S: Final = 4.0
LOOK_S: Final = 3.0
"""How long the island is watched at least."""
KNOWN_AT_ONCE_S: Final = 1.0
"""After a state that tells of an island: leases of before it are under way."""
AFTER_S: Final = 2.0

section: Section[HubBench] = Section(
    "island", "Brings further meters, then opens a transfer switch and overloads the island.", begin=ready
)


async def grid_w(bench: HubBench, wanted: Callable[[Any], object], timeout_s: float, message: str) -> None:
    """Wait until the hub shows such a power at the connection point."""
    await bench.asked_until("/live", lambda live: wanted(live["flow"]["grid_w"]), timeout_s, message)


@section.check("hub-one-connection-point")
async def hub_one_connection_point(bench: HubBench) -> None:
    """BUS-002: a meter elsewhere in the house is none."""
    plain = Part("annex", "meter", {"ac_measure": {}}, power_w=0.0, bus="grid")
    plain.extra["ac_measure"] = {"power_w": 7777.0}
    player = await bench.player("Annex", plain)
    try:
        await bench.online(player)
        await grid_w(
            bench,
            lambda power_w: power_w is not None and abs(power_w - (bench.house.grid_w() or 0.0)) <= 1,
            KNOWN_S,
            f"the one meter with connection_point reads about {bench.house.grid_w()} W, another meter "
            "7777 W; flow.grid_w is to be what the first one reads",
        )
    finally:
        await bench.remove(player)


@section.check("hub-two-connection-points")
async def hub_two_connection_points(bench: HubBench) -> None:
    """BUS-003: two that both claim it make two truths."""
    rival = parts.meter("rival")
    rival.extra["ac_measure"] = {"power_w": 5555.0}
    player = await bench.player("Rival", rival)
    try:
        await bench.online(player)
        await grid_w(
            bench,
            lambda power_w: power_w is None,
            KNOWN_S,
            "two elements claim to be the connection point; flow.grid_w is to be null",
        )
    finally:
        await bench.remove(player)
    await grid_w(
        bench,
        lambda power_w: power_w is not None,
        KNOWN_S,
        "the second connection point was removed; flow.grid_w is known again",
    )


@section.check("hub-ignores-kind")
async def hub_ignores_kind(bench: HubBench) -> None:
    """ELEM-006: what it can do, and not what it is called."""
    later = bench.players["Later"]
    wish = bench.proposal(later, "vessel", id="kit-kind", wish={"power_w": 600})
    await bench.propose(wish)
    found = await settle(bench, later, "vessel", at(600))
    await bench.withdraw(wish)
    need(at(600)(found), f"a store of the kind flow_cell was wished 600 W, and told {found} W")
    need(
        not any("box" in heard.body.get("elements", {}) for heard in later.leases),
        "an element that is called a battery and can do nothing was commanded",
    )


@dataclass
class Island:
    """What a hub did in an island, and after it.

    Attributes:
        during_w: Most that the sun behind the tie was allowed on the island, when a while was over or it was
            all that it can give; None is no limit.
        former: Commands to the element that forms the grid, while it did.
        after: Leases to the sun after the tie had closed, in order.
        opened: The circuits that were opened in an overload, in order.
    """

    during_w: float | None = None
    former: list[Json] = field(default_factory=list)
    after: list[Json] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)


def backup(bench: HubBench) -> tuple[Player, dict[str, Part]]:
    """A module with a tie, what forms the grid behind it, sun, and two circuits of which one is critical."""
    former = parts.store("former", power_w=FORMER_MAX_W)
    former.bus, former.capabilities["form_grid"] = "backup", {"power_max_w": FORMER_MAX_W}
    roof = parts.sun("roof", peak_w=3000, available_w=SUN_W)
    roof.bus = "backup"
    made = {"former": former, "roof": roof}
    made["tie"] = Part("tie", "tie", {"isolate": {"upstream_bus": "grid", "downstream_bus": "backup"}})
    for name, critical in (("freezer", True), ("pool", False), ("sauna", False)):
        made[name] = Part(
            name,
            "circuit",
            {
                "ac_measure": {},
                "switch": {"critical": critical},
                "rating": {"current_max_a": 16, "voltage_v": 230},
            },
            power_w=300.0,
            bus="backup",
        )
    return Player("Backup", list(made.values()), bench.house, bench.transcript, lambda: bench.elapsed_s), made


def limit_w(player: Player) -> float | None:
    """The limit that a lease puts on the sun."""
    found: float | None = player.command("roof").get("limit", {}).get("produce_max_w")
    return found


def freed(most_w: float | None) -> bool:
    """Whether such a limit leaves the sun all that it can give."""
    return most_w is None or most_w >= SUN_W


def first(found: Island) -> Json | None:
    """The first that the sun was leased after the tie had closed."""
    return next((one["elements"]["roof"] for one in found.after if "roof" in one.get("elements", {})), None)


async def islanded(bench: HubBench) -> Island:
    """Zero export with sun behind a tie; the grid fails; too much load for the island; the grid returns."""
    found = Island()
    await bench.prefer(export_max_w=0.0)
    player, made = backup(bench)
    await bench.bring(player)
    for part in made.values():
        part.bus = (
            "grid" if part.id != "tie" else part.bus
        )  # its power shows at the meter while the tie is closed
    try:
        await bench.online(player)
        await bench.until(
            lambda: (limit_w(player) or 0.0) <= SUN_W and limit_w(player) is not None,
            8.0,
            f"with export_max_w 0 and {SUN_W:g} W of sun the sun was never limited",
        )
        await _grid_fails(bench, player, made)
        failed_s = bench.elapsed_s
        deadline_s = failed_s + FREED_S
        while bench.elapsed_s < deadline_s and not freed(limit_w(player)):
            await bench.pause(0.1)
        found.during_w = limit_w(player)
        await bench.pause(max(0.0, failed_s + LOOK_S - bench.elapsed_s))
        since_s = bench.elapsed_s
        await _overload(bench, made)
        opened = player.told("lease", since_s)
        for heard in opened:
            for name, command in heard.body.get("elements", {}).items():
                if command.get("switch", {}).get("closed") is False and name not in found.opened:
                    found.opened.append(name)
        found.former = [
            heard.body["elements"]["former"]
            for heard in player.told("lease", failed_s + KNOWN_AT_ONCE_S)
            if "former" in heard.body.get("elements", {})
        ]
        await _grid_returns(player, made)
        closed_s = bench.elapsed_s
        deadline_s = bench.elapsed_s + AFTER_S
        while bench.elapsed_s < deadline_s and first(found) is None:
            await bench.pause(0.1)
            found.after = [heard.body for heard in player.told("lease", closed_s)]
    finally:
        await bench.remove(player)
        await bench.prefer()
    return found


async def _grid_fails(bench: HubBench, player: Player, made: dict[str, Part]) -> None:
    for part in made.values():
        part.bus = "backup" if part.id != "tie" else part.bus
    made["tie"].closed, made["tie"].grid_ok, made["former"].forming = False, False, True
    made["former"].power_w = 0.0
    bench.house.meter_w = 0.0
    await player.tell()
    await bench.players["Meter"].tell()


async def _overload(bench: HubBench, made: dict[str, Part]) -> None:
    """The former gives more than it can, until something has been opened."""
    made["roof"].available_w = 0.0
    made["pool"].power_w = made["sauna"].power_w = made["freezer"].power_w = 900.0

    def load_w() -> float:
        return sum(made[name].power_w or 0.0 for name in ("freezer", "pool", "sauna") if made[name].closed)

    deadline_s = bench.elapsed_s + SHED_S
    while bench.elapsed_s < deadline_s and load_w() > FORMER_MAX_W:
        made["former"].extra["ac_measure"] = {"power_w": -load_w()}
        made["former"].extra["form_grid"] = {"forming": True, "headroom_w": 0}
        await bench.pause(0.25)
    made["former"].extra.clear()


async def _grid_returns(player: Player, made: dict[str, Part]) -> None:
    for part in made.values():
        part.bus = "grid" if part.id != "tie" else part.bus
    made["roof"].available_w = SUN_W
    made["tie"].closed, made["tie"].grid_ok, made["former"].forming = True, True, False
    player.house.meter_w = None
    await player.tell()


@section.check("hub-island-suspends-grid-limits", timed=True)
async def hub_island_suspends_grid_limits(bench: HubBench) -> None:
    """TIE-010: no grid to protect, then there is one again."""
    found = await bench.once(islanded)
    need(
        freed(found.during_w),
        f"on an island the sun is limited to {found.during_w} W, though {SUN_W:g} W find a store; "
        "export_max_w is the grid's limit and is suspended",
    )
    lease = first(found)
    need(lease is not None, "after the tie had closed the sun was leased nothing, though export_max_w is 0")
    most_w = (lease or {}).get("limit", {}).get("produce_max_w")
    need(
        most_w is not None and most_w <= bench.house.base_w + 3 * 900 + 1,
        f"the first lease after the tie had closed allows the sun {short(most_w)} W; export_max_w is 0",
    )


@section.check("hub-leaves-former-alone")
async def hub_leaves_former_alone(bench: HubBench) -> None:
    """TIE-011: its power is what the loads take."""
    found = await bench.once(islanded)
    told = [command for command in found.former if "setpoint" in command]
    need(not told, f"the element that forms the island's grid was leased a set-point: {short(told[:1])}")


@section.check("hub-critical-circuits-last", timed=True)
async def hub_critical_circuits_last(bench: HubBench) -> None:
    """TIE-012: the freezer, the breathing machine."""
    opened = (await bench.once(islanded)).opened
    need(
        opened,
        f"an island took 2700 W, its former bears {FORMER_MAX_W:g} W: no circuit was opened in {SHED_S:g} s",
    )
    need("freezer" not in opened[:1], f"the hub opened {short(opened)}, the critical circuit freezer first")
    need(
        "freezer" not in opened or {"pool", "sauna"} <= set(opened[: opened.index("freezer")]),
        f"the hub opened {short(opened)}: the critical circuit freezer before others that are not",
    )
