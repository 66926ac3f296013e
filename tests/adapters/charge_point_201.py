"""A charge point of OCPP 2.0.1, made of the client class of the library `ocpp`; also a process of its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import aiohttp
from ocpp.routing import on
from ocpp.v201 import ChargePoint, call, call_result
from tests.adapters.charge_point_16 import SILENT, Box, Socket, connected_as, stamp

RUNNING = "T-1"


class Client(ChargePoint):  # type: ignore[misc]  # the library has no types
    """One connection of it; its profiles are kept in the words of 1.6."""

    def __init__(self, id_: str, socket: Socket, box: Box) -> None:
        super().__init__(id_, socket, response_timeout=5, logger=SILENT)
        self.box = box
        self.number = 0
        self.soon: set[asyncio.Task[Any]] = set()

    def later(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        self.soon.add(task)
        task.add_done_callback(self.soon.discard)

    async def boot(self) -> Any:
        station = {"model": "Post 2", "vendor_name": "Wattling", "serial_number": "W-78"}
        said = await self.call(call.BootNotification(charging_station=station, reason="PowerUp"))
        await self.tell_status()
        return said

    async def tell_status(self) -> None:
        status = "Available" if self.box.status == "Available" else "Occupied"
        await self.call(
            call.StatusNotification(timestamp=stamp(), connector_status=status, evse_id=1, connector_id=1)
        )

    async def event(self, kind: str, state: str, tag: str = "", **more: Any) -> Any:
        self.number += 1
        return await self.call(
            call.TransactionEvent(
                event_type=kind,
                timestamp=stamp(),
                trigger_reason="ChargingStateChanged",
                seq_no=self.number,
                transaction_info={"transaction_id": RUNNING, "charging_state": state},
                evse={"id": 1, "connector_id": 1},
                id_token={"id_token": tag, "type": "ISO14443"} if tag else None,
                **more,
            )
        )

    async def begin(self, tag: str = "CARD") -> Any:
        self.box.status = "Occupied"
        await self.tell_status()
        said = await self.event("Started", "EVConnected", tag)
        if said.id_token_info["status"] == "Accepted":
            self.box.transaction = RUNNING
            await self.event("Updated", "Charging")
        return said

    async def end(self) -> None:
        await self.event("Ended", "Idle")
        self.box.transaction, self.box.status = None, "Available"
        await self.tell_status()

    def values(self) -> list[dict[str, Any]]:
        """As those of 1.6, but for where units and numbers stand."""
        samples = []
        for one in self.box.samples():
            unit = {"unit_of_measure": {"unit": one["unit"]}} if "unit" in one else {}
            more = {key: one[key] for key in ("measurand", "phase") if key in one}
            samples.append({"value": float(one["value"]), **unit, **more})
        return [{"timestamp": stamp(), "sampled_value": samples}]

    async def tell_meter(self) -> None:
        if self.box.transaction is None:
            await self.call(call.MeterValues(evse_id=1, meter_value=self.values()))
        else:
            state = "Charging" if self.box.current_a() else "SuspendedEVSE"
            await self.event("Updated", state, meter_value=self.values())

    async def live(self, period_s: float) -> None:
        while True:
            await asyncio.sleep(period_s)
            self.box.energy_wh += self.box.power_w() * period_s / 3600
            await self.tell_meter()

    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]]) -> Any:
        found = []
        for one in get_variable_data:
            evse = one["component"].get("evse", {}).get("id", 0)
            rate = one["variable"]["name"] == "RateUnit"
            known = rate or 0 < evse <= self.box.connectors
            value = self.box.unit if rate else "Available"
            found.append(
                {
                    "component": one["component"],
                    "variable": one["variable"],
                    **({"attribute_status": "Accepted", "attribute_value": value} if known else {}),
                    **({} if known else {"attribute_status": "UnknownComponent"}),
                }
            )
        return call_result.GetVariables(get_variable_result=found)

    @on("SetVariables")
    def on_set_variables(self, set_variable_data: list[dict[str, Any]]) -> Any:
        done = []
        for one in set_variable_data:
            self.box.configuration[one["variable"]["name"]] = one["attribute_value"]
            done.append(
                {"attribute_status": "Accepted", "component": one["component"], "variable": one["variable"]}
            )
        return call_result.SetVariables(set_variable_result=done)

    @on("SetChargingProfile")
    def on_set_charging_profile(self, evse_id: int, charging_profile: dict[str, Any]) -> Any:
        purpose = charging_profile["charging_profile_purpose"]
        self.box.told.append(("SetChargingProfile", charging_profile))
        if purpose == "TxProfile" and charging_profile.get("transaction_id") != self.box.transaction:
            return call_result.SetChargingProfile(status="Rejected")
        (schedule,) = charging_profile["charging_schedule"]
        self.box.profiles[charging_profile["id"]] = {**charging_profile, "charging_schedule": schedule}
        return call_result.SetChargingProfile(status="Accepted")

    @on("TriggerMessage")
    def on_trigger_message(self, requested_message: str, **_: Any) -> Any:
        if requested_message == "MeterValues":
            self.later(self.tell_meter())
        elif requested_message == "StatusNotification":
            self.later(self.tell_status())
        else:
            return call_result.TriggerMessage(status="NotImplemented")
        return call_result.TriggerMessage(status="Accepted")


async def main(port: int, id_: str) -> None:
    """A charger with a car that charges, until it is killed; it calls until somebody answers."""
    box = Box(unit="A")
    while True:
        with suppress(aiohttp.ClientConnectionError):
            async with connected_as(Client, "ocpp2.0.1", port, id_, box) as client:
                await client.boot()
                await client.begin()
                await client.live(0.5)
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
