"""What the house could do, for a person: one row for each part of an element's flexibility."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.table import Table

from ores.cli.show import Modules, name_of, names, plain, power
from ores.model import (
    ElementFlexibility,
    HouseFlexibility,
    JobFlexibility,
    ModesFlexibility,
    PowerFlexibility,
    ProductionFlexibility,
    ShedFlexibility,
    StoreFlexibility,
    ThermalFlexibility,
    VehicleFlexibility,
)

Known = float | None | UnsetType


def show_flexibility(console: Console, house: HouseFlexibility, modules: Modules) -> None:
    """A table of all that there is."""
    known = names(modules)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("module", "element", "could", "says"):
        table.add_column(column, overflow="fold")
    for module_id, module in sorted(house.modules.items(), key=lambda item: name_of(item[0], known)):
        for element, found in module.elements.items():
            for text in said(found.flexibility):
                table.add_row(plain(name_of(module_id, known)), element, plain(text), plain(found.source))
    console.print(table if table.row_count else "No module that is online has any flexibility.")


def said(flexibility: ElementFlexibility) -> Iterator[str]:
    """A few words for each part."""
    if not isinstance(flexibility.power, UnsetType):
        yield _power(flexibility.power)
    if not isinstance(flexibility.store, UnsetType):
        yield _store(flexibility.store)
    if not isinstance(flexibility.production, UnsetType):
        yield _production(flexibility.production)
    if not isinstance(flexibility.vehicle, UnsetType):
        yield _vehicle(flexibility.vehicle)
    if not isinstance(flexibility.modes, UnsetType):
        yield _modes(flexibility.modes)
    if not isinstance(flexibility.thermal, UnsetType):
        yield _thermal(flexibility.thermal)
    if not isinstance(flexibility.shed, UnsetType):
        yield _shed(flexibility.shed)
    if not isinstance(flexibility.job, UnsetType):
        yield _job(flexibility.job)


def _power(part: PowerFlexibility) -> str:
    ways = [
        f"{way} up to {power(most)}"
        for way, most in (("take", part.consume_max_w), ("give", part.produce_max_w))
        if most is not UNSET and most
    ]
    return f"{' and '.join(ways) or 'be commanded'}, by {part.by}"


def _store(part: StoreFlexibility) -> str:
    kept = (
        "" if not part.energy_reserve_wh else f", {_energy(part.energy_reserve_wh)} of it kept for an outage"
    )
    return f"store {part.holds}: {_energy(part.energy_wh)} of {_energy(part.capacity_wh)}{kept}"


def _production(part: ProductionFlexibility) -> str:
    curtailed = "cannot be curtailed" if part.commanded_at is UNSET else f"curtailed at {part.commanded_at}"
    return f"produce {power(part.available_w)}, {curtailed}"


def _vehicle(part: VehicleFlexibility) -> str:
    if not part.connected:
        return "charge no vehicle now" if part.connected is False else "charge: vehicle unknown"
    return f"charge {_energy(part.energy_needed_wh)} {_within(part.departure_in_s)}"


def _modes(part: ModesFlexibility) -> str:
    return f"run in {', '.join(part.modes)}; now {part.mode or 'unknown'}"


def _thermal(part: ThermalFlexibility) -> str:
    now = "unknown" if part.temperature_c is None else f"{part.temperature_c:.1f} °C"
    low, high = part.temperature_min_c, part.temperature_max_c
    band = "" if low is UNSET or high is UNSET else f", between {low:g} and {high:g} °C"
    return f"keep warm: {now}{band}"


def _shed(part: ShedFlexibility) -> str:
    if part.closed is False:
        return "be switched on"
    return f"be cut off: {power(part.power_w)}{', critical' if part.critical is True else ''}"


def _job(part: JobFlexibility) -> str:
    if part.phase not in {"waiting", "running", "paused"}:
        return f"run a job: {part.phase or 'unknown'}"
    return f"run a job: {part.phase}, {_energy(part.energy_wh)} {_within(part.latest_end_in_s)}"


def _energy(energy_wh: Known) -> str:
    if energy_wh is None or isinstance(energy_wh, UnsetType):
        return "unknown"
    return f"{energy_wh:.0f} Wh" if energy_wh < 1000 else f"{energy_wh / 1000:.1f} kWh"


def _within(seconds: Known) -> str:
    if seconds is None or isinstance(seconds, UnsetType):
        return "at any time"
    return f"within {seconds / 3600:.1f} h" if seconds >= 3600 else f"within {seconds / 60:.0f} min"
