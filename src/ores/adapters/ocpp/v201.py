"""OCPP 2.0.1. What ORES shows as a connector is an EVSE here: one car at a time."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ores.adapters.ocpp.dialect import ACCEPTED, Dialect, Found, Listener
from ores.adapters.ocpp.frames import Payload
from ores.adapters.ocpp.link import Denied
from ores.adapters.ocpp.meter import MEASURANDS, Sample
from ores.adapters.ocpp.orders import MAX, Profile

EVSES_ASKED: Final = 4
"""More at one charger are found when they say their status."""
_UNHEARD: Final = (
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "NotifyChargingLimit",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "ReportChargingProfiles",
    "SecurityEventNotification",
)
"""Taken, and of no use here."""
_STATES: Final = {"EVConnected": "Preparing", "Idle": "Available"}
"""Of a transaction, in the words of 1.6; the others are the same (2.0.1, ChargingStateEnumType)."""


class _Base(msgspec.Struct, rename="camel"):
    """A payload, of which the schema has been seen to."""


class _Station(_Base):
    model: str
    vendor_name: str
    serial_number: str = ""
    firmware_version: str = ""


class _Boot(_Base):
    charging_station: _Station


class _Token(_Base):
    id_token: str


class _Authorize(_Base):
    id_token: _Token


class _Status(_Base):
    connector_status: str
    evse_id: int


class _Unit(_Base):
    unit: str = ""
    multiplier: int = 0


class _Value(_Base):
    value: float
    context: str = "Sample.Periodic"
    measurand: str = "Energy.Active.Import.Register"
    phase: str = ""
    location: str = "Outlet"
    unit_of_measure: _Unit = msgspec.field(default_factory=_Unit)


class _Meter(_Base):
    timestamp: str
    sampled_value: list[_Value]


class _MeterValues(_Base):
    evse_id: int
    meter_value: list[_Meter]


class _Evse(_Base):
    id: int


class _Info(_Base):
    transaction_id: str
    charging_state: str = ""


class _Event(_Base):
    event_type: Literal["Started", "Updated", "Ended"]
    timestamp: str
    transaction_info: _Info
    meter_value: list[_Meter] = []
    evse: _Evse | None = None
    id_token: _Token | None = None


class _Got(_Base):
    attribute_status: str
    attribute_value: str = ""


class _Variables(_Base):
    get_variable_result: list[_Got]


class _Set(_Base):
    attribute_status: str


class _SetVariables(_Base):
    set_variable_result: list[_Set]


class V201(Dialect):
    """See `Dialect`.

    Args:
        listener: Learns what the charger says.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener, "2.0.1")
        self._evses = 1
        self.handlers |= {
            "BootNotification": self._boot,
            "Authorize": self._authorize,
            "StatusNotification": self._status,
            "TransactionEvent": self._event,
            "MeterValues": self._meter_values,
            "DataTransfer": lambda _payload: {"status": "UnknownVendorId"},
            **{action: lambda _payload: {} for action in _UNHEARD},
        }

    async def ask(self) -> Found:
        """See `Dialect`; a charger that does not tell is taken to have those EVSEs that it has named."""
        units = await self._value({"name": "SmartChargingCtrlr"}, "RateUnit") or "A"
        for number in range(self._evses + 1, EVSES_ASKED + 1):
            if await self._value({"name": "EVSE", "evse": {"id": number}}, "AvailabilityState") is None:
                break
            self._evses = max(self._evses, number)
        unit = "A" if "A" in units or "W" not in units else "W"
        self._found = msgspec.structs.replace(self._found, connectors=self._evses, unit=unit)
        return self._found

    async def configure(self, sample_s: int) -> None:
        """See `Dialect`."""
        for measurands in MEASURANDS:
            if await self._set("TxUpdatedMeasurands", measurands):
                break
        await self._set("TxUpdatedInterval", str(sample_s))

    async def set_profile(self, profile: Profile, found: Found, w_per_a: float, start: str) -> str:
        """See `Dialect`."""
        limit = profile.limit_a if found.unit == "A" else round(profile.limit_a * w_per_a, 1)
        schedule: Payload = {
            "id": profile.id,
            "chargingRateUnit": found.unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        told: Payload = {
            "id": profile.id,
            "stackLevel": profile.stack,
            "chargingProfilePurpose": "ChargingStationMaxProfile"
            if profile.purpose == MAX
            else profile.purpose,
            "chargingProfileKind": "Relative" if profile.duration_s is None else "Absolute",
            "chargingSchedule": [schedule],
        }
        if profile.duration_s is not None:
            schedule |= {"duration": profile.duration_s, "startSchedule": start}
        if profile.transaction:
            told["transactionId"] = profile.transaction
        asked: Payload = {"evseId": profile.connector, "chargingProfile": told}
        return await self._why_not("SetChargingProfile", asked)

    async def trigger(self, what: str, connector: int) -> bool:
        """See `Dialect`."""
        asked: Payload = {"requestedMessage": what}
        if connector:
            of: Payload = {"id": connector}
            asked["evse"] = {**of, "connectorId": 1} if what == "StatusNotification" else of
        return not await self._why_not("TriggerMessage", asked)

    async def _value(self, component: Payload, variable: str) -> str | None:
        """Of one variable; None where there is none."""
        asked: Payload = {"getVariableData": [{"component": component, "variable": {"name": variable}}]}
        try:
            answer = await self._link.call("GetVariables", asked)
        except Denied:
            return None
        (one, *_) = msgspec.convert(answer, _Variables).get_variable_result
        return one.attribute_value if one.attribute_status == ACCEPTED else None

    async def _set(self, variable: str, value: str) -> bool:
        one: Payload = {
            "component": {"name": "SampledDataCtrlr"},
            "variable": {"name": variable},
            "attributeValue": value,
        }
        try:
            answer = await self._link.call("SetVariables", {"setVariableData": [one]})
        except Denied:
            return False
        (said, *_) = msgspec.convert(answer, _SetVariables).set_variable_result
        return said.attribute_status in {ACCEPTED, "RebootRequired"}

    def _boot(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Boot).charging_station
        return self._has_booted(
            maker=said.vendor_name,
            model=said.model,
            serial=said.serial_number,
            firmware_version=said.firmware_version,
        )

    def _authorize(self, payload: Payload) -> Payload:
        return {"idTokenInfo": self._info(msgspec.convert(payload, _Authorize).id_token.id_token)}

    def _status(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Status)
        if 0 < said.evse_id <= EVSES_ASKED:
            self._evses = max(self._evses, said.evse_id)
        self._to.has_status(said.evse_id, said.connector_status, "")
        return {}

    def _event(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _Event)
        transaction, state = said.transaction_info.transaction_id, said.transaction_info.charging_state
        evse = said.evse.id if said.evse is not None else self._to.transaction_of(transaction)
        if said.event_type != "Ended":
            self._to.goes_on(evse, transaction)
        for one in said.meter_value:
            self._to.measured(evse, _samples(one), one.timestamp)
        if state:
            self._to.has_status(evse, _STATES.get(state, state), "")
        if said.event_type == "Ended":
            self._to.ends(transaction)
        return {} if said.id_token is None else {"idTokenInfo": self._info(said.id_token.id_token)}

    def _meter_values(self, payload: Payload) -> Payload:
        said = msgspec.convert(payload, _MeterValues)
        for one in said.meter_value:
            self._to.measured(said.evse_id, _samples(one), one.timestamp)
        return {}


def _samples(one: _Meter) -> list[Sample]:
    return [
        Sample(
            told.value * 10.0 ** max(-12, min(12, told.unit_of_measure.multiplier)),
            told.measurand,
            told.phase,
            told.unit_of_measure.unit,
            told.context,
            told.location,
        )
        for told in one.sampled_value
    ]
