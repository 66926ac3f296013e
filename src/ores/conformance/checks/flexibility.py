"""What a module tells of its flexibility, against its description and its state (sections 5.1, 5.2, 5.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.checks.moving import NOISE_W, declared, point
from ores.conformance.checks.seen import Seen, all_seen, number
from ores.conformance.wire.caller import Answer

Told = Mapping[str, Any]
FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "power": ("setpoint", "limit"),
    "store": ("storage", "thermal", "ev"),
    "production": ("produce",),
    "vehicle": ("ev",),
    "modes": ("mode",),
    "thermal": ("thermal",),
    "shed": ("switch",),
    "job": ("job",),
}
"""Capabilities of which an element needs one for a part to be told of it (the table of 5.2)."""
DERIVED: Final[Mapping[str, tuple[str, ...]]] = {**FOR, "store": ("storage",)}
"""Likewise, for what a hub could derive."""
SAME: Final = (
    ("vehicle", "connected", "ev"),
    ("modes", "mode", "mode"),
    ("shed", "closed", "switch"),
    ("job", "phase", "job"),
)
"""Words that stand in both: part, field, capability of the state."""
ALIKE: Final = (
    ("production", "available_w", "produce", 2 * NOISE_W),
    ("vehicle", "energy_needed_wh", "ev", 200.0),
    ("thermal", "temperature_c", "thermal", 0.6),
    ("thermal", "outdoor_temperature_c", "thermal", 0.6),
    ("job", "energy_wh", "job", 20.0),
    ("job", "duration_s", "job", 10.0),
    ("job", "earliest_start_in_s", "job", 10.0),
    ("job", "latest_end_in_s", "job", 10.0),
    ("vehicle", "departure_in_s", "ev", 60.0),
    ("modes", "next_change_in_s", "mode", 10.0),
)
"""Numbers that stand in both, with what rounding and a moment may change; of large ones a twentieth."""
DECLARED: Final = (
    ("power", "consume_max_w", "rating"),
    ("power", "produce_max_w", "rating"),
    ("power", "consume_min_w", "setpoint"),
    ("power", "step_w", "setpoint"),
    ("power", "response_s", "setpoint"),
    ("production", "peak_w", "produce"),
    ("modes", "hold_s", "mode"),
    ("thermal", "temperature_min_c", "thermal"),
    ("thermal", "temperature_max_c", "thermal"),
    ("thermal", "heat_max_w", "thermal"),
    ("shed", "critical", "switch"),
    ("shed", "min_on_s", "switch"),
    ("shed", "min_off_s", "switch"),
)
"""What stands in the description and is told as it is: part, field, capability."""
BOUNDS: Final = ("consume_min_w", "consume_max_w")
SHARE: Final = 0.05
CAPACITY_SHARE: Final = 0.02
RATING_GRAIN: Final = 1.01
SUM_SHARE: Final = 0.1
MOMENT_S: Final = 2.0
MINUTE_S: Final = 60.0
APART_S: Final = 4.0
"""The least time between two looks that shows whether a time runs."""
LASTING: Final = {
    "power": ("consume_max_w", "produce_max_w", "consume_min_w"),
    "store": ("capacity_wh", "energy_min_wh", "energy_max_wh"),
    "production": ("peak_w",),
    "thermal": ("temperature_min_c", "temperature_max_c", "heat_max_w"),
}
"""What the mere passing of time does not change."""

section: Section[Bench] = Section(
    "flexibility", "Reads what the module tells of its flexibility. Nothing is changed.", begin=Bench.at_rest
)
later: Section[Bench] = Section(
    "flexibility later", "Reads it once more, to see what time has done to it.", begin=Bench.at_rest
)


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer to `GET /flexibility`.

    Attributes:
        answer: As it came.
        before: The state just before.
        after: The state just after.
    """

    answer: Answer
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def message(self) -> Told:
        """What it says; empty where it is no Flexibility."""
        found = self.answer.json if self.answer.status == 200 else None
        return found if isinstance(found, dict) else {}

    @property
    def uptime_s(self) -> float:
        """When it was drawn up."""
        return (number(self.message.get("uptime_ms")) or 0.0) / 1000

    def parts(self, name: str) -> Iterator[tuple[str, Told]]:
        """A part of each element of which it is told."""
        for element, told in self.message.get("elements", {}).items():
            if isinstance(told.get(name), dict):
                yield element, told[name]


async def _hear(bench: Bench) -> Heard:
    before = await bench.get("/state")
    answer = await bench.controller.request("GET", "/flexibility")
    return Heard(answer, before, await bench.get("/state"))


async def first(bench: Bench) -> Heard:
    """The first look."""
    return await _hear(bench)


async def second(bench: Bench) -> Heard:
    """Another, so much later that something has changed."""
    before = await bench.once(first)
    if before.answer.status == 200:
        now_s = float((await bench.get("/state"))["uptime_ms"]) / 1000
        await bench.pause(max(0.0, before.uptime_s + APART_S - now_s))
    return await _hear(bench)


async def heard(bench: Bench) -> Heard:
    """The first look, for who needs something to look at.

    Raises:
        NotApplicable: It tells nothing.
    """
    found = await bench.once(first)
    if not found.message.get("elements"):
        not_applicable("it tells no flexibility of its own: a hub derives it")
    if bench.standard.wrong(found.message, "flexibility", "Flexibility"):
        not_applicable("what it tells is not as its schema says; see message-valid")
    return found


def _times(told: Any, path: str = "$") -> Iterator[tuple[str, float]]:
    """Every length of time that counts down, with its place."""
    if isinstance(told, dict):
        for name, value in told.items():
            found = number(value) if name.endswith("_in_s") else None
            if found is not None and name != "expires_in_s":
                yield f"{path}.{name}", found
            yield from _times(value, f"{path}.{name}")
    elif isinstance(told, list):
        for index, value in enumerate(told):
            yield from _times(value, f"{path}[{index}]")


@section.check("flexibility-served")
async def flexibility_served(bench: Bench) -> None:
    """FLEX-006: who serves `GET /flexibility` serves it to paired peers."""
    found = (await bench.once(first)).answer
    if found.status == 404:
        not_applicable("it tells no flexibility of its own: a hub derives it")
    need(
        found.status == 200,
        f"GET /flexibility was answered to its controller with {found.status} {found.code}; "
        "a Flexibility is allowed, or 404",
    )


@section.check("flexibility-valid")
async def flexibility_valid(bench: Bench) -> None:
    """FLEX-007: elements of the description, and parts for their capabilities."""
    elements = {element["id"]: element["capabilities"] for element in bench.elements}
    for name, told in (await heard(bench)).message["elements"].items():
        need(name in elements, f"flexibility is told of {name}, which is no element of the description")
        for part, capabilities in FOR.items():
            need(
                part not in told or any(able in elements[name] for able in capabilities),
                f"{part} is told of {name}, which declares neither {' nor '.join(capabilities)}",
            )
        for part in ("store", "production"):
            at = (told.get(part) or {}).get("commanded_at")
            need(at is None or at in elements, f"{part} of {name} is commanded_at {at}, which is no element")


@section.check("flexibility-whole")
async def flexibility_whole(bench: Bench) -> None:
    """FLEX-008: with the parts that could have been derived."""
    found = await heard(bench)
    for element in bench.elements:
        told = found.message["elements"].get(element["id"])
        able = element["capabilities"]
        for part, capabilities in DERIVED.items():
            need(
                told is None or part in told or not any(name in able for name in capabilities),
                f"of {element['id']} {', '.join(told or {})} is told, and {part} is not: what is told stands "
                "in place of all that would be derived",
            )
    for name, part, field in _left_out(bench, found, _of_its_moment(found, await all_seen(bench))):
        need(False, f"{part} of {name} is told without {field}, which its state or description says")


def _left_out(bench: Bench, found: Heard, near: list[Seen]) -> Iterator[tuple[str, str, str]]:
    """Element, part and field of what could have been derived and is not told."""
    able = {element["id"]: element["capabilities"] for element in bench.elements}
    for part, field, capability in (*SAME, *(one[:3] for one in ALIKE)):
        for name, told in found.parts(part):
            known = [seen.points(name, capability).get(field) is not None for seen in near]
            if field not in told and known and all(known):
                yield name, part, field
    for part, field, capability in DECLARED:
        for name, told in found.parts(part):
            if field not in told and field in able[name].get(capability, {}):
                yield name, part, field
    yield from _parts_left_out(able, found)


def _parts_left_out(able: Mapping[str, Any], found: Heard) -> Iterator[tuple[str, str, str]]:
    """Of what is more than a field."""
    for name, told in found.parts("modes"):
        for missing in _modes_left_out(able[name], told):
            yield name, "modes", missing
    for name, told in found.parts("job"):
        if told.get("energy_wh") and told.get("duration_s") and "profile" not in told:
            yield name, "job", "profile"
    for name, told in found.parts("power"):
        amperes = "ev" in able[name] and "voltage_v" in able[name].get("rating", {})
        if amperes and told.get("by") != "setpoint" and "consume_min_w" not in told:
            yield name, "power", "consume_min_w"
    for name, told in found.parts("store"):
        if "setpoint" in able[name] and "commanded_at" not in told:
            yield name, "store", "commanded_at"


def _modes_left_out(able: Mapping[str, Any], told: Told) -> Iterator[str]:
    """Modes that are declared, and bounds of them."""
    for mode, bounds in able.get("mode", {}).get("modes", {}).items():
        here = told.get("modes", {}).get(mode)
        if here is None:
            yield mode
        else:
            yield from (f"{mode}.{field}" for field in BOUNDS if field in bounds and field not in here)


def _of_its_moment(found: Heard, seen: list[Seen]) -> list[Seen]:
    """The states of when it was drawn up."""
    boot = found.message.get("boot_id")
    return [one for one in seen if abs(one.uptime_s - found.uptime_s) <= MOMENT_S and one.boot == boot]


@section.check("flexibility-agrees-with-state")
async def flexibility_agrees_with_state(bench: Bench) -> None:
    """FLEX-009: what also stands in the state of the same moment is the same there."""
    found = await heard(bench)
    near = _of_its_moment(found, await all_seen(bench))
    if not near:
        not_applicable("no state of the moment at which the flexibility was drawn up")
    for part, field, capability in SAME:
        for name, told in found.parts(part):
            states = [points[field] for seen in near if field in (points := seen.points(name, capability))]
            need(
                field not in told or not states or told[field] in states,
                f"{part}.{field} of {name} is told as {told.get(field)}; its state of that moment says "
                f"{states[-1:]}",
            )
    for part, field, capability, grain in ALIKE:
        for name, told in found.parts(part):
            what, states = f"{part}.{field} of {name}", _known(near, name, capability, field)
            _near(what, told.get(field), states, grain)
            guessed = told.get(field) is not None and not states
            null = guessed and any(field in seen.points(name, capability) for seen in near)
            need(not null, f"{what} is told as {told.get(field)}; in its state of that moment it is unknown")
    for name, told in found.parts("store"):
        capacity_wh = number(told.get("capacity_wh")) or 0.0
        holds = _known(near, name, "storage", "capacity_wh") or [_capacity_wh(bench, name)]
        if max(holds):
            grain = CAPACITY_SHARE * max(holds)
            _near(f"store.capacity_wh of {name}", told.get("capacity_wh"), holds, grain, 0)
        energies = [
            soc_pct / 100 * (_known([seen], name, "storage", "capacity_wh") or [_capacity_wh(bench, name)])[0]
            for seen in near
            if (soc_pct := number(seen.points(name, "storage").get("soc_pct"))) is not None
        ]
        _near(f"store.energy_wh of {name}", told.get("energy_wh"), energies, CAPACITY_SHARE * capacity_wh, 0)


def _known(near: list[Seen], name: str, capability: str, field: str) -> list[float]:
    values = [number(seen.points(name, capability).get(field)) for seen in near]
    return [value for value in values if value is not None]


def _capacity_wh(bench: Bench, name: str) -> float:
    """As declared; 0 where it is not."""
    for element in bench.elements:
        if element["id"] == name:
            return number(declared(element, "storage").get("capacity_wh")) or 0.0
    return 0.0


def _near(what: str, told: Any, states: list[float], grain: float, share: float = SHARE) -> None:
    """Fail where a number is not what the states of its moment say."""
    value = number(told)
    if value is None or not states:
        return
    allowed = grain + share * max(abs(state) for state in states)
    need(
        min(states) - allowed <= value <= max(states) + allowed,
        f"{what} is told as {value:g}; its state of that moment says {states[-1]:g}, and they have to agree "
        f"within {allowed:g}",
    )


@section.check("flexibility-within-rating")
async def flexibility_within_rating(bench: Bench) -> None:
    """FLEX-010: powers lie within the `rating`."""
    found = await heard(bench)
    for name, told in found.message["elements"].items():
        for what, at, power_w in _powers(name, told):
            rating_w = _rating_w(bench, at, power_w)
            need(
                rating_w is None or abs(power_w) <= rating_w * RATING_GRAIN,
                f"{what} of {name} is told as {power_w:g} W; the rating of {at} is {rating_w:g}"
                if rating_w is not None
                else "",
            )
    ranges = {one["id"]: declared(one, "mode").get("modes", {}) for one in bench.having("mode")}
    for name, told in found.parts("modes"):
        for mode, takes in (told.get("modes") or {}).items():
            declares = ranges.get(name, {}).get(mode, {})
            _within_mode(f"modes.{mode} of {name}", takes, declares)


def _within_mode(what: str, takes: Told, declares: Told) -> None:
    """The powers of a mode are those that are declared for it."""
    least_w, most_w = number(declares.get("consume_min_w")) or 0.0, number(declares.get("consume_max_w"))
    for field in BOUNDS:
        power_w = number(takes.get(field))
        if power_w is None:
            continue
        kept = least_w <= power_w * RATING_GRAIN and (most_w is None or power_w <= most_w * RATING_GRAIN)
        need(kept, f"{field} of {what} is told as {power_w:g}; {least_w:g} to {most_w} is declared")


def _powers(name: str, told: Told) -> Iterator[tuple[str, str, float]]:
    """What is told of powers that equipment has to bear: where it stands, at which element, and how much."""
    power = told.get("power") or {}
    for field in ("consume_max_w", "consume_now_w", "consume_min_w"):
        yield f"power.{field}", name, number(power.get(field)) or 0.0
    for field in ("produce_max_w", "produce_now_w"):
        yield f"power.{field}", name, -(number(power.get(field)) or 0.0)
    store = told.get("store") or {}
    for level in store.get("levels") or []:
        for one in level.get("points") or []:
            yield "a point of store.levels", store.get("commanded_at", name), number(one["power_w"]) or 0.0
    for mode, takes in ((told.get("modes") or {}).get("modes") or {}).items():
        for field in ("consume_max_w", "consume_min_w", "expected_w"):
            yield f"modes.{mode}.{field}", name, number(takes.get(field)) or 0.0
    for slot in (told.get("job") or {}).get("profile") or []:
        yield "a slot of job.profile", name, number(slot.get("power_w")) or 0.0


def _rating_w(bench: Bench, name: str, power_w: float) -> float | None:
    """For a power of this sign; None where the element declares none."""
    for element in bench.elements:
        if element["id"] == name:
            return number(
                declared(element, "rating").get("consume_max_w" if power_w > 0 else "produce_max_w")
            )
    return None


@section.check("flexibility-levels-ascend")
async def flexibility_levels_ascend(bench: Bench) -> None:
    """FLEX-011: each level begins where the one before it ends."""
    found = await heard(bench)
    for name, levels in _levels(found):
        for level in levels:
            need(
                level["energy_to_wh"] > level["energy_from_wh"],
                f"a level of {name} goes from {level['energy_from_wh']:g} to {level['energy_to_wh']:g} Wh",
            )
        for below, above in pairwise(levels):
            need(
                below["energy_to_wh"] == above["energy_from_wh"],
                f"a level of {name} ends at {below['energy_to_wh']:g} Wh, and the next one begins at "
                f"{above['energy_from_wh']:g}",
            )


def _levels(found: Heard) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    told = [(name, store["levels"]) for name, store in found.parts("store") if store.get("levels")]
    if not told:
        not_applicable("it tells no levels of a store")
    yield from told


@section.check("flexibility-points-ascend")
async def flexibility_points_ascend(bench: Bench) -> None:
    """FLEX-012: points ascend strictly in `power_w`, and do not fall in `fill_w`."""
    for name, levels in _levels(await heard(bench)):
        for level in levels:
            for one, other in pairwise(level.get("points") or []):
                need(
                    one["power_w"] < other["power_w"] and one["fill_w"] <= other["fill_w"],
                    f"in a level of {name} the point {short(one)} is followed by {short(other)}; power_w has "
                    "to rise, and fill_w must not fall",
                )


@section.check("flexibility-makes-no-energy")
async def flexibility_makes_no_energy(bench: Bench) -> None:
    """FLEX-013: in a store of electricity `fill_w` does not exceed `power_w`."""
    found = await heard(bench)
    electric = {name for name, store in found.parts("store") if store.get("holds") == "electricity"}
    for name, levels in _levels(found):
        for one in [one for level in levels for one in level.get("points") or [] if name in electric]:
            need(
                one["fill_w"] <= one["power_w"],
                f"{name} holds electricity, and fills with {one['fill_w']:g} W by a power of "
                f"{one['power_w']:g} W: nothing makes energy",
            )


@section.check("flexibility-profile-adds-up")
async def flexibility_profile_adds_up(bench: Bench) -> None:
    """FLEX-014: a profile adds up to `energy_wh` and `duration_s`."""
    profiles = [(name, job) for name, job in (await heard(bench)).parts("job") if job.get("profile")]
    if not profiles:
        not_applicable("it tells no profile of a job")
    for name, job in profiles:
        length_s = sum(slot["duration_s"] for slot in job["profile"])
        energy_wh = sum(slot["duration_s"] * slot["power_w"] for slot in job["profile"]) / 3600
        for field, total in (("duration_s", length_s), ("energy_wh", energy_wh)):
            said = number(job.get(field))
            need(
                said is None or abs(total - said) <= SUM_SHARE * said + 1,
                f"the profile of {name} comes to {field} {total:g}, and {field} is told as {short(said)}",
            )


@later.check("flexibility-counts-from-its-moment")
async def flexibility_counts_from_its_moment(bench: Bench) -> None:
    """FLEX-001: what is told by `uptime_ms` counts from it; so does what stands in a state."""
    for found in (await bench.once(first), await bench.once(second)):
        if not found.message:
            continue
        boot, uptime_ms = found.message.get("boot_id"), found.message.get("uptime_ms", 0)
        need(
            boot == found.after["boot_id"],
            f"GET /flexibility names the boot {boot}; the state names {found.after['boot_id']}",
        )
        need(
            uptime_ms <= found.after["uptime_ms"],
            f"GET /flexibility was drawn up at uptime_ms {uptime_ms}, after the state behind it: "
            f"{found.after['uptime_ms']}",
        )
    before, now = await bench.once(first), await bench.once(second)
    _same_moments(_moments(before.message), _moments(now.message), "told at uptime_ms")
    for one, other in ((before.before, now.after), (before.after, now.before)):
        _same_moments(_moments(one), _moments(other), "in the state of uptime_ms")


def _moments(message: Told) -> tuple[Any, float, dict[str, float]]:
    """Boot, moment, and every length of time of the elements that do not change their minds."""
    elements = {
        name: {part: found for part, found in told.items() if part not in {"isolate", "mode", "modes"}}
        for name, told in message.get("elements", {}).items()
        if (told.get("job") or {}).get("phase") in {None, "waiting"}
    }
    uptime_s = (number(message.get("uptime_ms")) or 0.0) / 1000
    return message.get("boot_id"), uptime_s, dict(_times(elements))


def _same_moments(
    before: tuple[Any, float, dict[str, float]], now: tuple[Any, float, dict[str, float]], where: str
) -> None:
    """Fail where a time has stood still between two messages of one boot."""
    if before[0] != now[0] or now[1] - before[1] < APART_S - 1:
        return
    for path, was_s in before[2].items():
        is_s = now[2].get(path)
        coarse = is_s is not None and was_s % MINUTE_S == is_s % MINUTE_S == 0
        need(
            is_s is None or coarse or was_s != is_s or was_s < 0,
            f"{path} is {was_s:g} s {where} {before[1] * 1000:.0f}, and the same {now[1] - before[1]:.1f} s "
            "later: it has to count from the moment of its message",
        )


@later.check("flexibility-overdue-is-now")
async def flexibility_overdue_is_now(bench: Bench) -> None:
    """FLEX-002: a time to what has passed is 0, in every message so far."""
    messages = [("a state", seen.at_s, seen.state) for seen in await all_seen(bench)]
    messages += [
        ("GET /flexibility", line.at_s, line.body)
        for line in bench.transcript.lines
        if line.by == "subject" and line.what == "200 GET /flexibility"
    ]
    for what, at_s, message in messages:
        for path, found_s in _times(message):
            need(
                found_s >= 0,
                f"at {at_s:.1f} s {what} has {path} {found_s:g}; what is overdue is due now: 0 is demanded",
            )


@later.check("flexibility-lasts")
async def flexibility_lasts(bench: Bench) -> None:
    """FLEX-015: what time alone does not change is the same at the next look, within `valid_s`."""
    before, now = await heard(bench), await bench.once(second)
    valid_s = number(before.message.get("valid_s")) or 0.0
    same_boot = before.message.get("boot_id") == now.message.get("boot_id")
    if not same_boot or now.uptime_s - before.uptime_s > valid_s:
        not_applicable("what was told first is no longer valid at the second look")
    for part, fields in LASTING.items():
        by_then = dict(now.parts(part))
        for name, told in before.parts(part):
            for field in fields if name in by_then and _calm(before, now, name) else ():
                was, found = number(told.get(field)), number(by_then[name].get(field))
                need(
                    was is None or found is None or abs(was - found) <= SUM_SHARE * abs(was) + 1,
                    f"{part}.{field} of {name} is told as {was}, valid for {valid_s:g} s, and as {found} "
                    f"{now.uptime_s - before.uptime_s:.0f} s later",
                )


def _calm(before: Heard, now: Heard, name: str) -> bool:
    """Nothing but time has passed for an element: no vehicle, mode or job has changed."""
    return all(
        point(before.after, name, capability, field) == point(now.before, name, capability, field)
        for _, field, capability in SAME
    )
