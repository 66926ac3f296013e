"""What a person should know (section 6.9); what happened to the modules is in `troubles`."""

from __future__ import annotations

from typing import Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import live, troubles
from ores.conformance.hubs.checks.troubles import FAULT_S, FAULTS, NOTICE_S, SLACK_S, Watched
from ores.conformance.hubs.parts import Json

section: Section[HubBench] = Section(
    "notices", "Looks at what the hub has said of modules with faults, and of silent ones.", begin=live.ready
)
ACKNOWLEDGED: Final = ("acknowledged", "acknowledged_by")


def need_in_time(found: Watched, within_s: float, what: str) -> None:
    """Raised in time, and ended in time.

    Raises:
        Failed: Not so.
    """
    need(
        found.raised_s is not None and found.raised_s <= found.began_s + within_s + SLACK_S,
        f"{what}: no notice about it was listed within {within_s:g} s",
    )
    need(
        found.ended_s is not None and found.ended_s >= found.over_s - SLACK_S,
        f"{what}: the notice about it did not last until its cause was over, or not end within "
        f"{within_s:g} s of that; it is {short(found.notice)}",
    )


@section.check("hub-notice-silent-module", timed=True)
async def hub_notice_silent_module(bench: HubBench) -> None:
    """NOTE-001: within 15 s, and over within 15 s."""
    need_in_time(await bench.once(troubles.silence), NOTICE_S, "a module was silent for three periods")
    need_in_time(await bench.once(troubles.absence), NOTICE_S, "a module ended its stream, and was gone")


@section.check("hub-notice-fault", timed=True)
async def hub_notice_fault(bench: HubBench) -> None:
    """NOTE-002: within 5 s, with the codes."""
    found = await bench.once(troubles.fault)
    need_in_time(found, FAULT_S, f"a module reported the faults {', '.join(FAULTS)}")
    text = str(found.notice.get("text"))
    for code in FAULTS:
        need(code in text, f"a module reported the fault {code}; the text of the notice is {short(text)}")


async def troubled(bench: HubBench) -> tuple[Watched, ...]:
    """All modules with which something was the matter."""
    return (
        await bench.once(troubles.fault),
        await bench.once(troubles.silence),
        await bench.once(troubles.absence),
    )


@section.check("hub-notice-once")
async def hub_notice_once(bench: HubBench) -> None:
    """NOTE-003: what is said a hundred times is switched off."""
    for found in await troubled(bench):
        for mine in (*found.held, found.after):
            several = [
                notice
                for notice in mine
                if notice["time"] >= found.notice.get("time", "")
                and (
                    notice["code"] == found.notice.get("code")
                    or any(code in notice["text"] for code in FAULTS)
                )
            ]
            need(
                len(several) <= 1,
                f"one cause went on, and there were several notices about it: {short(several)}",
            )


@section.check("hub-notice-since")
async def hub_notice_since(bench: HubBench) -> None:
    """NOTE-004: id and time stay."""
    for found in await troubled(bench):
        seen: dict[str, Json] = {}
        for notice in (one for mine in found.held for one in mine):
            first = seen.setdefault(notice["code"], notice)
            for name in ("id", "time"):
                need(
                    notice[name] == first[name],
                    f"{name} of a notice that held went from {first[name]} to {notice[name]}",
                )


@section.check("hub-notice-ended")
async def hub_notice_ended(bench: HubBench) -> None:
    """NOTE-005: what happened during the night is read in the morning."""
    found = await bench.once(troubles.fault)
    need(found.notice, "no notice about a module's fault was listed")
    for mine in found.held:
        for notice in mine:
            need("ended" not in notice, f"GET /notices lists one that has ended: {short(notice)}")
    after = [notice for notice in found.after if notice["id"] == found.notice["id"]]
    need(
        len(after) == 1 and "ended" in after[0],
        f"GET /notices?ended=true lists of a notice that has ended {short(after)}; "
        "the notice is demanded, with `ended`",
    )
    holding = (await bench.owner.get("/notices"))["notices"]
    both = {notice["id"] for notice in (await bench.owner.get("/notices?ended=true"))["notices"]}
    missing = [notice["id"] for notice in holding if notice["id"] not in both]
    need(not missing, f"ended=true leaves out notices that hold: {short(missing)}")


@section.check("hub-notice-acknowledged")
async def hub_notice_acknowledged(bench: HubBench) -> None:
    """NOTE-006: the first who says so."""
    found = await bench.once(troubles.fault)
    need(found.acknowledged, "there was no notice to acknowledge")
    for _, answer in found.acknowledged:
        need(
            answer.status == 200,
            f"PUT /notices/{{id}}/acknowledged: {answer.status} {answer.code}; 200 is demanded",
        )
    first = found.acknowledged[0][1].json
    need(
        first.get("acknowledged_by") == bench.name and "acknowledged" in first,
        f"{bench.name} acknowledged; the notice has {[first.get(name) for name in ACKNOWLEDGED]}",
    )
    for later in (found.acknowledged[1][1].json, found.later):
        for name in ACKNOWLEDGED:
            need(
                later.get(name) == first[name],
                f"after {found.by} acknowledged as well, {name} is {short(later.get(name))}; "
                f"that of the first, {first[name]!r}, is to stay",
            )


@section.check("hub-notice-acknowledged-only")
async def hub_notice_acknowledged_only(bench: HubBench) -> None:
    """NOTE-007: neither "it is over" nor "go on"."""
    found = await bench.once(troubles.fault)
    need(found.acknowledged, "there was no notice to acknowledge")
    need(found.later, "the notice ended when it was acknowledged; its cause went on")
    for name in (set(found.notice) | set(found.later)) - set(ACKNOWLEDGED):
        need(
            found.later.get(name) == found.notice.get(name),
            f"acknowledging changed {name} of the notice from {short(found.notice.get(name))} to "
            f"{short(found.later.get(name))}",
        )
    need(not found.told, f"acknowledging let the hub send the module {short(found.told)}")
