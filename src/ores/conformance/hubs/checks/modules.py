"""Which modules there are, and which the hub may command (section 6.5); other paths for them (6.13)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.hubs import parts
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.proposing import at, wish_w
from ores.conformance.hubs.parts import Json
from ores.conformance.hubs.player import Player
from ores.conformance.wire.caller import Answer

CONTROL_S: Final = 5.0
SLACK_S: Final = 0.5
AFTER_S: Final = 4.0
WISH_W: Final = 700

section: Section[HubBench] = Section(
    "modules", "Lets modules be watched, commanded and removed.", begin=ready
)


@dataclass
class Freed:
    """A battery that is watched first, and commanded then.

    Attributes:
        watched: The decision about it while it was only watched; empty where there was none.
        told: Leases that it got while it was only watched.
        free_s: When control had been allowed.
        obeyed_s: When it was told what was wished; None where it never was.
    """

    watched: Json = field(default_factory=dict)
    told: int = 0
    free_s: float = 0.0
    obeyed_s: float | None = None


async def freed(bench: HubBench) -> Freed:
    """Wish something of a battery that is only watched, then allow control."""
    found = Freed()
    player = await bench.player("Freed", parts.store("freed"), paired=False)
    await bench.pair(player, control=False)
    await bench.watch(player, watch_only=True)
    await bench.online(player)
    wish = bench.proposal(player, "freed", id="kit-freed", wish={"power_w": WISH_W})
    await bench.propose(wish)
    began_s = bench.elapsed_s
    while not found.watched and bench.elapsed_s < began_s + 3.0:
        page = await bench.owner.get(f"/decisions?module={player.id}&element=freed&limit=1", quiet=True)
        found.watched = next((one for one in page["decisions"] if one.get("source") == bench.name), {})
        await bench.pause(0.2)
    found.told = len(player.leases)
    await bench.watch(player, watch_only=False)
    found.free_s = bench.elapsed_s
    while found.obeyed_s is None and bench.elapsed_s < found.free_s + CONTROL_S + 2 * SLACK_S:
        if at(WISH_W)(wish_w(player, "freed")):
            found.obeyed_s = bench.elapsed_s
        await bench.pause(0.05)
    await bench.withdraw(wish)
    await bench.remove(player)
    return found


@section.check("hub-control-allowed", timed=True)
async def hub_control_allowed(bench: HubBench) -> None:
    """HUB-016: who allows control wants to see it happen."""
    found = await bench.once(freed)
    need(
        found.obeyed_s is not None and found.obeyed_s - found.free_s <= CONTROL_S + SLACK_S,
        f"a wish for {WISH_W} W held when watch_only was set to false; the module was not told within "
        f"{CONTROL_S:g} s",
    )


@dataclass
class Removed:
    """Modules of which the hub was told to know nothing more.

    Attributes:
        willing: One that gave up its pin: the answer.
        unwilling: One that refused to.
        away: One that was not there.
        listed: Those of them that were listed as paired afterwards.
        met: How often the hub came back to the first two, though it had been told to forget them.
    """

    willing: Answer
    unwilling: Answer
    away: Answer
    listed: list[str]
    met: int


async def removed(bench: HubBench) -> Removed:
    """Remove three modules."""
    names = ("Willing", "Unwilling", "Away")
    players = await asyncio.gather(
        *(bench.player(name, parts.Part(name.lower(), "load", {"ac_measure": {}})) for name in names)
    )
    await bench.online(*players)
    players[1].ways.refuses_release = True
    await players[2].vanish()
    answers = await asyncio.gather(*(_delete(bench, player) for player in players))
    await bench.pause(0.5)
    before = _met(players)
    await players[2].return_()
    await bench.pause(AFTER_S)
    listed = [
        module["id"] for module in (await bench.owner.get("/modules"))["modules"] if module.get("paired")
    ]
    found = Removed(
        answers[0],
        answers[1],
        answers[2],
        [player.name for player in players if player.id in listed],
        _met(players) - before,
    )
    for player in players:
        await bench.drop(player)
    return found


def _met(players: list[Player]) -> int:
    return sum(len(player.connections) for player in players)


async def _delete(bench: HubBench, player: Player) -> Answer:
    return await bench.owner.request("DELETE", f"/modules/{player.id}", timeout_s=30.0)


@section.check("hub-removes-module")
async def hub_removes_module(bench: HubBench) -> None:
    """HUB-017: the pin goes at once, and `released` says what the module did."""
    found = await bench.once(removed)
    for answer, released, what in (
        (found.willing, True, "gave up its pin"),
        (found.unwilling, False, "refused to give up its pin"),
        (found.away, False, "was not there"),
    ):
        need(answer.status == 200, f"DELETE of a module that {what}: {answer.status} {answer.code}")
        need(
            answer.json.get("released") is released,
            f"a module that was removed {what}; the answer has released {short(answer.json.get('released'))}",
        )
    need(not found.listed, f"{', '.join(found.listed)} was removed, and GET /modules has it as paired")
    need(
        found.met == 0,
        f"modules had been removed, and the hub connected to them {found.met} times in {AFTER_S:g} s",
    )


# Paths of the working group's draft


SAME: Final = (
    ("/device/discovery", "/modules"),
    ("/hub/configure", "/preferences"),
    ("/app/settings", "/preferences"),
    ("/app/notify", "/notices"),
    ("/app/monitor", "/live"),
    ("/device/data/logging?series=flow.grid_w&max_points=7", "/history?series=flow.grid_w&max_points=7"),
)
REFUSED: Final = (
    ("POST", "/microinverter/control", "POST", "/proposals"),
    ("POST", "/energystorage/control", "POST", "/proposals"),
    ("POST", "/device/register", "POST", "/modules"),
    ("PUT", "/hub/configure", "PUT", "/preferences"),
    ("PUT", "/app/settings", "PUT", "/preferences"),
)
NOT_BUILT: Final = (("POST", "/device/firmware/update"), ("GET", "/device/diagnostics/remote"))
ELEMENTS: Final = (
    ("/microinverter/status", "Sun", "inverter", ()),
    ("/microinverter/energy", "Sun", "inverter", ("energy", "ac_measure", "produce")),
    ("/energystorage/status", "Battery", "battery", ()),
    ("/energystorage/storage", "Battery", "battery", ("storage", "energy")),
    ("/device/safety/fault-detection", "Battery", "battery", ("fault", "hazard")),
)


async def drafted(bench: HubBench, method: str, path: str, body: Any = None) -> Answer | None:
    """The answer at a path of the root; None where it is not served."""
    data = () if body is None else (body,)
    answer = await bench.owner.request(method, path, *data, root=True)
    return None if answer.status in {404, 405} else answer


@section.check("hub-draft-paths", timed=True)
async def hub_draft_paths(bench: HubBench) -> None:
    """HUB-023: two names for one thing, and not two things of one name."""
    served = 0
    guest, _ = await bench.token("guest")
    for path, resource in SAME:
        answer = await drafted(bench, "GET", path)
        if answer is None:
            continue
        served += 1
        wanted = await bench.owner.get(resource)
        need(
            answer.status == 200,
            f"GET {path}: {answer.status} {answer.code}; {resource} is answered with 200",
        )
        need(
            _shape(answer.json, resource) == _shape(wanted, resource),
            f"GET {path} gave {short(answer.json)}; GET {resource} gives {short(wanted)}",
        )
        there = await guest.request("GET", path, root=True)
        here = await guest.request("GET", resource)
        need(
            there.status == here.status,
            f"GET {path} as guest: {there.status} {there.code}; GET {resource}: {here.status} {here.code}",
        )
    for method, path, method_here, resource in REFUSED:
        answer = await drafted(bench, method, path, {"nonsense": 1})
        if answer is None:
            continue
        served += 1
        here = await bench.owner.request(method_here, resource, {"nonsense": 1})
        need(
            (answer.status, answer.code) == (here.status, here.code),
            f"{method} {path} with nonsense: {answer.status} {answer.code}; {resource} answers "
            f"{here.status} {here.code}",
        )
    for method, path in NOT_BUILT:
        answer = await drafted(bench, method, path, {} if method == "POST" else None)
        if answer is None:
            continue
        served += 1
        need(
            answer.status == 501 and answer.code == "not_built",
            f"{method} {path}: {answer.status} {answer.code}; version 1.0 has nothing for it: 501 not_built",
        )
    served += await _elements(bench)
    if not served:
        not_applicable("the hub serves none of the draft's paths")


def _shape(body: Any, resource: str) -> Any:
    """What of an answer is the same a moment later."""
    if resource == "/live":
        return sorted(body), sorted(body.get("flow", {})), sorted(body.get("modules", {}))
    if resource.startswith("/history"):
        return sorted(body), sorted(body.get("series", {}))
    if resource == "/modules":
        return [one.get("id") for one in body.get("modules", []) if one.get("paired")]
    if resource == "/notices":
        return sorted(body)
    return body


async def _elements(bench: HubBench) -> int:
    """Those that give states of elements."""
    served = 0
    for path, name, element, capabilities in ELEMENTS:
        answer = await drafted(bench, "GET", path)
        if answer is None:
            continue
        served += 1
        player = bench.players[name]
        need(answer.status == 200, f"GET {path}: {answer.status} {answer.code}; 200 is demanded")
        found = answer.json.get("modules", {}).get(player.id, {}).get("elements", {}).get(element)
        told = player.parts[element].state(bench.house)
        wanted = {key for key in told if not capabilities or key in capabilities}
        need(
            isinstance(found, dict) and wanted <= set(found),
            f"GET {path} has of a {element} {short(found)}; {sorted(wanted)} are demanded",
        )
        other = bench.players["Battery" if name == "Sun" else "Sun"]
        if path.startswith(("/microinverter", "/energystorage")):
            need(
                not answer.json["modules"].get(other.id, {}).get("elements"),
                f"GET {path} gives elements of {other.name}, which are none of this kind",
            )
    answer = await drafted(bench, "GET", "/device/security/authenticate")
    if answer is not None:
        served += 1
        proven = {one["id"]: one.get("authenticated") for one in answer.json.get("modules", [])}
        need(
            proven.get(bench.players["Battery"].id) is True,
            f"GET /device/security/authenticate has {short(answer.json)}; the battery has proven its key",
        )
    return served
