"""What the claim as a whole comes to, after everything else (section 1.6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, short
from ores.conformance.checks.description import judged_profiles
from ores.conformance.checks.seen import Seen
from ores.conformance.standard import Requirement, Standard
from ores.conformance.verdict import Result, Status

SUMS: Final = frozenset(
    {"conformance-core-complete", "conformance-hub-core-complete", "conformance-extended-complete"}
)
"""Checks that fail with any other: they say what the others come to."""
NO_COMMAND: Final = frozenset({"unknown_capability", "device_refused", "device_failed"})
LIMITS: Final = (("consume", "consume_max_w"), ("produce", "produce_max_w"), ("current", "current_max_a"))

section: Section[Bench] = Section(
    "claim", "Sums up whether the module keeps what its description and its profiles promise."
)


@section.check("conformance-core-complete")
async def conformance_core_complete(bench: Bench) -> None:
    """CONF-001: every core requirement for modules, and for each profile that is claimed."""
    broken = broken_ids(bench.standard, bench.verdicts, _binding(bench), extended=False)
    need(not broken, f"core requirements are not kept: {', '.join(broken)}")


@section.check("conformance-extended-complete")
async def conformance_extended_complete(bench: Bench) -> None:
    """CONF-003: every requirement about what is offered beside."""
    broken = broken_ids(bench.standard, bench.verdicts, _binding(bench), extended=True)
    need(
        not broken,
        f"extended resources or capabilities are offered, and of them is not kept: {', '.join(broken)}",
    )


def _binding(bench: Bench) -> set[str]:
    """Whom the requirements bind that this module has to keep."""
    return {"module", *judged_profiles(bench)}


def broken_ids(
    standard: Standard, verdicts: Iterable[Result], binding: set[str], *, extended: bool
) -> list[str]:
    """Ids of the requirements of a class that a check before found broken.

    Args:
        standard: Whose requirements.
        verdicts: Of the checks before.
        binding: `hub`, or `module` and profiles.
        extended: The class.
    """
    found = {
        row.id
        for result in verdicts
        if result.status is Status.FAIL
        for row in standard.proved_by(result.check)
        if row.extended is extended and _binds(row, binding)
    }
    return sorted(found)


def _binds(row: Requirement, actors: set[str]) -> bool:
    return row.level == "MUST" and bool(actors & set(row.profiles))


declared: Section[Bench] = Section(
    "declared",
    "Gives each command that is declared once, as gently as it goes: rated limits, set-points of 0.",
    begin=Bench.at_rest,
)


@declared.check("declared-means-done")
async def declared_means_done(bench: Bench) -> None:
    """CONF-006: what is declared can be commanded."""
    state = Seen(bench.elapsed_s, await bench.state())
    gentle = {element["id"]: command for element in bench.elements if (command := _gentle(element, state))}
    result = await bench.give(gentle, ttl_s=2)
    for name, outcomes in result.get("outcomes", {}).items():
        for capability, outcome in outcomes.items():
            need(
                outcome.get("code") not in NO_COMMAND,
                f"{name} declares {capability}, and {short(gentle[name].get(capability))} was answered "
                f"with {outcome.get('code')} {short(outcome.get('detail'))}; what is only read declares none",
            )


def _gentle(element: Element, state: Seen) -> dict[str, Any]:
    """Every command of an element, so that as little as possible happens."""
    able, command = element["capabilities"], dict[str, Any]()
    rating = able.get("rating", {})
    limits = {
        field: round(rating[field], 1)
        for way, field in LIMITS
        if able.get("limit", {}).get(way) is True and field in rating
    }
    if limits:
        command["limit"] = limits
    if "setpoint" in able:
        command["setpoint"] = {"power_w": 0}
    if "switch" in able:
        command["switch"] = {"closed": state.points(element["id"], "switch").get("closed") is not False}
    if "mode" in able:
        modes = able["mode"].get("modes", {})
        now = state.points(element["id"], "mode").get("mode")
        command["mode"] = {"mode": now if now in modes else next(iter(modes), "normal")}
    return command
