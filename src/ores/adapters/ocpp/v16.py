"""OCPP 1.6, as JSON."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ores.adapters.ocpp.dialect import CONNECTORS_MAX, Dialect, Found, Listener
from ores.adapters.ocpp.frames import Payload
from ores.adapters.ocpp.link import Denied
from ores.adapters.ocpp.meter import MEASURANDS, Sample, number
from ores.adapters.ocpp.orders import Profile

_ASKED: Final = ["NumberOfConnectors", "ChargingScheduleAllowedChargingRateUnit"]


class _Base(msgspec.Struct, rename="camel"):
    """A payload, of which the schema has been seen to."""


class _Boot(_Base):
    charge_point_vendor: str
    charge_point_model: str
    charge_point_serial_number: str = ""
    charge_box_serial_number: str = ""
    firmware_version: str = ""


class _Authorize(_Base):
    id_tag: str


class _Status(_Base):
    connector_id: int
    status: str
    error_code: str


class _Start(_Base):
    connector_id: int
    id_tag: str
    meter_start: int
    timestamp: str


class _Value(_Base):
    value: str
    context: str = "Sample.Periodic"
    format: Literal["Raw", "SignedData"] = "Raw"
    measurand: str = "Energy.Active.Import.Register"
    phase: str = ""
    location: str = "Outlet"
    unit: str = ""


class _Meter(_Base):
    timestamp: str
    sampled_value: list[_Value]


class _MeterValues(_Base):
    connector_id: int
    meter_value: list[_Meter]
    transaction_id: int | None = None


class _Stop(_Base):
    transaction_id: int
    timestamp: str
    meter_stop: int
    id_tag: str = ""
    transaction_data: list[_Meter] = []


class _Key(_Base):
    key: str
    value: str = ""


class _Configuration(_Base):
    configuration_key: list[_Key] = []


class V16(Dialect):
    """See `Dialect`.

    Args:
        listener: Learns what the charger says.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener, "1.6")
        self.handlers |= {
            "BootNotification": self._boot,
            "Authorize": self._authorize,
            "StatusNotification": self._status,
            "StartTransaction": self._start,
            "StopTransaction": self._stop,
            "MeterValues": self._meter_values,
            "DataTransfer": lambda _payload: {"status": "UnknownVendorId"},
            "FirmwareStatusNotification": lambda _payload: {},
            "DiagnosticsStatusNotification": lambda _payload: {},
        }

    async def ask(self) -> Found:
        """See `Dialect`; a charger that does not tell is taken to have one connector."""
        found = self._found
        try:
            answer = await self._link.call("GetConfiguration", {"key": _ASKED})
        except Denied:
            return found
        told = {one.key: one.value for one in msgspec.convert(answer, _Configuration).configuration_key}
        connectors = number(told.get("NumberOfConnectors", "")) or 1.0
        units = told.get("ChargingScheduleAllowedChargingRateUnit", "Current")
        self._found = msgspec.structs.replace(
            self._found,
            connectors=int(min(CONNECTORS_MAX, max(1.0, connectors))),
            unit="A" if "Current" in units or "Power" not in units else "W",
        )
        return self._found

    async def configure(self, sample_s: int) -> None:
        """See `Dialect`."""
        for measurands in MEASURANDS:
            if await self._change("MeterValuesSampledData", measurands):
                break
        await self._change("MeterValueSampleInterval", str(sample_s))

    async def set_profile(self, profile: Profile, found: Found, w_per_a: float, start: str) -> str:
        """See `Dialect`."""
        limit = profile.limit_a if found.unit == "A" else round(profile.limit_a * w_per_a, 1)
        schedule: Payload = {
            "chargingRateUnit": found.unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        told: Payload = {
            "chargingProfileId": profile.id,
            "stackLevel": profile.stack,
            "chargingProfilePurpose": profile.purpose,
            "chargingProfileKind": "Relative" if profile.duration_s is None else "Absolute",
            "chargingSchedule": schedule,
        }
        if profile.duration_s is not None:
            schedule |= {"duration": profile.duration_s, "startSchedule": start}
        if profile.transaction:
            told["transactionId"] = int(profile.transaction)
        asked: Payload = {"connectorId": profile.connector, "csChargingProfiles": told}
        return await self._why_not("SetChargingProfile", asked)

    async def trigger(self, what: str, connector: int) -> bool:
        """See `Dialect`."""
        asked: Payload = {"requestedMessage": what}
        if connector:
            asked["connectorId"] = connector
        return not await self._why_not("TriggerMessage", asked)

    async def _change(self, key: str, value: str) -> bool:
        why = await self._why_not("ChangeConfiguration", {"key": key, "value": value})
        return why in {"", "RebootRequired"}

    def _boot(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Boot)
        return self._has_booted(
            maker=said.charge_point_vendor,
            model=said.charge_point_model,
            serial=said.charge_point_serial_number or said.charge_box_serial_number,
            firmware_version=said.firmware_version,
        )

    def _authorize(self, payload: Payload) -> Payload:
        return {"idTagInfo": self._info(msgspec.convert(payload, _Authorize).id_tag)}

    def _status(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Status)
        self._to.has_status(
            said.connector_id, said.status, "" if said.error_code == "NoError" else said.error_code
        )
        return {}

    def _start(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Start)
        info = self._info(said.id_tag)
        key = f"{said.connector_id} {said.timestamp} {said.meter_start}"
        transaction = self._to.begins(said.connector_id, key)
        samples = [Sample(float(said.meter_start), context="Transaction.Begin")]
        self._to.measured(said.connector_id, samples, said.timestamp)
        return {"idTagInfo": info, "transactionId": int(transaction)}

    def _stop(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Stop)
        connector = self._to.transaction_of(str(said.transaction_id))
        for one in said.transaction_data:
            self._to.measured(connector, _samples(one), one.timestamp)
        last = [Sample(float(said.meter_stop), context="Transaction.End")]
        self._to.measured(connector, last, said.timestamp)
        self._to.ends(str(said.transaction_id))
        return {"idTagInfo": self._info(said.id_tag)} if said.id_tag else {}

    def _meter_values(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _MeterValues)
        if said.transaction_id is not None:
            self._to.goes_on(said.connector_id, str(said.transaction_id))
        for one in said.meter_value:
            self._to.measured(said.connector_id, _samples(one), one.timestamp)
        return {}


def _samples(one: _Meter) -> list[Sample]:
    """What is signed is for billing, and says the same once more."""
    return [
        Sample(value, told.measurand, told.phase, told.unit, told.context, told.location)
        for told in one.sampled_value
        if told.format == "Raw" and (value := number(told.value)) is not None
    ]
