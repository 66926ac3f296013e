"""A charge point of OCPP 1.6, made of the client class of the library `ocpp`; also a process of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

SILENT = logging.getLogger("tests.charge_point")
SILENT.setLevel(logging.CRITICAL)


class Socket:
    """What the library wants of a connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def recv(self) -> str:
        return str(await self._socket.receive_str())


@dataclass
class Box:
    """What a charger is, over all its connections: profiles, a car and a meter."""

    connectors: int = 1
    phases: int = 3
    voltage_v: float = 230.0
    car_a: float = 16.0
    unit: str = "Current"
    refuses: tuple[str, ...] = ()
    configuration: dict[str, str] = field(default_factory=dict)
    profiles: dict[int, dict[str, Any]] = field(default_factory=dict)
    energy_wh: float = 1000.0
    status: str = "Available"
    transaction: int | str | None = None
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def allowed_a(self) -> float:
        """The least of the highest of each purpose that holds now (1.6, 3.13.3)."""
        now = datetime.now(UTC)
        most_a = 32.0
        best: dict[str, tuple[int, float]] = {}
        for one in self.profiles.values():
            schedule = one["charging_schedule"]
            if "duration" in schedule:
                start = datetime.fromisoformat(schedule["start_schedule"])
                if not start <= now < start + timedelta(seconds=schedule["duration"]):
                    continue
            purpose = one["charging_profile_purpose"]
            if purpose == "TxProfile" and one.get("transaction_id") != self.transaction:
                continue
            limit = float(schedule["charging_schedule_period"][0]["limit"])
            limit_a = limit if schedule["charging_rate_unit"] == "A" else limit / self.phases / self.voltage_v
            best[purpose] = max(best.get(purpose, (-1, 0.0)), (one["stack_level"], limit_a))
        of_transaction = best.get("TxProfile") or best.get("TxDefaultProfile") or (0, most_a)
        return min(of_transaction[1], best.get("ChargePointMaxProfile", (0, most_a))[1])

    def current_a(self) -> float:
        """What the car draws on each conductor."""
        if self.transaction is None or self.allowed_a() < 6:
            return 0.0
        return min(self.car_a, self.allowed_a())

    def power_w(self) -> float:
        return self.current_a() * self.phases * self.voltage_v

    def samples(self) -> list[dict[str, str]]:
        each = [
            {"value": f"{self.power_w():.0f}", "measurand": "Power.Active.Import", "unit": "W"},
            {"value": f"{self.energy_wh / 1000:.4f}", "unit": "kWh"},
        ]
        for line in ("L1", "L2", "L3")[: self.phases]:
            volts = {"value": f"{self.voltage_v:.1f}", "measurand": "Voltage", "phase": f"{line}-N"}
            amperes = {"value": f"{self.current_a():.1f}", "measurand": "Current.Import", "phase": line}
            each += [volts, amperes]
        return each


class Client(ChargePoint):  # type: ignore[misc]  # the library has no types
    """One connection of it."""

    def __init__(self, id_: str, socket: Socket, box: Box) -> None:
        super().__init__(id_, socket, response_timeout=5, logger=SILENT)
        self.box = box
        self.soon: set[asyncio.Task[Any]] = set()

    def later(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        self.soon.add(task)
        task.add_done_callback(self.soon.discard)

    async def boot(self) -> Any:
        said = await self.call(
            call.BootNotification(
                charge_point_model="Post", charge_point_vendor="Wattling", charge_point_serial_number="W-77"
            )
        )
        await self.tell_status()
        return said

    async def tell_status(self, status: str | None = None) -> None:
        self.box.status = status or self.box.status
        await self.call(call.StatusNotification(connector_id=1, error_code="NoError", status=self.box.status))

    async def begin(self, tag: str = "CARD") -> Any:
        """A car is plugged in, and a card shown."""
        await self.tell_status("Preparing")
        said = await self.call(
            call.StartTransaction(
                connector_id=1, id_tag=tag, meter_start=int(self.box.energy_wh), timestamp=stamp()
            )
        )
        if said.id_tag_info["status"] == "Accepted":
            self.box.transaction = said.transaction_id
            await self.tell_status("Charging")
        return said

    async def end(self) -> None:
        assert self.box.transaction is not None
        last = int(self.box.energy_wh)
        await self.call(
            call.StopTransaction(meter_stop=last, timestamp=stamp(), transaction_id=self.box.transaction)
        )
        self.box.transaction = None
        await self.tell_status("Available")

    async def tell_meter(self, samples: list[dict[str, str]] | None = None, at: str = "") -> None:
        values = [{"timestamp": at or stamp(), "sampled_value": samples or self.box.samples()}]
        await self.call(
            call.MeterValues(connector_id=1, meter_value=values, transaction_id=self.box.transaction)
        )

    async def live(self, period_s: float) -> None:
        """Count, and tell each period."""
        while True:
            await asyncio.sleep(period_s)
            self.box.energy_wh += self.box.power_w() * period_s / 3600
            if self.box.transaction is not None:
                status = "Charging" if self.box.current_a() else "SuspendedEVSE"
                if status != self.box.status:
                    await self.tell_status(status)
            await self.tell_meter()

    @on("GetConfiguration")
    def on_get_configuration(self, **asked: Any) -> Any:
        known = {
            "NumberOfConnectors": str(self.box.connectors),
            "ChargingScheduleAllowedChargingRateUnit": self.box.unit,
            **self.box.configuration,
        }
        keys = [{"key": key, "readonly": True, "value": known[key]} for key in asked["key"] if key in known]
        return call_result.GetConfiguration(configuration_key=keys)

    @on("ChangeConfiguration")
    def on_change_configuration(self, key: str, value: str) -> Any:
        self.box.told.append(("ChangeConfiguration", {key: value}))
        if "ChangeConfiguration" in self.box.refuses or "SoC" in value:
            return call_result.ChangeConfiguration(status="Rejected")
        self.box.configuration[key] = value
        return call_result.ChangeConfiguration(status="Accepted")

    @on("SetChargingProfile")
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any]) -> Any:
        self.box.told.append(("SetChargingProfile", cs_charging_profiles))
        purpose = cs_charging_profiles["charging_profile_purpose"]
        if purpose in self.box.refuses or "SetChargingProfile" in self.box.refuses:
            return call_result.SetChargingProfile(status="Rejected")
        if purpose == "TxProfile" and cs_charging_profiles.get("transaction_id") != self.box.transaction:
            return call_result.SetChargingProfile(status="Rejected")
        self.box.profiles[cs_charging_profiles["charging_profile_id"]] = cs_charging_profiles
        return call_result.SetChargingProfile(status="Accepted")

    @on("TriggerMessage")
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None) -> Any:
        if "TriggerMessage" in self.box.refuses:
            return call_result.TriggerMessage(status="NotImplemented")
        if requested_message == "MeterValues":
            self.later(self.tell_meter())
        elif requested_message == "StatusNotification":
            self.later(self.tell_status())
        else:
            return call_result.TriggerMessage(status="NotImplemented")
        return call_result.TriggerMessage(status="Accepted")


C = TypeVar("C", bound=Any)


def stamp(ago_s: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@asynccontextmanager
async def connected_as(
    kind: Callable[[str, Socket, Box], C],
    protocol: str,
    port: int,
    id_: str,
    box: Box | None = None,
    *,
    scheme: str = "ws",
    **options: Any,
) -> AsyncIterator[C]:
    """A charge point that is connected to a central system of this machine."""
    url = f"{scheme}://127.0.0.1:{port}/ocpp/{id_}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=(protocol,), **options) as socket,
    ):
        client = kind(id_, Socket(socket), box or Box())
        hears = asyncio.ensure_future(client.start())
        try:
            yield client
        finally:
            for task in [hears, *client.soon]:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


def connected(
    port: int, id_: str, box: Box | None = None, **options: Any
) -> AbstractAsyncContextManager[Client]:
    """One of 1.6."""
    return connected_as(Client, "ocpp1.6", port, id_, box, **options)


async def main(port: int, id_: str) -> None:
    """A charger with a car that charges, until it is killed; it calls until somebody answers."""
    box = Box()
    while True:
        with suppress(aiohttp.ClientConnectionError):
            await charge(port, id_, box)
        await asyncio.sleep(0.2)


async def charge(port: int, id_: str, box: Box) -> None:
    async with connected(port, id_, box) as client:
        await client.boot()
        await client.begin()
        await client.live(0.5)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
