"""Decisions that are only thought, and those of before a restart (section 6.8)."""

from __future__ import annotations

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import again, history, live, modules

section: Section[HubBench] = Section(
    "decisions", "Looks at decisions that were not carried out, and restarts the hub.", begin=live.ready
)


@section.check("hub-decision-watch-only")
async def hub_decision_watch_only(bench: HubBench) -> None:
    """DEC-004: what the hub would do."""
    found = (await bench.once(modules.freed)).watched
    need(found, "a wish about a module that is only watched led to no decision")
    need(
        found.get("watch_only") is True,
        f"a decision about a module that is only watched has watch_only {short(found.get('watch_only'))}; "
        "true is demanded",
    )


@section.check("hub-watch-kept")
async def hub_watch_kept(bench: HubBench) -> None:
    """HUB-015: a power cut allows nothing."""
    found = await bench.once(again.restarted)
    flags = [
        {
            module["id"]: module.get("watch_only")
            for module in of["/modules"]["modules"]
            if module.get("paired")
        }
        for of in (found.before, found.after)
    ]
    need(
        flags[0] == flags[1],
        f"watch_only of the modules was {short(flags[0])} before a restart, and is "
        f"{short(flags[1])} after it",
    )
    watched = bench.players["Watched"]
    told = [lease for lease in watched.leases if lease.at_s > found.off_s]
    need(not told, f"a module that is only watched got {len(told)} leases after a restart of the hub")


@section.check("hub-decisions-kept")
async def hub_decisions_kept(bench: HubBench) -> None:
    """DEC-007: the question comes the day after."""
    found = await bench.once(again.restarted)
    before, after = (
        {one["id"]: one for one in of["/decisions?limit=200"]["decisions"]}
        for of in (found.before, found.after)
    )
    need(before, "there was no decision before the restart")
    oldest = min(after, default=0)  # the page may be full
    lost = [before[number] for number in sorted(before) if number not in after and number >= oldest]
    need(
        not lost,
        f"of {len(before)} decisions before a restart {len(lost)} are lost, such as {short(lost[-1:])}",
    )
    for number in set(before) & set(after):
        for name in ("time", "module", "element", "reason", "source"):
            need(
                before[number].get(name) == after[number].get(name),
                f"{name} of decision {number} was {short(before[number].get(name))} before a restart, and is "
                f"{short(after[number].get(name))} after it",
            )


@section.check("hub-history-kept")
async def hub_history_kept(bench: HubBench) -> None:
    """HIST-009: over a restart, but for the last 10 s."""
    found = await bench.once(again.restarted)
    past, later = found.past, found.past_after
    need(past is not None and later is not None, "the history could not be asked over a restart")
    if past is None or later is None:
        return
    for name in past.series:
        values = [value for _, _, value in past.steps(name)]
        need(
            any(value is not None for value in values), f"the history had nothing of {name} before a restart"
        )
        have = {round(start_s): value for start_s, _, value in later.steps(name)}
        for start_s, end_s, value in past.steps(name):
            if value is None or end_s > found.off_s - again.BUT_FOR_S - history.LATE_S:
                continue
            need(
                have.get(round(start_s)) is not None,
                f"{name} had {value} {found.off_s - start_s:.0f} s before a restart; after it the history "
                "holds nothing of that",
            )
