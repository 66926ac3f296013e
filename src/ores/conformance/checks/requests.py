"""Requests, and the fence around what persists (sections 4.8 and 4.13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.checks.failsafe import limitable, reservable
from ores.conformance.checks.moving import point
from ores.conformance.wire.caller import Answer

UNHEARD_OF: Final = "no_such_request"
LATER_S: Final = 2.0
"""How long to watch whether something that was refused is done all the same."""
ASKABLE: Final = ("isolate", "form_grid", "job")
LOUDER: Final[tuple[Mapping[str, Any], ...]] = ({"force": True}, {"override": True}, {"interlock": "off"})
LOUD_HEADERS: Final = {"X-Force": "true", "X-Override-Interlock": "true", "Prefer": "force"}


section: Section[Bench] = Section(
    "requests",
    "Makes requests that have to be refused, and sets what an older hub may not set.",
    begin=Bench.at_rest,
    end=Bench.put_back,
)


async def ask_for(
    bench: Bench,
    request: str,
    element: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Answer:
    """Make a request, of an element or of the module as a whole."""
    of = {} if element is None else {"element": element}
    body = {**of, "request": request, **more}
    return await bench.controller.request("POST", "/requests", body, headers=headers)


def refused_with(answer: Answer) -> str | None:
    """The code of a request's refusal; None where it was accepted or is no RequestResult."""
    body = answer.json if answer.status == 200 else None
    if not isinstance(body, dict) or body.get("result") != "refused":
        return None
    return str(body.get("code"))


def told(answer: Answer) -> str:
    """An answer for a sentence."""
    return f"{answer.status} {short(answer.json if answer.raw else None)}"


async def served(bench: Bench) -> None:
    """The module takes requests; one that offers some has to.

    Raises:
        NotApplicable: It offers none, and has no such resource.
        Failed: It offers some, and has no such resource.
    """
    answer = await ask_for(bench, UNHEARD_OF)
    if answer.status != 404 or answer.code == "unknown_element":
        return
    offered = [one["id"] for one in bench.elements if any(name in one["capabilities"] for name in ASKABLE)]
    need(
        not offered and not bench.description.get("requests"),
        f"POST /requests was answered with 404; {', '.join(offered) or 'the module itself'} takes requests",
    )
    not_applicable("it takes no requests")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A request that an interlock forbids now.

    Attributes:
        element: Of which it would be made.
        request: Its name.
        why: What forbids it.
    """

    element: Element
    request: str
    why: str

    @property
    def id(self) -> str:
        """Of the element."""
        return str(self.element["id"])


async def forbidden(bench: Bench) -> list[Forbidden]:
    """What interlocks have to forbid as things are: a black start beside the grid, jobs not to be started."""
    state = await bench.state()
    found = [
        Forbidden(former, "black_start", "the tie is closed")
        for former in bench.having("form_grid")
        if tie_of(bench, former, state) is True
    ]
    for machine in bench.having("job"):
        phase = point(state, machine["id"], "job", "phase")
        wait_s = point(state, machine["id"], "job", "earliest_start_in_s") or 0
        if phase == "waiting" and wait_s > 2 * LATER_S:
            found.append(
                Forbidden(machine, "start", f"its people allow it in {wait_s:g} s (earliest_start_in_s)")
            )
        elif phase in {"running", "done", "paused"}:
            found.append(Forbidden(machine, "start", f"its phase is {phase}"))
    return found


async def closed_ties(bench: Bench) -> list[Element]:
    """Ties of which `permit_close` changes nothing."""
    state = await bench.state()
    return [tie for tie in bench.having("isolate") if point(state, tie["id"], "isolate", "closed") is True]


def tie_of(bench: Bench, former: Element, state: Mapping[str, Any]) -> Any:
    """Whether the tie above a former's bus is closed; None where that is not known, or there is none."""
    for tie in bench.having("isolate"):
        if tie["capabilities"]["isolate"].get("downstream_bus") == former.get("bus"):
            return point(state, tie["id"], "isolate", "closed")
    return None


@section.check("request-interlocked")
async def request_interlocked(bench: Bench) -> None:
    """REQ-002: refused with `interlocked`, and not carried out later."""
    await served(bench)
    tried = await forbidden(bench)
    if not tried:
        not_applicable("no interlock that the kit can meet: no closed tie, no appliance that waits or runs")
    before = await bench.state()
    for one in tried:
        answer = await ask_for(bench, one.request, one.id)
        need(
            refused_with(answer) == "interlocked",
            f"{one.request} of {one.id} while {one.why} was answered with {told(answer)}; "
            "refused interlocked is demanded",
        )
    await bench.pause(LATER_S)
    after = await bench.get("/state")
    for one in tried:
        for capability, name, done in (("job", "phase", "running"), ("form_grid", "forming", True)):
            was, now = (point(state, one.id, capability, name) for state in (before, after))
            need(
                was == now or now != done,
                f"{one.request} of {one.id} was refused, for {one.why}; {LATER_S:g} s later "
                f"{capability}.{name} is {now} and was {was}: what was refused is not done later",
            )


@section.check("request-answered")
async def request_answered(bench: Bench) -> None:
    """REQ-001: `accepted`, or `refused` with a code and a detail."""
    await served(bench)
    wanted: list[tuple[str | None, str]] = [(None, UNHEARD_OF)]
    wanted += [(one.id, one.request) for one in (await forbidden(bench))[:2]]
    wanted += [(tie["id"], "permit_close") for tie in await closed_ties(bench)]
    for name, request in wanted:
        answer = await ask_for(bench, request, name)
        what = f"the request {request} of {name or 'the module'} was answered with {told(answer)}"
        need(answer.status == 200 and isinstance(answer.json, dict), f"{what}; a RequestResult is demanded")
        result = answer.json
        need(result.get("result") in {"accepted", "refused"}, f"{what}; accepted or refused is demanded")
        need(
            result["result"] == "accepted" or (result.get("code") and result.get("detail")),
            f"{what}; a refusal has a code and a detail",
        )


@section.check("request-unknown")
async def request_unknown(bench: Bench) -> None:
    """REQ-003: what is not known is refused with `unknown_request`."""
    await served(bench)
    names: list[str | None] = [None, *(element["id"] for element in bench.elements[:2])]
    names += [
        one["id"] for one in bench.elements[2:] if any(known in one["capabilities"] for known in ASKABLE)
    ]
    tried = [(name, UNHEARD_OF) for name in names[:8]]
    tieless = next((one["id"] for one in bench.elements if "isolate" not in one["capabilities"]), None)
    tried += [] if tieless is None else [(tieless, "open")]
    for name, request in tried:
        answer = await ask_for(bench, request, name)
        need(
            refused_with(answer) == "unknown_request",
            f"the request {request}, which {name or 'the module as a whole'} does not have, was answered "
            f"with {told(answer)}; refused unknown_request is demanded",
        )


@section.check("request-unknown-element")
async def request_unknown_element(bench: Bench) -> None:
    """REQ-008: the problem `unknown_element`."""
    await served(bench)
    answer = await ask_for(bench, "open", "no_such_element")
    need(
        answer.status >= 400 and answer.code == "unknown_element",
        f"a request of an element that there is not was answered with {told(answer)}; "
        "the problem unknown_element is demanded",
    )


@section.check("request-no-force")
async def request_no_force(bench: Bench) -> None:
    """REQ-004: no field and no header overrides an interlock."""
    await served(bench)
    tried = await forbidden(bench)
    if not tried:
        not_applicable("no interlock that the kit can meet: no closed tie, no appliance that waits or runs")
    one = tried[0]
    for more in LOUDER:
        answer = await ask_for(bench, one.request, one.id, **more)
        need(
            answer.status >= 400 or refused_with(answer) is not None,
            f"{one.request} of {one.id} while {one.why}, with {short(dict(more))}, was answered with "
            f"{told(answer)}; nothing overrides an interlock",
        )
    answer = await ask_for(bench, one.request, one.id, headers=LOUD_HEADERS)
    need(
        refused_with(answer) == "interlocked",
        f"{one.request} of {one.id} while {one.why}, with the headers {', '.join(LOUD_HEADERS)}, was "
        f"answered with {told(answer)}; refused interlocked is demanded",
    )


@section.check("restart-offered")
async def restart_offered(bench: Bench) -> None:
    """REQ-005: what helps a confused device must not need a hand on the breaker."""
    offered = bench.description.get("requests", [])
    need("restart" in offered, f"the description offers the requests {offered}; restart should be among them")


@section.check("persistent-old-epoch")
async def persistent_old_epoch(bench: Bench) -> None:
    """LEASE-027: what persists is not taken from a hub that is over."""
    bench.epoch += 1
    await bench.give({}, ttl_s=5)
    for path, body in _persistent(bench):
        before = await bench.get(path)
        answer = await bench.put(path, {**body, "epoch": bench.epoch - 1})
        need(
            answer.status >= 400 and answer.code == "lease_old_epoch",
            f"PUT {path} with epoch {bench.epoch - 1}, after a lease of epoch {bench.epoch}, was answered "
            f"with {told(answer)}; the problem lease_old_epoch is demanded",
        )
        now = await bench.get(path)
        need(now == before, f"PUT {path} of an old epoch was refused, and then {short(now)} is there")
        same = await bench.put(path, {**body, "epoch": bench.epoch})
        need(
            same.status == 200,
            f"PUT {path} with the epoch of the lease was answered with {told(same)}; it is not old",
        )
    for tie in await closed_ties(bench):
        answer = await ask_for(bench, "permit_close", tie["id"], epoch=bench.epoch - 1)
        need(
            refused_with(answer) == "lease_old_epoch",
            f"permit_close of {tie['id']} with epoch {bench.epoch - 1}, after a lease of epoch "
            f"{bench.epoch}, was answered with {told(answer)}; refused lease_old_epoch is demanded",
        )


def _persistent(bench: Bench) -> list[tuple[str, dict[str, Any]]]:
    """Something to set that is not there, for each resource that persists."""
    # a schedule without slots may well be refused
    kinds = [kind for kind in bench.description["policies"] if kind != "schedule"] or ["schedule"]
    limits = {element["id"]: {way: round(rating / 7)} for element, way, rating in limitable(bench)[:1]}
    found: list[tuple[str, dict[str, Any]]] = [
        ("/failsafe", {"elements": limits}),
        ("/policy", {"kind": kinds[-1]}),
    ]
    stores = reservable(bench)
    return found + [
        ("/settings", {"elements": {one["id"]: {"storage": {"reserve_pct": 7}}}}) for one in stores[:1]
    ]
