"""Elements and what they declare: wiring, ratings, ranges (sections 2.1, 3.4, 3.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, not_applicable, short

SEVERAL_CONDUCTORS: Final = frozenset({"split_phase", "three_phase"})
AC_KINDS: Final = frozenset({"inverter", "ac_port", "circuit", "meter", "evse", "load", "heat", "generator"})
LIMITS: Final = (("consume", "consume_max_w"), ("produce", "produce_max_w"), ("current", "current_max_a"))

section: Section[Bench] = Section(
    "elements", "Looks at the elements and what they declare. Nothing is changed.", begin=Bench.described
)


@section.check("element-ids-unique")
async def element_ids_unique(bench: Bench) -> None:
    """ELEM-001: they are the keys of every message."""
    for name, many in Counter(element.get("id") for element in bench.elements).items():
        need(many == 1, f"{many} elements have the id {short(name)}; ids are unique within a module")


@section.check("element-upstream")
async def element_upstream(bench: Bench) -> None:
    """ELEM-003: an element of the same module, without circles."""
    above = {element["id"]: element.get("upstream") for element in bench.elements}
    for start in above:
        path = [start]
        while (step := above[path[-1]]) is not None:
            need(
                step in above, f"{path[-1]} has the upstream {short(step)}, which is no element of the module"
            )
            need(step not in path, f"upstream goes in a circle: {' > '.join([*path, step])}")
            path.append(step)


@section.check("element-terminals")
async def element_terminals(bench: Bench) -> None:
    """ELEM-005: an element with AC measurement that several conductors feed names them."""
    for element in bench.having("ac_measure"):
        if element.get("connection") in SEVERAL_CONDUCTORS:
            need(
                len(element.get("terminals", [])) > 1,
                f"{element['id']} is connected by {element['connection']} and has the terminals "
                f"{short(element.get('terminals', []))}; its conductors are to be named",
            )
    for name, found in _measured_conductors(bench).items():
        named = set(next((one.get("terminals", []) for one in bench.elements if one["id"] == name), []))
        need(
            len(found) < 2 or found <= named,
            f"the state measures {name} on {', '.join(sorted(found))}; "
            f"its description names the terminals {short(sorted(named))}",
        )


def _measured_conductors(bench: Bench) -> dict[str, set[str]]:
    """On which live conductors each element has been measured so far."""
    found: dict[str, set[str]] = {}
    for line in bench.transcript.lines:
        body = line.body if line.by == "subject" and isinstance(line.body, dict) else {}
        state = body.get("state", body) if line.what in {"frame", "200 GET /state"} else {}
        for name, points in (state.get("elements") or {}).items():
            terminals = (points.get("ac_measure") or {}).get("terminals") or {}
            found.setdefault(name, set()).update(set(terminals) - {"N"})
    return found


@section.check("element-tie-isolate")
async def element_tie_isolate(bench: Bench) -> None:
    """ELEM-007: a tie has `isolate`, and nothing else has."""
    for element in bench.elements:
        is_tie, isolates = element.get("kind") == "tie", "isolate" in element["capabilities"]
        need(
            is_tie == isolates,
            f"{element['id']} of kind {element.get('kind')} {'has' if isolates else 'lacks'} isolate; "
            "a tie has it, and no other kind",
        )


@section.check("element-bus-named")
async def element_bus_named(bench: Bench) -> None:
    """BUS-001: where a tie can open, each AC element says on which side it sits."""
    if not bench.having("isolate"):
        not_applicable("the module has no tie")
    for element in bench.elements:
        need(
            "bus" in element or not is_ac(element),
            f"{element['id']} names no bus; a module with a tie names that of each AC element",
        )


def is_ac(element: Element) -> bool:
    """Whether it is wired to alternating current, as far as the description tells."""
    if element.get("connection") == "dc" or element.get("terminals") == ["DC"]:
        return False
    return "ac_measure" in element["capabilities"] or element.get("kind") in AC_KINDS


@section.check("element-not-counted-twice")
async def element_not_counted_twice(bench: Bench) -> None:
    """ELEM-004: what another element of the module measures as well has it as its upstream.

    Seen where it cannot be otherwise: what hangs on a DC bus is measured once more by the inverter before it.
    """
    inverters = [one["id"] for one in bench.having("ac_measure") if one.get("kind") == "inverter"]
    for element in bench.elements:
        measured = {"ac_measure", "dc_measure"} & set(element["capabilities"])
        if str(element.get("bus", "")).startswith("dc") and measured and inverters:
            need(
                "upstream" in element,
                f"{element['id']} hangs on the bus {element['bus']} and has no upstream; "
                f"its power flows through {' or '.join(inverters)}, which measures it again",
            )


@section.check("limit-needs-rating")
async def limit_needs_rating(bench: Bench) -> None:
    """CAP-007: a limit in a direction has the rating for it."""
    bench.some("limit")
    for element in bench.having("limit"):
        able = element["capabilities"]
        for way, field in LIMITS:
            need(
                able["limit"].get(way) is not True or field in able.get("rating", {}),
                f"{element['id']} declares limit.{way} without rating.{field}; "
                "without it the end of a lease leaves nothing that binds",
            )


@section.check("setpoint-within-rating")
async def setpoint_within_rating(bench: Bench) -> None:
    """CAP-009: what is offered is possible."""
    bench.some("setpoint")
    for element in bench.having("setpoint"):
        able = element["capabilities"]
        for field in ("consume_max_w", "produce_max_w"):
            most = able.get("rating", {}).get(field)
            asked = able["setpoint"].get(field, 0)
            need(
                most is None or asked <= most,
                f"{element['id']} declares set-points with {field} {asked:g}; its rating allows {most}",
            )


@section.check("ranges-possible")
async def ranges_possible(bench: Bench) -> None:
    """CAP-025: neither empty nor beyond what the element bears."""
    ranges = [(element["id"], *one) for element in bench.elements for one in _ranges(element["capabilities"])]
    if not ranges:
        not_applicable("no element declares a range")
    for name, what, least, most, rated in ranges:
        need(
            least is None or most is None or least <= most,
            f"{name} declares for {what} at least {least} and at most {most}; that range is empty",
        )
        for bound in (least, most):
            need(
                rated is None or bound is None or bound <= rated,
                f"{name} declares {bound} for {what}; its rating allows {rated}",
            )


Range = tuple[str, float | None, float | None, float | None]


def _ranges(able: Mapping[str, Any]) -> Iterator[Range]:
    """Of what, at least, at most, and what the rating allows; None is not declared."""
    rating = able.get("rating", {})
    if ev := able.get("ev"):
        yield "ev.current", ev.get("current_min_a"), ev.get("current_max_a"), rating.get("current_max_a")
    for name, of in able.get("mode", {}).get("modes", {}).items():
        watts = rating.get("consume_max_w")
        yield f"mode {name}", of.get("consume_min_w"), of.get("consume_max_w"), watts
    if kept := able.get("thermal"):
        yield "thermal.temperature", kept.get("temperature_min_c"), kept.get("temperature_max_c"), None
    if moved := able.get("setpoint"):
        yield "setpoint.consume", moved.get("consume_min_w"), moved.get("consume_max_w"), None


@section.check("produce-once")
async def produce_once(bench: Bench) -> None:
    """CAP-020: a source is told on its string or on the inverter before it, and not on both."""
    bench.some("produce")
    by_id = {element["id"]: element for element in bench.elements}
    for element in bench.having("produce"):
        seen, step = {element["id"]}, by_id.get(element.get("upstream"))
        while step is not None and step["id"] not in seen:
            need(
                "produce" not in step["capabilities"],
                f"{element['id']} has produce, and so has {step['id']} before it; a source is told once",
            )
            seen.add(step["id"])
            step = by_id.get(step.get("upstream"))


@section.check("form-grid-on-former")
async def form_grid_on_former(bench: Bench) -> None:
    """CAP-015: on the element whose power holds the island: one on the lower side of a tie, with a rating."""
    bench.some("form_grid")
    below = {tie["capabilities"]["isolate"].get("downstream_bus") for tie in bench.having("isolate")}
    for former in bench.having("form_grid"):
        able = former["capabilities"]
        need(
            {"ac_measure", "dc_measure"} & set(able),
            f"{former['id']} has form_grid and measures no power; its headroom belongs to its measurement",
        )
        need(
            former.get("kind") not in {"tie", "ac_port", "circuit", "meter", "pv"},
            f"{former['id']} has form_grid and is a {former.get('kind')}; its power is that of others",
        )
        need(
            not below or former.get("bus") in below or not is_ac(former),
            f"{former['id']} has form_grid and sits on the bus {short(former.get('bus'))}; "
            f"an island is {' or '.join(sorted(map(str, below)))}",
        )
        most = able.get("rating", {}).get("produce_max_w")
        need(
            most is None or able["form_grid"].get("power_max_w", 0) <= most,
            f"{former['id']} forms a grid with power_max_w {able['form_grid'].get('power_max_w')}; "
            f"its rating allows {most}",
        )


@section.check("fault-on-first-element")
async def fault_on_first_element(bench: Bench) -> None:
    """CAP-024: the first element speaks for the module as a whole."""
    first = bench.elements[0]
    need(
        "fault" in first["capabilities"],
        f"{first['id']}, the first element, declares no fault; those of the module as a whole stand there",
    )
