"""What a module still knows after a restart, and what it must not have gained by it (4.2, 4.3, 4.10 on)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.checks.moving import point
from ores.conformance.checks.restart import READABLE, restarted
from ores.conformance.wire.browse import Browse
from ores.conformance.wire.identity import id_of

LIMITS = ("consume_max_w", "produce_max_w", "current_max_a")
GOODBYE_S = 3.0


async def begin(bench: Bench) -> None:
    """Be paired; what was read before the restart is compared, so nothing is read anew."""
    need(bench.paired, "pairing has to succeed, and did not")


section: Section[Bench] = Section(
    "memory",
    "Looks at what the module knew after its restart, and asks for another.",
    begin=begin,
    end=Bench.put_back,
)


@section.check("identity-survives-reboot")
async def identity_survives_reboot(bench: Bench) -> None:
    """IDENT-003: hubs know it by its key."""
    found = await bench.once(restarted)
    before, after = found.before.description.get("id"), found.after.description.get("id")
    need(before == after, f"the module was {before} before a restart and is {after} after it")


@section.check("certificate-stays")
async def certificate_stays(bench: Bench) -> None:
    """IDENT-009: some TLS libraries know a peer by the whole certificate."""
    found = await bench.once(restarted)
    need(
        found.before.certificate == found.after.certificate,
        "after a restart the module shows another certificate of its key",
    )


@section.check("pairing-survives-reboot")
async def pairing_survives_reboot(bench: Bench) -> None:
    """PAIR-015: after a power cut both sides remember the same."""
    await bench.once(restarted)
    status = await bench.get("/pairing")
    need(
        isinstance(status, dict) and status.get("paired") is True,
        f"after a restart GET /pairing says {short(status)}; paired true is demanded",
    )


@section.check("reboot-opens-no-pairing")
async def reboot_opens_no_pairing(bench: Bench) -> None:
    """LIFE-011: power comes back after each cut, and nobody needs to stand there for it."""
    await bench.once(restarted)
    answer, _ = await bench.start_pairing(bench.stranger, role="observer", identity=bench.someone)
    await bench.stranger.close()
    need(
        answer.code == "pairing_closed",
        f"after a restart a paired module answered a start with {answer.status} {answer.code}; "
        "pairing_closed is demanded",
    )


@section.check("boot-under-failsafe")
async def boot_under_failsafe(bench: Bench) -> None:
    """SAFE-003: zero export means zero also in the first second after a power cut."""
    found = await bench.once(restarted)
    state = found.after.state
    need(
        state.get("lease") is None,
        f"the first state after a restart names the lease {short(state.get('lease'))}",
    )
    elements: dict[str, Any] = (found.before.kept.get("/failsafe") or {}).get("elements", {})
    if not elements:
        not_applicable("nothing can be limited")
    for name, limits in elements.items():
        for way in LIMITS:
            if way in limits:
                now = point(state, name, "limit", way)
                need(
                    now is not None and now <= limits[way],
                    f"in the first state after a restart {name} has {way} {now}; "
                    f"its failsafe limit of {limits[way]:g} is demanded",
                )


@section.check("failsafe-survives-reboot")
async def failsafe_survives_reboot(bench: Bench) -> None:
    """SAFE-005: the hub has told others that they hold."""
    await _kept(bench, "/failsafe")


@section.check("policy-survives-reboot")
async def policy_survives_reboot(bench: Bench) -> None:
    """POL-002: an outage is when the owner's choice matters."""
    await _kept(bench, "/policy")


@section.check("settings-survive-reboot")
async def settings_survive_reboot(bench: Bench) -> None:
    """SET-002: a reserve that a power cut erases is none."""
    await _kept(bench, "/settings")


async def _kept(bench: Bench, path: str) -> None:
    found = await bench.once(restarted)
    before, after = found.before.kept[path], found.after.kept[path]
    if before is None:
        not_applicable(f"{path} is not served")
    need(before == after, f"{path} was {short(before)} before a restart and is {short(after)} after it")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the request `restart` did.

    Attributes:
        stream_ended: The stream was closed.
        before: What was kept before it.
        after: What is kept after it.
        announced: An announcement was heard before it.
        goodbye: And a farewell at it.
    """

    stream_ended: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    announced: bool
    goodbye: bool


async def asked(bench: Bench) -> Asked:
    """Ask for a restart, with an ear on the announcements, and wait until it is back."""
    if "restart" not in bench.description.get("requests", []):
        not_applicable("it offers no request restart")
    await bench.once(restarted)
    stream = await bench.stream()
    boot_id = (await bench.state()).get("boot_id")
    before = {path: await _readable(bench, path) for path in READABLE}
    async with Browse() as browse:
        announced = await browse.find(id_of(bench.fingerprint), 2.0)
        await bench.restart_by_request()
        ended = await stream.ended(5.0)
        goodbye = announced is not None and await browse.farewell(announced.instance, GOODBYE_S)
    await bench.back_after_restart(boot_id)
    after = {path: await _readable(bench, path) for path in READABLE}
    return Asked(ended, before, after, announced is not None, goodbye)


async def _readable(bench: Bench, path: str) -> Any:
    answer = await bench.controller.request("GET", path)
    return answer.json if answer.status == 200 else None


@section.check("restart-starts-anew")
async def restart_starts_anew(bench: Bench) -> None:
    """REQ-006: the streams close, and it is there again within 60 s with a new boot_id."""
    found = await bench.once(asked)
    need(found.stream_ended, "5 s after `restart` was accepted the stream was still open")


@section.check("restart-keeps")
async def restart_keeps(bench: Bench) -> None:
    """REQ-007: it repairs what runs, and not what was agreed."""
    found = await bench.once(asked)
    for path, before in found.before.items():
        need(
            found.after[path] == before,
            f"{path} was {short(before)} before the request restart and is {short(found.after[path])} after "
            "it",
        )


@section.check("discovery-goodbye")
async def discovery_goodbye(bench: Bench) -> None:
    """DISC-004: the hub sees a farewell at once, and a loss only after the record's life."""
    found = await bench.once(asked)
    if not found.announced:
        not_applicable("no announcement was heard")
    need(found.goodbye, f"it stopped for a restart, and said no goodbye within {GOODBYE_S:g} s")
