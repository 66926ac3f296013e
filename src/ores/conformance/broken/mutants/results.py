"""Modules that say something else of a lease than what has become of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.model import ElementCommand, Lease, LeaseResult, Limits, Outcome
from ores.module import control, effective
from ores.module.control import Control
from ores.module.part import Part

Json = Any


@broken("result-names-lease")
def names_the_lease_in_force(seams: Seams) -> None:
    """In a refusal it names what it obeys in place of what it was asked."""
    last: list[dict[str, Any]] = []

    def change(result: Json) -> Json:
        if "code" not in result:
            last[:] = [result]
            return result
        if not last or result["code"] == "lease_other_boot":
            return result
        return {**result, "epoch": last[0]["epoch"], "seq": last[0]["seq"]}

    seams.on_result(change)


@broken("result-whole-refusal")
def refuses_by_status(seams: Seams) -> None:
    """By PUT a refusal looks like an error, as it does elsewhere on the web."""

    def answer(asked: Asked, status: int, body: Json) -> tuple[int, Json] | None:
        if asked.path == "/lease" and status == 200 and "code" in body:
            return 409, {"title": "Conflict", "status": 409, "code": body["code"]}
        return None

    seams.answers.append(answer)


@broken("result-whole-refusal", variant="ignored", also=("result-code-means-whole",))
def says_that_it_is_ignored(seams: Seams) -> None:
    """A result of its own, which nobody has agreed on."""

    def answer(asked: Asked, status: int, body: Json) -> tuple[int, Json] | None:
        if asked.path == "/lease" and status == 200 and "code" in body:
            return 200, {**body, "result": "ignored"}
        return None

    seams.answers.append(answer)


def _on_outcomes(seams: Seams, change: Callable[[str, str, Json], Json | None]) -> None:
    """Change each outcome; `change` gets element, capability and outcome, and None leaves it out."""

    def on_result(result: Json) -> Json:
        if "outcomes" not in result:
            return result
        outcomes: dict[str, dict[str, Json]] = {}
        for name, found in result["outcomes"].items():
            for capability, outcome in found.items():
                changed = change(name, capability, outcome)
                if changed is not None:
                    outcomes.setdefault(name, {})[capability] = changed
        worst = max(
            (one["result"] for found in outcomes.values() for one in found.values()),
            key=("applied", "clipped", "refused").index,
            default="applied",
        )
        rest = {name: value for name, value in result.items() if name not in {"outcomes", "result"}}
        if "code" in result:
            return result
        return {**rest, "result": worst, **({"outcomes": outcomes} if outcomes else {})}

    seams.on_result(on_result)


def _recoded(seams: Seams, right: str, wrong: str) -> None:
    _on_outcomes(
        seams, lambda _n, _c, outcome: {**outcome, "code": wrong} if outcome.get("code") == right else outcome
    )


@broken("result-part-refused", variant="element", also=("lease-many-refusals",))
def says_nothing_of_elements_that_are_not_there(seams: Seams) -> None:
    """What is not there cannot have an outcome."""
    _on_outcomes(seams, lambda _n, _c, outcome: None if outcome.get("code") == "unknown_element" else outcome)


@broken("result-part-refused", variant="capability")
def takes_a_capability_for_an_element(seams: Seams) -> None:
    """One code for all that it does not know."""

    def change(_: str, capability: str, outcome: Json) -> Json:
        wrong = outcome.get("code") == "unknown_capability" and capability != "limit"
        return {**outcome, "code": "unknown_element"} if wrong else outcome

    _on_outcomes(seams, change)


@broken("result-part-refused", variant="mode")
def takes_a_mode_for_a_capability(seams: Seams) -> None:
    """One code for all that an element does not know."""
    _recoded(seams, "unknown_mode", "unknown_capability")


@broken("result-part-refused", variant="whole", also=("result-code-means-whole",))
def refuses_all_for_one(seams: Seams) -> None:
    """One circuit too many leaves the battery without its limit."""
    right = Control.take

    def strict(self: Control, peer_id: str, lease: Lease, **known: Any) -> LeaseResult:
        result = right(self, peer_id, lease, **known)
        if NOWHERE in lease.elements:
            for part in self.parts.values():
                part.lease(None)
                part.settle(known["now_s"])
        return result

    seams.attribute(Control, "take", strict)


NOWHERE = "no_such_element"


@broken("result-code-means-whole")
def puts_the_code_of_a_part_on_top(seams: Seams) -> None:
    """So that it is found at once; and a hub believes that nothing holds."""

    def change(result: Json) -> Json:
        codes = [
            outcome["code"]
            for found in result.get("outcomes", {}).values()
            for outcome in found.values()
            if outcome.get("code") == "unknown_element"
        ]
        return {"code": codes[0], **result} if codes else result

    seams.on_result(change)


@broken("lease-many-refusals")
def loses_count_of_its_refusals(seams: Seams) -> None:
    """After eight it says nothing of the others."""

    def change(result: Json) -> Json:
        outcomes = result.get("outcomes", {})
        return {**result, "outcomes": dict(list(outcomes.items())[:8])} if len(outcomes) > 8 else result

    seams.on_result(change)


@broken("limit-number-refused-alone")
def refuses_a_limit_with_the_one_beside_it(seams: Seams) -> None:
    """Amperes that nobody can keep take the watts away."""
    right = effective.vet

    def vet(rules: Any, command: ElementCommand) -> tuple[ElementCommand, dict[str, Outcome]]:
        left, refused = right(rules, command)
        return (msgspec.structs.replace(left, limit=UNSET) if "limit" in refused else left), refused

    seams.attribute(control, "vet", vet)


@broken("refused-counts-as-absent")
def goes_on_with_what_it_had(seams: Seams) -> None:
    """What it refuses it has not heard, and what it heard before goes on."""
    right_vet, right_lease = effective.vet, Part.lease
    refusing: list[bool] = []

    def vet(rules: Any, command: ElementCommand) -> tuple[ElementCommand, dict[str, Outcome]]:
        left, refused = right_vet(rules, command)
        nothing_left = left.limit is UNSET or left.limit == Limits()
        refusing[:] = ["limit" in refused and nothing_left]
        return left, refused

    def lease(self: Part, command: ElementCommand | None) -> None:
        if command is not None and refusing == [True] and self.leased is not None:
            command = msgspec.structs.replace(command, limit=self.leased.limit)
        refusing.clear()
        right_lease(self, command)

    seams.attribute(control, "vet", vet)
    seams.attribute(Part, "lease", lease)


@broken("result-clipped", also=("own-bounds-enforced",))
def says_that_it_was_applied(seams: Seams) -> None:
    """It cuts, and does not tell."""
    _on_outcomes(
        seams,
        lambda _n, capability, outcome: (
            None if capability == "setpoint" and outcome["result"] == "clipped" else outcome
        ),
    )


@broken("result-clipped", variant="why")
def does_not_say_why(seams: Seams) -> None:
    """It says how much, and nothing else."""

    def change(_: str, capability: str, outcome: Json) -> Json:
        if capability != "setpoint":
            return outcome
        return {name: value for name, value in outcome.items() if name != "limited_by"}

    _on_outcomes(seams, change)


@broken("result-clipped", variant="asked")
def says_what_was_asked(seams: Seams) -> None:
    """The power in its answer is that of the question, doubled here so that it is seen."""

    def change(_: str, capability: str, outcome: Json) -> Json:
        if capability != "setpoint" or "power_w" not in outcome:
            return outcome
        return {**outcome, "power_w": 2 * outcome["power_w"]}

    _on_outcomes(seams, change)


@broken("result-limit-clipped")
def takes_limits_above_its_rating(seams: Seams) -> None:
    """They bind nothing, so that nothing need be said."""
    _on_outcomes(
        seams,
        lambda _n, capability, outcome: (
            None if capability == "limit" and outcome["result"] == "clipped" else outcome
        ),
    )


@broken("result-step-applied")
def takes_its_step_for_a_limit(seams: Seams) -> None:
    """Each rounded watt is told as if somebody had cut it."""
    right = Part.outcome_setpoint

    def precise(self: Part, asked: ElementCommand) -> Outcome | None:
        found = right(self, asked)
        power_w = self.resolved.effective.power_w
        if found is not None or asked.setpoint is UNSET or power_w in {None, asked.setpoint.power_w}:
            return found
        return Outcome(result="clipped", power_w=power_w, limited_by="rating")

    seams.attribute(Part, "outcome_setpoint", precise)
