"""Every state that the module has sent, against its description and against physics (3.2, 3.3, 3.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.checks.seen import Seen, all_seen, number

SUM_W: Final = 5.0
SUM_SHARE: Final = 0.01
GRAIN_W: Final = 30.0
"""What currents in tenths of an ampere and voltages in volts may hide."""
METER_PERIOD_S: Final = 1.0
ABSENT_WHILE_WELL: Final = frozenset({"fault"})
STICKER: Final = 1.1
SAG: Final = 0.8
"""Of the nominal voltage: what a conductor may have in a bad hour."""
BETWEEN_TWO: Final = 2.0
"""Of the voltage to neutral: most that two conductors have between them."""

section: Section[Bench] = Section(
    "readings", "Holds the states so far against the description. Nothing is changed.", begin=Bench.described
)


@section.check("state-has-declared-capabilities")
async def state_has_declared_capabilities(bench: Bench) -> None:
    """QTY-005: an object for each declared capability that has points."""
    having_points = set(bench.standard.schema("state")["$defs"]["ElementState"]["properties"])
    for seen in await all_seen(bench):
        for element in bench.elements:
            points = seen.elements.get(element["id"])
            wanted = (set(element["capabilities"]) & having_points) - ABSENT_WHILE_WELL
            missing = sorted(wanted - set(points)) if points is not None else []
            need(
                not missing,
                f"the state at {seen.at_s:.1f} s lacks {', '.join(missing)} of {element['id']}, "
                "which the description declares",
            )


@section.check("state-has-only-declared")
async def state_has_only_declared(bench: Bench) -> None:
    """QTY-006: nothing that the description does not have."""
    known = set(bench.standard.capabilities)
    declared = {element["id"]: set(element["capabilities"]) for element in bench.elements}
    for seen in await all_seen(bench):
        for name, points in seen.elements.items():
            need(name in declared, f"the state at {seen.at_s:.1f} s has {name}, which is no declared element")
            more = sorted((set(points) & known) - declared[name])
            need(
                not more,
                f"the state at {seen.at_s:.1f} s has {', '.join(more)} of {name}, "
                "which the description does not declare",
            )


@section.check("quality-only-when-not-good")
async def quality_only_when_not_good(bench: Bench) -> None:
    """FRESH-005: nearly all are good, and bytes are dear."""
    for seen in await all_seen(bench):
        for name, points in seen.elements.items():
            need(
                points.get("quality") != "good",
                f"the state at {seen.at_s:.1f} s says quality good of {name}; it is sent only when it is not",
            )


@section.check("unknown-is-null")
async def unknown_is_null(bench: Bench) -> None:
    """QTY-004: seen where a state says itself that it does not know, and gives a number all the same."""
    for seen in await all_seen(bench):
        for name, points in seen.elements.items():
            where = f"in the state at {seen.at_s:.1f} s {name}"
            need(
                points.get("quality") != "bad" or _some_null(points),
                f"{where} has quality bad and no null: {short(points)}; what is not known is null",
            )
            measured = points.get("ac_measure") or {}
            conductors = [one.get("power_w", 0) for one in (measured.get("terminals") or {}).values()]
            need(
                not conductors
                or any(found is not None for found in conductors)
                or measured["power_w"] is None,
                f"{where} has power_w {measured.get('power_w')} and null on each conductor",
            )
            if (points.get("ev") or {}).get("connected") is False:
                for capability in ("ev", "storage"):
                    soc_pct = (points.get(capability) or {}).get("soc_pct")
                    need(
                        soc_pct is None,
                        f"{where} has {capability}.soc_pct {soc_pct} and no vehicle; "
                        "the state of charge of what is not there is null",
                    )


def _some_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_some_null(item) for item in value.values())
    return value is None


@section.check("rating-voltage")
async def rating_voltage(bench: Bench) -> None:
    """CAP-026: nominal, so near what is measured to neutral, or what that makes between two conductors."""
    rated = {
        one["id"]: number(one["capabilities"].get("rating", {}).get("voltage_v")) for one in bench.elements
    }
    judged = 0
    for seen, name, measured in await _ac(bench):
        nominal_v = number(rated.get(name))
        for terminal in (measured.get("terminals") or {}).values():
            found_v = number(terminal.get("voltage_v"))
            if nominal_v is None or not found_v:
                continue
            judged += 1
            need(
                SAG * found_v <= nominal_v <= BETWEEN_TWO * found_v / SAG,
                f"{name} declares a rating of {nominal_v:g} V; in the state at {seen.at_s:.1f} s one of its "
                f"conductors has {found_v:g} V",
            )
    if not judged:
        not_applicable("no element declares voltage_v and measures the voltage of a conductor")


@section.check("measure-sums")
async def measure_sums(bench: Bench) -> None:
    """CAP-001: the whole is the sum over the conductors."""
    bench.some("ac_measure")
    for seen, name, measured in await _ac(bench):
        parts = [number(one.get("power_w")) for one in (measured.get("terminals") or {}).values()]
        whole_w = number(measured.get("power_w"))
        if whole_w is None or not parts or None in parts:
            continue
        sum_w = sum(part for part in parts if part is not None)
        need(
            abs(whole_w - sum_w) <= max(SUM_W, SUM_SHARE * abs(whole_w)),
            f"in the state at {seen.at_s:.1f} s {name} has power_w {whole_w:g}; "
            f"its conductors have {sum_w:g} W together",
        )


async def _ac(bench: Bench) -> list[tuple[Seen, str, Mapping[str, Any]]]:
    """Each AC measurement so far."""
    return [
        (seen, name, points["ac_measure"])
        for seen in await all_seen(bench)
        for name, points in seen.elements.items()
        if isinstance(points.get("ac_measure"), dict)
    ]


@section.check("measure-accuracy")
async def measure_accuracy(bench: Bench) -> None:
    """QTY-007: as far as a reading judges itself: DC power is voltage times current, and AC power no more."""
    if not bench.having("ac_measure") and not bench.having("dc_measure"):
        not_applicable("no element measures power")
    for seen in await all_seen(bench):
        for element in bench.elements:
            for found_w, most_w, what in _by_volts_and_amperes(seen, element):
                allowed_w = GRAIN_W + abs(most_w) * 2 * _accuracy_pct(element) / 100
                need(
                    abs(found_w) <= abs(most_w) + allowed_w
                    and (what == "AC" or abs(found_w - most_w) <= allowed_w),
                    f"in the state at {seen.at_s:.1f} s {element['id']} has {found_w:g} W; "
                    f"voltage times current is {most_w:g}, and its accuracy {_accuracy_pct(element):g} %",
                )


def _accuracy_pct(element: Element) -> float:
    """As declared; 3 % where it is not."""
    able = element["capabilities"]
    declared = able.get("ac_measure", able.get("dc_measure", {})).get("accuracy_pct")
    return max(float(declared), 1.0) if declared is not None else 3.0


def _by_volts_and_amperes(seen: Seen, element: Element) -> Iterator[tuple[float, float, str]]:
    """Power as told, voltage times current, and of which sort."""
    points = seen.points(element["id"], "dc_measure")
    power_w, volts, amperes = (number(points.get(name)) for name in ("power_w", "voltage_v", "current_a"))
    if power_w is not None and volts is not None and amperes is not None:
        yield power_w, volts * amperes, "DC"
    for one in (seen.points(element["id"], "ac_measure").get("terminals") or {}).values():
        power_w, volts, amperes = (number(one.get(name)) for name in ("power_w", "voltage_v", "current_a"))
        if power_w is not None and volts is not None and amperes is not None:
            yield power_w, volts * amperes, "AC"


@section.check("meter-report-period")
async def meter_report_period(bench: Bench) -> None:
    """CAP-002: the meter at the connection point reports each second, with power on each conductor."""
    meter = at_connection_point(bench)
    need(
        bench.period_s <= METER_PERIOD_S,
        f"{meter['id']} is the grid connection point and report_period_s is "
        f"{bench.period_s:g}; 1 or less is asked",
    )
    for seen in await all_seen(bench):
        conductors = seen.points(meter["id"], "ac_measure").get("terminals") or {}
        need(
            conductors and all("power_w" in one for key, one in conductors.items() if key != "N"),
            f"the state at {seen.at_s:.1f} s gives no power for each conductor of {meter['id']}, "
            "the grid connection point",
        )


def at_connection_point(bench: Bench) -> Element:
    """The element at the grid connection point.

    Raises:
        NotApplicable: There is none.
    """
    for element in bench.having("ac_measure"):
        if element["capabilities"]["ac_measure"].get("connection_point") is True:
            return element
    return not_applicable("no element is the grid connection point")


@section.check("storage-capacity")
async def storage_capacity(bench: Bench) -> None:
    """CAP-013: what is declared is usable: no more than the state's own capacity, at its health."""
    bench.some("storage")
    told = False
    for seen in await all_seen(bench):
        for element in bench.having("storage"):
            points = seen.points(element["id"], "storage")
            now_wh, health_pct = number(points.get("capacity_wh")), number(points.get("soh_pct"))
            declared_wh = number(element["capabilities"]["storage"].get("capacity_wh"))
            if now_wh is None or health_pct is None or declared_wh is None:
                continue
            told = True
            need(
                declared_wh * health_pct / 100 <= now_wh * STICKER,
                f"{element['id']} declares capacity_wh {declared_wh:g}; at soh_pct {health_pct:g} "
                f"{now_wh:g} are usable: the declared ones are those on the sticker",
            )
    if not told:
        not_applicable("no state tells both capacity_wh and soh_pct of a store")


@section.check("mode-declared")
async def mode_declared(bench: Bench) -> None:
    """CAP-016: a declared one, or null."""
    bench.some("mode")
    for seen in await all_seen(bench):
        for element in bench.having("mode"):
            found = seen.points(element["id"], "mode").get("mode")
            modes = element["capabilities"]["mode"].get("modes", {})
            need(
                found is None or found in modes,
                f"in the state at {seen.at_s:.1f} s {element['id']} runs in mode {short(found)}; "
                f"it declares {', '.join(modes)}",
            )


@section.check("ev-unknown-need")
async def ev_unknown_need(bench: Bench) -> None:
    """CAP-017: null where the need is not known, as it is not without a vehicle."""
    bench.some("ev")
    for seen in await all_seen(bench):
        for element in bench.having("ev"):
            points = seen.points(element["id"], "ev")
            need(
                points.get("connected") is True or points.get("energy_needed_wh") is None,
                f"in the state at {seen.at_s:.1f} s {element['id']} has energy_needed_wh "
                f"{points.get('energy_needed_wh')} and connected {points.get('connected')}; "
                "the need of no vehicle is null",
            )


@section.check("hazard-declared")
async def hazard_declared(bench: Bench) -> None:
    """CAP-021: declared inputs that are active, latched or unknown, and nothing else."""
    bench.some("hazard")
    for seen in await all_seen(bench):
        for element in bench.having("hazard"):
            inputs = element["capabilities"]["hazard"].get("inputs", [])
            for name, found in seen.points(element["id"], "hazard").get("hazards", {}).items():
                where = f"in the state at {seen.at_s:.1f} s {element['id']} has the hazard {name}"
                need(name in inputs, f"{where}; its inputs are {', '.join(inputs)}")
                need(
                    found.get("active") is not False or found.get("latched") is True,
                    f"{where}, which is neither active nor latched nor unknown",
                )


@section.check("faults-agree")
async def faults_agree(bench: Bench) -> None:
    """CAP-019: what stands in the state stands in `/faults`, unless one has just begun or ended."""
    for _ in range(3):
        before, faults, after = [await bench.get(path) for path in ("/state", "/faults", "/state")]
        told = {name: _fault(points) for name, points in before["elements"].items() if "fault" in points}
        still = {name: _fault(points) for name, points in after["elements"].items() if "fault" in points}
        listed = {name: _fault({"fault": fault}) for name, fault in _elements(faults).items()}
        if told == still:
            break
    need(told == listed, f"the state has the faults {short(told)}; GET /faults has {short(listed)}")


def _elements(faults: Any) -> Mapping[str, Any]:
    found = faults.get("elements") if isinstance(faults, dict) else None
    need(
        isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()),
        f"GET /faults gave {short(faults)}; a Faults is demanded",
    )
    return found or {}


def _fault(points: Mapping[str, Any]) -> list[str]:
    fault = points["fault"]
    return sorted(fault.get("codes", [])) + ["(latched)"] * (fault.get("latched") is True)
