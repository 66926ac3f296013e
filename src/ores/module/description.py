"""What a module is: elements described compactly, checked before anybody relies on them, and paged for small
readers.

A mistake in a description would be found by a stranger's hub in a stranger's house; here it is found at the
maker's desk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.link import codec
from ores.link.errors import ConfigError, InvalidMessage
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    AcTerminal,
    Capabilities,
    DcMeasure,
    DcMeasureCapability,
    Description,
    Element,
    Energy,
    EnergyCapability,
    Ev,
    EvCapability,
    FaultCapability,
    FormGrid,
    FormGridCapability,
    GridCodeCapability,
    HazardCapability,
    HazardInput,
    Isolate,
    IsolateCapability,
    Job,
    JobCapability,
    LimitCapability,
    LimitState,
    Mode,
    ModeCapability,
    Produce,
    ProduceCapability,
    PublicDescription,
    Rating,
    SetpointCapability,
    SetpointState,
    Storage,
    StorageCapability,
    Switch,
    SwitchCapability,
    Thermal,
    ThermalCapability,
)
from ores.module.lease_size import LEASE_MAX_BYTES, largest_lease_bytes

STATE_MAX_BYTES: Final = 65_536
_STATE_FRAME_BYTES: Final = 512
"""What a state holds beside its elements."""
_LONG_NUMBER: Final = -1234.5
"""As long as a driver's number gets that rounds to what its meter can tell."""
_POINTS: Final = {
    "ac_measure": AcMeasure,
    "dc_measure": DcMeasure,
    "energy": Energy,
    "limit": LimitState,
    "setpoint": SetpointState,
    "produce": Produce,
    "storage": Storage,
    "switch": Switch,
    "isolate": Isolate,
    "form_grid": FormGrid,
    "mode": Mode,
    "thermal": Thermal,
    "ev": Ev,
    "job": Job,
}
ORES_VERSION: Final = "1.0"
PAGE_MAX_BYTES: Final = 4096
"""A reader with little memory takes a page whole."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a maker says about a module.

    Attributes:
        name: What its owner calls it.
        maker: Who made it.
        model: What it is called in the shop.
        serial: Which one it is.
        firmware_version: Of what runs in it.
        profiles: Of the registry, that it claims.
    """

    name: str
    maker: str
    model: str
    serial: str
    firmware_version: str = "1.0"
    profiles: tuple[str, ...] = ()


def element(  # noqa: D417  the capabilities are described by the schema
    id_: str,
    kind: str,
    *,
    name: str | UnsetType = UNSET,
    bus: str | UnsetType = UNSET,
    upstream: str | UnsetType = UNSET,
    terminals: Sequence[str] | UnsetType = UNSET,
    connection: str | UnsetType = UNSET,
    ac_measure: AcMeasureCapability | UnsetType = UNSET,
    dc_measure: DcMeasureCapability | UnsetType = UNSET,
    energy: EnergyCapability | UnsetType = UNSET,
    rating: Rating | UnsetType = UNSET,
    limit: LimitCapability | UnsetType = UNSET,
    setpoint: SetpointCapability | UnsetType = UNSET,
    produce: ProduceCapability | UnsetType = UNSET,
    storage: StorageCapability | UnsetType = UNSET,
    switch: SwitchCapability | UnsetType = UNSET,
    isolate: IsolateCapability | UnsetType = UNSET,
    form_grid: FormGridCapability | UnsetType = UNSET,
    grid_code: GridCodeCapability | UnsetType = UNSET,
    mode: ModeCapability | UnsetType = UNSET,
    thermal: ThermalCapability | UnsetType = UNSET,
    ev: EvCapability | UnsetType = UNSET,
    job: JobCapability | UnsetType = UNSET,
    hazard: HazardCapability | UnsetType = UNSET,
    fault: FaultCapability = FaultCapability(),  # noqa: B008  it cannot be changed; the SDK tells faults of each
) -> Element:
    """One element with its capabilities; whatever is left out, it does not have.

    Args:
        id_: Unique and stable within the module: `a-z`, `0-9`, `_`, first a letter, at most 32.
        kind: Such as `battery`; see the schema for those known.
        name: For people.
        bus: `grid`, `backup`, or one internal to the module, starting with `dc`.
        upstream: The element of this module that measures this one already.
        terminals: Conductors that it is connected to.
        connection: `single_phase`, `split_phase`, `three_phase` or `dc`.
        ac_measure: One capability; so are all that follow.
    """
    return Element(
        id=id_,
        kind=kind,
        name=name,
        bus=bus,
        upstream=upstream,
        terminals=UNSET if isinstance(terminals, UnsetType) else list(terminals),
        connection=connection,
        capabilities=Capabilities(
            ac_measure=ac_measure,
            dc_measure=dc_measure,
            energy=energy,
            rating=rating,
            limit=limit,
            setpoint=setpoint,
            produce=produce,
            storage=storage,
            switch=switch,
            isolate=isolate,
            form_grid=form_grid,
            grid_code=grid_code,
            mode=mode,
            thermal=thermal,
            ev=ev,
            job=job,
            hazard=hazard,
            fault=fault,
        ),
    )


def telling_faults(one: Element) -> Element:
    """The element as a module has it: what drives it can fail, so that faults are told of it (QTY-006)."""
    if one.capabilities.fault is not UNSET:
        return one
    able = msgspec.structs.replace(one.capabilities, fault=FaultCapability())
    return msgspec.structs.replace(one, capabilities=able)


def check_elements(elements: Sequence[Element]) -> None:
    """Find what no hub could make sense of.

    Raises:
        ConfigError: Names the element, what was found, and what is allowed.
    """
    if not 1 <= len(elements) <= 256:
        raise ConfigError("elements", found=len(elements), allowed="1 to 256 elements")
    by_id: dict[str, Element] = {}
    for one in elements:
        if one.id in by_id:
            raise ConfigError(f"element {one.id}", found="the id twice", allowed="an id once per module")
        by_id[one.id] = one
    for one in elements:
        _check_schema(one)
        _check_upstream(one, by_id)
        _check_capabilities(one)
        _check_job(one)
        _check_hazard(one)
    _check_buses(elements)
    _check_sources(elements, by_id)
    _check_state_size(elements)
    _check_lease_size(elements)
    points = [one.id for one in elements if _at_connection_point(one)]
    if len(points) > 1:
        raise ConfigError("connection_point", found=", ".join(points), allowed="one element at most")


def description_pages(
    about: About,
    module_id: str,
    elements: Sequence[Element],
    *,
    report_period_s: float,
    policies: Sequence[str],
    requests: Sequence[str] = (),
) -> list[bytes]:
    """The description as JSON pages of at most `PAGE_MAX_BYTES`, the first under `/description`.

    Raises:
        ConfigError: A text or number is not allowed by the schema, or an element alone is too large for a
            page.
    """
    pages: list[bytes] = []
    rest = list(elements)
    while rest:
        count = len(rest)
        while True:
            last = count == len(rest)
            page = Description(
                ores=ORES_VERSION,
                id=module_id,
                name=about.name,
                maker=about.maker,
                model=about.model,
                serial=about.serial,
                firmware_version=about.firmware_version,
                profiles=list(about.profiles),
                report_period_s=report_period_s,
                policies=list(policies),
                requests=list(requests) or UNSET,
                element_count=len(elements),
                elements=rest[:count],
                next=UNSET if last else f"/description?page={len(pages) + 2}",
            )
            try:
                data = codec.encode(page)
            except InvalidMessage as error:
                raise ConfigError(
                    f"description {error.field}", found=error.found, allowed=error.allowed or error.detail
                ) from error
            if len(data) <= PAGE_MAX_BYTES:
                break
            if count == 1:
                raise ConfigError(
                    f"element {rest[0].id}",
                    found=f"a description page of {len(data)} bytes",
                    allowed=f"at most {PAGE_MAX_BYTES}",
                )
            # a guess from the sizes so far, so that a panel of 90 circuits is not encoded 90 times
            count = max(1, min(count - 1, count * PAGE_MAX_BYTES // len(data)))
        pages.append(data)
        rest = rest[count:]
    return pages


def public_description(about: About, module_id: str) -> bytes:
    """What a stranger may learn before it pairs, as JSON: no name, no serial number, no elements (SEC-001).

    Raises:
        ConfigError: A text is not allowed by the schema.
    """
    told = PublicDescription(
        ores=ORES_VERSION,
        id=module_id,
        maker=about.maker,
        model=about.model,
        profiles=list(about.profiles),
    )
    try:
        return codec.encode(told)
    except InvalidMessage as error:
        raise ConfigError(
            f"description {error.field}", found=error.found, allowed=error.allowed or error.detail
        ) from error


def _check_schema(one: Element) -> None:
    try:
        codec.encode(one)
    except InvalidMessage as error:
        raise ConfigError(
            f"element {one.id} {error.field}", found=error.found, allowed=error.allowed or error.detail
        ) from error


def _check_upstream(one: Element, by_id: dict[str, Element]) -> None:
    seen = [one.id]
    step = one
    while not isinstance(step.upstream, UnsetType):
        if step.upstream not in by_id:
            raise ConfigError(
                f"element {step.id} upstream",
                found=step.upstream,
                allowed=f"an element of this module: {', '.join(sorted(by_id.keys() - {step.id}))}",
            )
        if step.upstream in seen:
            raise ConfigError(
                f"element {one.id} upstream",
                found=" > ".join([*seen, step.upstream]),
                allowed="a path that ends at a bus",
            )
        seen.append(step.upstream)
        step = by_id[step.upstream]


def _check_buses(elements: Sequence[Element]) -> None:
    """Where a tie can open, a hub has to know who sits on which side of it (BUS-001)."""
    ties = [one.id for one in elements if not isinstance(one.capabilities.isolate, UnsetType)]
    if not ties:
        return
    for one in elements:
        if one.bus is UNSET and one.connection != "dc" and one.id not in ties:
            raise ConfigError(
                f"element {one.id} bus",
                found="none, in a module with a tie",
                allowed="the bus that it hangs on, or connection dc",
            )


def _check_sources(elements: Sequence[Element], by_id: dict[str, Element]) -> None:
    """Told twice, the sun shines twice (CAP-020)."""
    for one in elements:
        if isinstance(one.capabilities.produce, UnsetType):
            continue
        step = one
        while not isinstance(step.upstream, UnsetType):
            step = by_id[step.upstream]
            if not isinstance(step.capabilities.produce, UnsetType):
                raise ConfigError(
                    f"element {one.id} produce",
                    found=f"produce here and on {step.id} before it",
                    allowed="one of them: a source is told once",
                )


def _check_state_size(elements: Sequence[Element]) -> None:
    """A hub holds many modules, each with its buffers (SIZE-002)."""
    size = sum(len(msgspec.json.encode({one.id: _full_state(one)})) for one in elements) + _STATE_FRAME_BYTES
    if size > STATE_MAX_BYTES:
        raise ConfigError(
            "elements",
            found=f"{len(elements)}, whose state has about {size} bytes",
            allowed=f"as many as a state of {STATE_MAX_BYTES} bytes holds; more are two modules",
        )


def _check_lease_size(elements: Sequence[Element]) -> None:
    """What one frame cannot command could never be commanded as a whole (DESC-007)."""
    size = largest_lease_bytes(elements)
    if size > LEASE_MAX_BYTES:
        raise ConfigError(
            "elements",
            found=f"{len(elements)}, for which a lease has up to {size} bytes",
            allowed=f"as many as a lease of {LEASE_MAX_BYTES} bytes can command; more are two modules",
        )


def _full_state(one: Element) -> dict[str, object]:
    """What an element's state grows to: each point of each capability, in numbers as long as they get."""
    able = one.capabilities
    points: dict[str, object] = {}
    for capability, kind in _POINTS.items():
        if getattr(able, capability) is UNSET:
            continue
        shape: dict[str, object] = dict.fromkeys(kind.__struct_fields__, _LONG_NUMBER)
        if kind is AcMeasure:
            terminals = [] if isinstance(one.terminals, UnsetType) else one.terminals
            per_conductor = dict.fromkeys(AcTerminal.__struct_fields__, _LONG_NUMBER)
            shape = {**shape, "terminals": dict.fromkeys(terminals, per_conductor)}
        points[capability] = shape
    if not isinstance(able.hazard, UnsetType):
        longest = dict.fromkeys(HazardInput.__struct_fields__, _LONG_NUMBER)
        points["hazard"] = {"hazards": dict.fromkeys(able.hazard.inputs, longest)}
    return points


def _check_capabilities(one: Element) -> None:
    able = one.capabilities
    rating = Rating() if isinstance(able.rating, UnsetType) else able.rating
    if not isinstance(able.limit, UnsetType):
        for direction, declared, field in (
            ("consume", able.limit.consume, "consume_max_w"),
            ("produce", able.limit.produce, "produce_max_w"),
            ("current", able.limit.current, "current_max_a"),
        ):
            if declared is True and getattr(rating, field) is UNSET:
                raise ConfigError(
                    f"element {one.id} limit.{direction}",
                    found=f"no rating.{field}",
                    allowed="only with a rating: without one an expired lease would leave nothing that binds",
                )
    if not isinstance(able.setpoint, UnsetType):
        for field in ("consume_max_w", "produce_max_w"):
            most: float | UnsetType = getattr(rating, field)
            if not isinstance(most, UnsetType) and getattr(able.setpoint, field) > most:
                raise ConfigError(
                    f"element {one.id} setpoint.{field}",
                    found=getattr(able.setpoint, field),
                    allowed=f"at most rating.{field}, {most}",
                )
    if (
        not isinstance(able.ac_measure, UnsetType)
        and one.terminals is UNSET
        and one.connection in {"split_phase", "three_phase"}
    ):
        raise ConfigError(
            f"element {one.id} terminals",
            found=f"none, at a {one.connection} connection",
            allowed="the conductors that feed it: fuses act on conductors",
        )
    has_tie = not isinstance(able.isolate, UnsetType)
    if (one.kind == "tie") != has_tie:
        raise ConfigError(
            f"element {one.id} kind",
            found=f"{one.kind} {'with' if has_tie else 'without'} isolate",
            allowed="a tie has isolate, and nothing else has",
        )
    if has_tie and not isinstance(able.switch, UnsetType):
        raise ConfigError(
            f"element {one.id} switch",
            found="a tie with a switch",
            allowed="isolate alone: no lease may close a tie",
        )


def _check_job(one: Element) -> None:
    """What a lease can stop does not run through (JOB-007)."""
    able = one.capabilities
    if isinstance(able.job, UnsetType):
        return
    for name in ("limit", "setpoint", "switch", "mode"):
        if getattr(able, name) is not UNSET:
            raise ConfigError(
                f"element {one.id} {name}",
                found=f"job and {name}",
                allowed="job without it: a job that was started runs through",
            )


def _check_hazard(one: Element) -> None:
    """Whoever watches for dangers must be able to do something about them (CAP-022)."""
    able = one.capabilities
    if able.hazard is not UNSET and able.limit is able.setpoint is able.switch is UNSET:
        raise ConfigError(
            f"element {one.id} hazard",
            found="no limit, set-point or switch beside it",
            allowed="only where the power can be taken to 0: that is what a hazard asks for",
        )


def _at_connection_point(one: Element) -> bool:
    measure = one.capabilities.ac_measure
    return not isinstance(measure, UnsetType) and measure.connection_point is True
