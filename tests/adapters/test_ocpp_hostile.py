"""Frames that no charger sends: an error of OCPP answers them, or nothing, or the end; nothing breaks."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from math import isfinite
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from tests.adapters.charge_point_16 import connected
from tests.adapters.test_ocpp_charger import HERE, SETTINGS, central, until

from ores.adapters.ocpp.charger import OcppCharger
from ores.adapters.ocpp.dialect import Dialect, Found
from ores.adapters.ocpp.frames import ID_MAX, Broken, Call, Error, Result, read
from ores.adapters.ocpp.link import BROKEN_MAX, Denied, Hostile, Link
from ores.adapters.ocpp.schemas import Version
from ores.adapters.ocpp.v16 import V16
from ores.adapters.ocpp.v201 import V201
from ores.link.clock import RealClock
from ores.link.errors import Disconnected, TimedOut

CODES = {
    "NotImplemented",
    "NotSupported",
    "ProtocolError",
    "FormationViolation",
    "FormatViolation",
    "TypeConstraintViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "OccurrenceConstraintViolation",
    "RpcFrameworkError",
}
BATCH = 50
"""Frames in one example: most of what a property costs is making the example."""


class Wire:
    """A link whose other end is a list."""

    def __init__(self, version: Version = "1.6", *, answer_s: float = 5.0) -> None:
        self.sent: list[str] = []
        self.charger = OcppCharger("GARAGE", SETTINGS, RealClock(), control=True)
        self.charger._take(Found(maker="Wattling"))
        self.dialect: Dialect = V16(self.charger) if version == "1.6" else V201(self.charger)
        self.link = Link("GARAGE", version, self.send, RealClock(), self.dialect.handlers, answer_s=answer_s)
        self.dialect.over(self.link)

    async def send(self, text: str) -> None:
        self.sent.append(text)

    def hear(self, text: str) -> list[Any] | None:
        """What is answered; without a loop, for nothing of it waits."""
        self.sent.clear()
        with suppress(StopIteration):
            self.link.hear(text).send(None)
        return json.loads(self.sent[0]) if self.sent else None


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


TIME = "2026-01-01T00:00:00Z"
SAMPLE = {"value": "5", "measurand": "Power.Active.Import", "unit": "kW", "phase": "L1"}
METER = [{"timestamp": TIME, "sampledValue": [SAMPLE]}]
METER_201 = [
    {"timestamp": TIME, "sampledValue": [{"value": 5, "unitOfMeasure": {"unit": "kWh", "multiplier": 1}}]}
]
EVENT = {
    "eventType": "Started",
    "timestamp": TIME,
    "triggerReason": "CablePluggedIn",
    "seqNo": 1,
    "transactionInfo": {"transactionId": "1", "chargingState": "Charging"},
    "evse": {"id": 1},
    "meterValue": METER_201,
}
GOOD: dict[Version, dict[str, dict[str, Any]]] = {
    "1.6": {
        "BootNotification": {"chargePointVendor": "a", "chargePointModel": "b"},
        "StatusNotification": {
            "connectorId": 1,
            "errorCode": "NoError",
            "status": "Charging",
            "timestamp": TIME,
        },
        "StartTransaction": {"connectorId": 1, "idTag": "card", "meterStart": 1, "timestamp": TIME},
        "StopTransaction": {"transactionId": 1, "meterStop": 1, "timestamp": TIME, "transactionData": METER},
        "MeterValues": {"connectorId": 1, "transactionId": 1, "meterValue": METER},
        "Authorize": {"idTag": "card"},
        "Reset": {},
    },
    "2.0.1": {
        "BootNotification": {"chargingStation": {"model": "a", "vendorName": "b"}, "reason": "PowerUp"},
        "StatusNotification": {
            "connectorStatus": "Occupied",
            "evseId": 1,
            "connectorId": 1,
            "timestamp": TIME,
        },
        "TransactionEvent": EVENT,
        "MeterValues": {"evseId": 1, "meterValue": METER_201},
        "Authorize": {"idToken": {"idToken": "card", "type": "Local"}},
        "NotifyEvent": {},
    },
}
numbers = st.sampled_from(["0", "-1", "1e308", "1e999", "NaN", "9" * 40, "9" * 400, "0.1", "-32768"])
words = st.sampled_from(
    ["", "Charging", "kW", "L1", "Ended", "\ud7ff\0", "1e999", "nan", "\u0663", "x" * 600]
)
leaves = (
    numbers | words.map(json.dumps) | st.sampled_from(["null", "true", "[]", "{}", nested(3), '"', "\x00"])
)


def hurt(version: Version) -> st.SearchStrategy[str]:
    """A call as it should be, but for one value in it."""
    whole = [(action, json.dumps(payload)) for action, payload in GOOD[version].items()]
    places = [
        (f'[2,"1","{action}",{text[: it.start()]}', f"{text[it.end() :]}]")
        for action, text in whole
        for it in re.finditer(r'(?<=: )("[^"]*"|[0-9.]+)|(?<=": )(\[.*?\]|\{.*?\})|^.*$', text)
    ]
    return st.tuples(st.sampled_from(places), leaves).map(lambda it: it[0][0] + it[1] + it[0][1])


others = st.tuples(leaves, leaves, leaves, leaves).map(lambda it: f"[{','.join(it)}]")
batches = {
    version: st.lists(hurt(version) | others | st.text(max_size=9), min_size=BATCH, max_size=BATCH)
    for version in GOOD
}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_frame_breaks_anything(version: Version, data: st.DataObject) -> None:
    batch, wire = data.draw(batches[version]), Wire(version)
    for frame in batch:
        wire.link._broken = 0
        answer = wire.hear(frame)
        assert answer is None or answer[0] == 3 or answer[2] in CODES
    state = wire.charger.read(HERE)
    assert state.ac_measure is not UNSET
    power_w = state.ac_measure.power_w
    assert power_w is None or (isfinite(power_w) and abs(power_w) <= 2 * 16 * 3 * 230)
    assert state.energy is not UNSET
    energy_wh = state.energy.energy_in_wh
    assert energy_wh is None or 0 <= energy_wh <= 1e12


samples = st.fixed_dictionaries(
    {"value": st.floats().map(str) | st.integers().map(str) | words},
    optional={
        "measurand": st.sampled_from(
            [
                "Power.Active.Import",
                "Power.Active.Export",
                "Energy.Active.Import.Register",
                "Current.Import",
                "Voltage",
                "SoC",
                "Frequency",
            ]
        ),
        "phase": st.sampled_from(["L1", "L2", "L3", "N", "L1-N", "L1-L2"]),
        "unit": st.sampled_from(["W", "kW", "Wh", "kWh", "A", "V", "Percent", "Celsius"]),
        "context": st.sampled_from(["Sample.Periodic", "Transaction.End", "Trigger"]),
    },
)


@settings(max_examples=100, deadline=None)
@given(told=st.lists(samples, min_size=1, max_size=8))
def test_no_meter_is_believed_beyond_its_range(told: list[dict[str, str]]) -> None:
    wire = Wire()
    payload = {"connectorId": 1, "meterValue": [{"timestamp": wire.charger.now(), "sampledValue": told}]}
    answer = wire.hear(json.dumps([2, "1", "MeterValues", payload]))
    assert answer == [3, "1", {}]
    state = wire.charger.read(HERE)
    assert state.ac_measure is not UNSET
    power_w = state.ac_measure.power_w
    assert power_w is None or abs(power_w) <= 2 * 16 * 3 * 230
    terminals = state.ac_measure.terminals
    for one in {} if terminals is UNSET else terminals.values():
        assert one.current_a is UNSET or one.current_a is None or 0 <= one.current_a <= 32
        assert one.voltage_v is UNSET or one.voltage_v is None or 0 <= one.voltage_v <= 1000


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ('[2,"7","BootNotification",{}]', [4, "7", "OccurenceConstraintViolation"]),
        (
            '[2,"7","BootNotification",{"chargePointVendor":1,"chargePointModel":"x"}]',
            [4, "7", "TypeConstraintViolation"],
        ),
        ('[2,"7","Wishes",{}]', [4, "7", "NotImplemented"]),
        ('[2,"7","Reset",{"type":"Hard"}]', [4, "7", "NotSupported"]),
        ('[2,"7","Heartbeat",[]]', [4, "7", "FormationViolation"]),
        ('[2,"7","Heartbeat",{"a":1}]', [4, "7", "FormationViolation"]),
        ('[3,"7",{}]', None),
        ('[4,"7","GenericError","",{}]', None),
        ('[5,"7",{}]', None),
        ("{}", None),
        (nested(5000), None),
        (f'[2,"{"7" * (ID_MAX + 1)}","Heartbeat",{{}}]', None),
    ],
)
def test_each_mistake_has_its_answer(frame: str, answer: list[Any] | None) -> None:
    said = Wire().hear(frame)
    assert (said[:3] if said else said) == answer


def test_what_cannot_be_read_has_an_answer_in_201() -> None:
    said = Wire("2.0.1").hear("{}")
    assert said is not None
    assert said[:3] == [4, "-1", "RpcFrameworkError"]


def test_one_that_sends_nothing_but_nonsense_is_no_charger() -> None:
    wire = Wire()
    for _ in range(BROKEN_MAX):
        wire.hear("nonsense")
    wire.hear('[2,"1","Heartbeat",{}]')
    for _ in range(BROKEN_MAX):
        wire.hear("nonsense")
    with pytest.raises(Hostile):
        wire.hear("nonsense")


def test_frames_are_read_as_what_they_are() -> None:
    assert read('[2,"1","Heartbeat",{}]') == Call("1", "Heartbeat", {})
    assert read('[3,"1",{"a":1}]') == Result("1", {"a": 1})
    assert read('[4,"1","GenericError","why",{}]') == Error("1", "GenericError", "why")
    assert isinstance(read('[true,"1","Heartbeat",{}]'), Broken)


async def test_an_answer_to_another_call_is_none() -> None:
    wire = Wire(answer_s=0.05)
    asking = asyncio.create_task(wire.link.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))
    await until(lambda: wire.sent)
    await wire.link.hear('[3,"other",{"status":"Accepted"}]')
    with pytest.raises(TimedOut):
        await asking


async def test_an_answer_that_is_none_by_the_schema_is_a_refusal() -> None:
    wire = Wire()
    asking = asyncio.create_task(wire.link.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))
    await until(lambda: wire.sent)
    await wire.link.hear(f'[3,{json.dumps(json.loads(wire.sent[0])[1])},{{"status":"Perhaps"}}]')
    with pytest.raises(Denied):
        await asking


async def test_who_waits_learns_that_the_connection_has_ended() -> None:
    wire = Wire()
    asking = asyncio.create_task(wire.link.call("TriggerMessage", {"requestedMessage": "Heartbeat"}))
    await until(lambda: wire.sent)
    wire.link.close()
    with pytest.raises(Disconnected):
        await asking


@pytest.mark.parametrize("flood", ["x" * 70_000, b"\x00", "nonsense"])
async def test_what_is_no_charger_is_put_out_and_a_charger_let_in_after_it(flood: str | bytes) -> None:
    async with central() as (charger, port):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{port}/GARAGE", protocols=("ocpp1.6",)) as socket,
        ):
            for _ in range(30):
                if isinstance(flood, bytes):
                    await socket.send_bytes(flood)
                else:
                    await socket.send_str(flood)
                if len(flood) != 8:
                    break
            ended = await socket.receive(timeout=2)
            while ended.type is aiohttp.WSMsgType.TEXT:
                ended = await socket.receive(timeout=2)
            assert ended.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        await until(lambda: not charger.is_connected)
        async with connected(port, "GARAGE") as at:
            assert (await at.boot()).status == "Accepted"


async def test_a_flood_of_good_frames_is_put_out_too() -> None:
    async with (
        central() as (_, port),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/GARAGE", protocols=("ocpp1.6",)) as socket,
    ):
        for _ in range(300):
            await socket.send_str('[2,"1","Heartbeat",{}]')
        kinds = [(await socket.receive(timeout=2)).type for _ in range(240)]
        assert aiohttp.WSMsgType.CLOSE in kinds


async def test_one_that_speaks_no_ocpp_is_put_out() -> None:
    async with (
        central() as (_, port),
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/GARAGE") as socket,
    ):
        assert (await socket.receive(timeout=2)).type is aiohttp.WSMsgType.CLOSE
