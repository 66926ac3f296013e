"""What the reference tells of its flexibility, beyond what its state says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ores import model

if TYPE_CHECKING:
    from ores.conformance.broken.whole import Whole

FULL_FROM_WH: Final = 9000.0
SOON_S: Final = 5.0
EVENING_S: Final = 36_000.0
"""When something is wanted in the battery, from the beginning: the first of it passes at once."""


def battery(house: Whole, capacity_wh: float, most_w: float, step_w: float) -> model.ElementFlexibility:
    """Less goes in above nine tenths, and something is wanted in it by the evening."""
    out = model.FillPoint(power_w=-most_w, fill_w=-most_w / 0.96)
    nothing = model.FillPoint(power_w=0, fill_w=0)
    return model.ElementFlexibility(
        power=model.PowerFlexibility(
            by="setpoint", consume_max_w=most_w, produce_max_w=most_w, step_w=step_w, response_s=0.5
        ),
        store=model.StoreFlexibility(
            holds="electricity",
            capacity_wh=capacity_wh,
            energy_wh=house.soc_pct / 100 * capacity_wh,
            commanded_at="battery",
            levels=[
                model.StoreLevel(
                    energy_from_wh=below,
                    energy_to_wh=above,
                    points=[out, nothing, model.FillPoint(power_w=taken_w, fill_w=taken_w * 0.96)],
                )
                for below, above, taken_w in (
                    (0.0, FULL_FROM_WH, most_w),
                    (FULL_FROM_WH, capacity_wh, most_w / 2),
                )
            ],
            targets=[
                model.StoreTarget(due_in_s=house.left_s(due_s), energy_wh=wanted_wh)
                for due_s, wanted_wh in ((SOON_S, 2000.0), (EVENING_S, 8000.0))
            ],
        ),
    )


def charger(vehicle: model.Ev, least_w: float, most_w: float, step_w: float) -> model.ElementFlexibility:
    """A vehicle of which the charger knows when it leaves."""
    return model.ElementFlexibility(
        power=model.PowerFlexibility(by="limit", consume_max_w=most_w, consume_min_w=least_w, step_w=step_w),
        vehicle=model.VehicleFlexibility(
            connected=vehicle.connected, energy_needed_wh=None, departure_in_s=vehicle.departure_in_s
        ),
    )


def heat_pump(able: model.Capabilities, mode: str, thermal: model.Thermal) -> model.ElementFlexibility:
    """Its modes, each with what it would take in the next hour."""
    declared, band = able.mode, able.thermal
    assert declared  # noqa: S101 - the reference's own description has it
    assert band  # noqa: S101 - as above
    return model.ElementFlexibility(
        modes=model.ModesFlexibility(
            mode=mode,
            hold_s=declared.hold_s,
            modes={
                name: model.ModeFlexibility(
                    consume_min_w=found.consume_min_w, consume_max_w=found.consume_max_w
                )
                for name, found in declared.modes.items()
            },
        ),
        thermal=model.ThermalFlexibility(
            temperature_c=thermal.temperature_c,
            outdoor_temperature_c=thermal.outdoor_temperature_c,
            temperature_min_c=band.temperature_min_c,
            temperature_max_c=band.temperature_max_c,
        ),
    )
