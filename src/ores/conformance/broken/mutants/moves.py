"""Modules with wrong signs, counters and old values."""

from __future__ import annotations

from typing import Any

import msgspec

from ores.conformance.broken.mutants.readings import told
from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.module import module as sdk
from ores.module.counters import EnergyCounters


def _turned(measured: Any) -> Any:
    """The same with the other sign."""
    turned = {**measured, "power_w": -measured["power_w"]}
    if "terminals" in measured:
        turned["terminals"] = {
            key: {**one, "power_w": -one["power_w"]} for key, one in measured["terminals"].items()
        }
    return turned


def _counters(seams: Seams, element: str, change: Any) -> None:
    """Change the counters of one element in each state."""
    told(seams, element, lambda found: {**found, "energy": {**found["energy"], **change(found["energy"])}})


@broken("sign-of-power")
def tells_what_the_sun_gives_as_taken(seams: Seams) -> None:
    """Generation is a good thing, and so positive."""

    def change(found: Any) -> Any:
        measured = found["dc_measure"]
        turned = {**measured, "power_w": -measured["power_w"], "current_a": -measured["current_a"]}
        return {**found, "dc_measure": turned}

    told(seams, "string", change)


@broken("sign-of-power", variant="load")
def tells_consumption_as_negative(seams: Seams) -> None:
    """As a bank account would."""
    told(
        seams,
        "heat",
        lambda found: {**found, "ac_measure": _turned(found["ac_measure"]), "energy": _swapped(found)},
    )


@broken(
    "sign-of-power",
    variant="store",
    also=("setpoint-followed", "setpoint-response", "sign-at-connection-point"),
)
def tells_charging_as_negative(seams: Seams) -> None:
    """What it gives to the house is positive, as on its display."""

    def change(found: Any) -> Any:
        return {**found, "ac_measure": _turned(found["ac_measure"]), "energy": _swapped(found)}

    told(seams, "battery", change)


def _swapped(found: Any) -> Any:
    """The counters the other way round."""
    energy = found["energy"]
    return {**energy, "energy_in_wh": energy["energy_out_wh"], "energy_out_wh": energy["energy_in_wh"]}


@broken("sign-at-connection-point")
def tells_export_as_positive(seams: Seams) -> None:
    """Its clamp is the wrong way round, counters and all."""
    told(
        seams,
        "mains",
        lambda found: {**found, "ac_measure": _turned(found["ac_measure"]), "energy": _swapped(found)},
    )


@broken("state-values-fresh", also=("measure-accuracy",))
def keeps_its_currents_for_long(seams: Seams) -> None:
    """Power is read each second, and currents once."""
    first: list[Any] = []

    def change(found: Any) -> Any:
        conductor = found["ac_measure"]["terminals"]["L1"]
        first.append(conductor["current_a"])
        old = {**conductor, "current_a": first[0]}
        return {**found, "ac_measure": {**found["ac_measure"], "terminals": {"L1": old}}}

    told(seams, "battery", change)


@broken("counter-monotonic", also=("counter-epoch",))
def turns_its_counter_back(seams: Seams) -> None:
    """Two chips count, and each is asked in its turn."""
    asked: list[None] = []

    def in_turn(energy: Any) -> Any:
        asked.append(None)
        behind_wh = 0.5 if len(asked) % 2 else 0.0
        return {"energy_in_wh": max(0.0, energy["energy_in_wh"] - behind_wh)}

    _counters(seams, "heat", in_turn)


@broken("counter-epoch")
def begins_to_count_anew_after_each_boot(seams: Seams) -> None:
    """In the same epoch as before."""

    def forgetful(elements: Any, _saved_wh: Any, _epoch: int) -> EnergyCounters:
        return EnergyCounters(elements, {}, 7)

    seams.attribute(sdk, "EnergyCounters", forgetful)


@broken("counter-directions")
def counts_in_what_flows_out(seams: Seams) -> None:
    """Two wires were swapped."""
    told(seams, "evse", lambda found: {**found, "energy": _swapped(found)})


@broken("counter-matches-power")
def counts_ten_times_too_much(seams: Seams) -> None:
    """It takes tenths of a watt-hour for whole ones."""
    _counters(seams, "evse", lambda energy: {"energy_in_wh": energy["energy_in_wh"] * 10})


@broken("element-ids-stable", also=("state-has-only-declared",))
def names_its_circuits_anew_at_each_boot(seams: Seams) -> None:
    """By the order in which they answered."""
    boot = sdk.Module.__init__
    boots: list[None] = []

    def renaming(self: sdk.Module, device: Any, *args: Any, **options: Any) -> None:
        boots.append(None)
        if len(boots) > 1:
            device.elements = tuple(_renamed(one, len(boots)) for one in device.elements)
        boot(self, device, *args, **options)

    seams.attribute(sdk.Module, "__init__", renaming)


def _renamed(element: Any, boot: int) -> Any:
    if not element.id.startswith("circuit_12"):
        return element
    return msgspec.structs.replace(element, id=f"circuit_12_{boot}")
