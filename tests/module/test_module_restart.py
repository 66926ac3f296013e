"""Releases, restarts and printed labels: what a module on real sockets keeps, and forgets."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager

import msgspec
import pytest

from ores.link import client, codec
from ores.link.clock import RealClock
from ores.link.errors import OresError
from ores.link.identity import new_identity
from ores.model import (
    AcMeasure,
    Description,
    ElementState,
    Failsafe,
    FormGrid,
    FormGridCapability,
    FromModule,
    Lease,
    Limits,
    PairingStatus,
    Policy,
    Request,
    RequestResult,
    ToModule,
)
from ores.module import About, element, run, setpoint

ABOUT = About(name="Battery", maker="Maker", model="One", serial="1")
HOST = "127.0.0.1"
RESTART = msgspec.json.encode(Request(request="restart"))


class Hub:
    """A hub on real sockets, as small as it can be."""

    def __init__(self, it):
        self.it, self.identity, self.clock = it, new_identity(), RealClock()
        self.frames, self.ended = asyncio.Queue(), asyncio.Event()
        self.seq = 0

    async def pair(self):
        port, code = self.it.server.port, self.it.desk.code
        self.pin = await client.pair(HOST, port, self.identity, code, self.clock, name="Hub")
        await self.connect()

    async def connect(self, port=None):
        port = port or self.it.server.port
        self.session = await client.connect(HOST, port, self.identity, self.pin, self.clock)
        self.ended.clear()
        self.frames = asyncio.Queue()
        self.send = await self.session.open_stream(self.frames.put_nowait, lambda _: self.ended.set())
        self.first = await self.next("state")

    async def next(self, what):
        async with asyncio.timeout(5):
            while True:
                frame = codec.decode(FromModule, await self.frames.get())
                if (found := getattr(frame, what)) is not msgspec.UNSET:
                    return found

    async def lease(self, power_w, epoch=1):
        self.seq += 1
        state = self.first
        asked = Lease(
            epoch=epoch,
            seq=self.seq,
            boot_id=state.boot_id,
            uptime_ms=state.uptime_ms,
            ttl_s=600.0,
            elements={"battery": setpoint(power_w)},
        )
        self.send(msgspec.json.encode(ToModule(lease=asked)))
        return await self.next("result")

    async def put(self, path, message):
        reply = await self.session.request("PUT", path, msgspec.json.encode(message))
        assert reply.status == 200, reply.body

    async def ask(self, body):
        reply = await self.session.request("POST", "/requests", body)
        assert reply.status == 200, reply.body
        return msgspec.json.decode(reply.body, type=RequestResult)

    async def back(self, port):
        """Connect as soon as the module is there again."""
        async with asyncio.timeout(10):
            while True:
                try:
                    await self.connect(port)
                except OresError:
                    await asyncio.sleep(0.02)
                else:
                    return


@asynccontextmanager
async def paired(device, directory, **how):
    how = {"clock": RealClock(), "host": HOST, "announced": False} | how
    async with run.running(lambda _clock: device, directory, ABOUT, **how) as it:
        hub = Hub(it)
        await hub.pair()
        yield it, hub
        await hub.session.close()


def status(it):
    return msgspec.json.decode(it.desk.answer("GET", "/pairing", b"").body, type=PairingStatus)


async def test_a_released_module_stays_limited_and_waits_for_its_next_hub(things, tmp_path):
    battery = things.Battery()
    async with paired(battery, tmp_path) as (it, hub):
        await hub.put("/failsafe", Failsafe(elements={"battery": Limits(produce_max_w=0.0)}))
        await hub.put("/policy", Policy(kind="free"))
        assert (await hub.lease(2000.0, epoch=7)).result == "applied"
        assert battery.power_w == 2000.0
        assert (await client.release(hub.session)).open is True
        await asyncio.wait_for(hub.ended.wait(), 5)
        state = it.module.state()
        assert (state.control_source, state.policy) == ("policy", "free")
        assert battery.told.power_w is None, "its lease has ended"
        assert state.elements["battery"].limit.produce_max_w == 0.0
        assert (it.module.saved.controller, it.module.saved.epoch) == ("", 0)
        await hub.session.close()
        await hub.pair()
        assert (await hub.lease(100.0, epoch=1)).result == "applied", "its epochs begin anew"


async def test_an_observer_that_goes_ends_no_lease(things, tmp_path):
    battery = things.Battery()
    async with paired(battery, tmp_path, allow_observers=True) as (it, hub):
        await hub.lease(2000.0)
        it.desk.press_button()
        reader = new_identity()
        pin = await client.pair(
            HOST, it.server.port, reader, it.desk.code, RealClock(), name="R", role="observer"
        )
        session = await client.connect(HOST, it.server.port, reader, pin, RealClock())
        assert (await client.release(session)).paired is True
        await session.close()
        assert battery.power_w == 2000.0
        assert it.module.saved.epoch == 1


async def test_a_module_that_was_released_and_loses_power_opens_by_its_button_only(things, tmp_path):
    async with paired(things.Battery(), tmp_path) as (_it, hub):
        await client.release(hub.session)
    how = {"clock": RealClock(), "host": HOST, "announced": False}
    async with run.running(lambda _clock: things.Battery(), tmp_path, ABOUT, **how) as it:
        assert status(it).closed_because == "pairing_closed"
        it.desk.press_button()
        assert status(it).open is True
        it.factory_reset()
    async with run.running(lambda _clock: things.Battery(), tmp_path, ABOUT, **how) as it:
        assert status(it).open is True, "its code is a new one, which nobody knows"


async def test_a_module_with_a_printed_label_opens_for_ten_minutes_after_its_reset(things, tmp_path):
    clock = things.HandClock()
    how = {"clock": clock, "host": HOST, "announced": False, "label_only": True}
    async with run.running(lambda _clock: things.Battery(), tmp_path, ABOUT, **how) as it:
        code = it.desk.code
        clock.move(5000.0)
        assert status(it).open is True, "never reset: whoever unpacks it has time"
        assert it.factory_reset() == code, "a label does not change"
        clock.move(5599.0)
        assert status(it).open is True
        clock.move(5600.0)
        assert status(it).closed_because == "pairing_closed"
        it.desk.press_button()
        assert status(it).open is True
    async with run.running(lambda _clock: things.Battery(), tmp_path, ABOUT, **how) as it:
        assert status(it).open is False, "switching on is no act at the device (LIFE-011)"
        assert it.factory_reset() == code
        assert status(it).open is True


async def test_a_restart_keeps_what_was_agreed_and_nothing_else(things, tmp_path):
    battery = things.Battery()
    async with paired(battery, tmp_path, port=0) as (it, hub):
        port, before, module = it.server.port, hub.first, it.module
        await hub.put("/failsafe", Failsafe(elements={"battery": Limits(produce_max_w=100.0)}))
        await hub.put("/policy", Policy(kind="free"))
        await hub.lease(2000.0, epoch=3)
        page = (await hub.session.request("GET", "/description")).body
        assert codec.decode(Description, page).requests == ["restart"]
        assert await hub.ask(RESTART) == RequestResult(result="accepted")
        await asyncio.wait_for(hub.ended.wait(), 5)
        await hub.session.close()
        await hub.back(port)
        after = hub.first
        assert after.boot_id != before.boot_id
        assert after.uptime_ms < 5000
        assert (after.control_source, after.policy, after.lease) == ("policy", "free", msgspec.UNSET)
        assert after.elements["battery"].limit.produce_max_w == 100.0
        epochs = [state.elements["battery"].energy.counter_epoch for state in (before, after)]
        assert epochs[0] == epochs[1], "it was stopped in order, so that the counters are exact"
        assert (await hub.lease(50.0, epoch=2)).code == "lease_old_epoch"
        assert (await hub.lease(50.0, epoch=3)).result == "applied"
        assert it.module is not module
        assert status(it).closed_because == "pairing_closed", "a restart opens no pairing (LIFE-011)"
        told = len(battery.applied)
        module.changed()
        assert len(battery.applied) == told, "the module of before is dead, whatever its device still says"


async def test_two_requests_are_one_restart(things, tmp_path):
    async with paired(things.Battery(), tmp_path, boot_id="00000001") as (it, hub):
        await asyncio.gather(hub.ask(RESTART), hub.ask(RESTART))
        port = it.server.port
        await asyncio.wait_for(hub.ended.wait(), 5)
        await hub.session.close()
        await hub.back(port)
        assert it.restarts == 1
        assert hub.first.boot_id not in {"00000001", ""}


async def test_a_makers_own_reboot_comes_when_all_has_ended_in_order(things, tmp_path):
    rebooted = asyncio.Event()
    battery = things.Battery()
    async with paired(battery, tmp_path, restart=rebooted.set) as (it, hub):
        await hub.lease(2000.0)
        assert (await hub.ask(RESTART)).result == "accepted"
        await asyncio.wait_for(rebooted.wait(), 5)
        assert battery.power_w == 0.0
        assert it.restarts == 0
        with pytest.raises(RuntimeError, match="closed"):
            it.server.port  # noqa: B018


async def test_a_reboot_that_fails_leaves_a_module_that_runs(things, tmp_path, caplog):
    def broken():
        raise OSError("no such service")

    async with paired(things.Battery(), tmp_path, restart=broken) as (it, hub):
        port = it.server.port
        await hub.ask(RESTART)
        await asyncio.wait_for(hub.ended.wait(), 5)
        await hub.session.close()
        await hub.back(port)
        assert it.restarts == 1
    assert "its module begins anew instead" in caplog.text


async def test_a_restart_that_meets_a_damaged_file_is_tried_again(things, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(run, "RETRY_S", 0.05)
    async with paired(things.Battery(), tmp_path) as (it, hub):
        port, pins = it.server.port, (tmp_path / "pins.json").read_bytes()
        (tmp_path / "pins.json").write_bytes(b"{")
        caplog.set_level(logging.ERROR)
        await hub.ask(RESTART)
        await asyncio.wait_for(hub.ended.wait(), 5)
        await hub.session.close()
        async with asyncio.timeout(5):
            while "not started again" not in caplog.text:
                await asyncio.sleep(0.02)
        (tmp_path / "pins.json").write_bytes(pins)
        await hub.back(port)


def test_a_module_that_offers_no_restart_says_so(things):
    bench = things.Bench(things.Battery())
    assert b'"requests"' not in bench.module.pages[0]
    reply = bench.ask("POST", "/requests", Request(request="restart"))
    assert msgspec.json.decode(reply.body)["code"] == "unknown_request"


def test_what_no_module_as_a_whole_knows_is_refused(things):
    asked = []
    bench = things.Bench(things.Battery(), restart=lambda: asked.append(1))
    for unknown in ("open", "restart_now"):
        reply = bench.ask("POST", "/requests", Request(request=unknown))
        assert msgspec.json.decode(reply.body)["code"] == "unknown_request"
    of_element = bench.ask("POST", "/requests", Request(element="battery", request="restart"))
    assert msgspec.json.decode(of_element.body)["code"] == "unknown_request"
    assert bench.ask("POST", "/requests", Request(request="restart"), things.observer).status == 403
    assert asked == []
    assert msgspec.json.decode(bench.ask("POST", "/requests", Request(request="restart")).body) == {
        "result": "accepted"
    }
    assert asked == [1]


def test_who_holds_up_an_island_is_not_restarted(things):
    former = element(
        "inverter",
        "inverter",
        bus="backup",
        form_grid=FormGridCapability(power_max_w=3000.0),
    )
    battery = things.Battery(former)
    battery.readings["inverter"] = ElementState(
        ac_measure=AcMeasure(power_w=-100.0), form_grid=FormGrid(forming=True)
    )
    asked = []
    bench = things.Bench(battery, restart=lambda: asked.append(1))
    reply = msgspec.json.decode(bench.ask("POST", "/requests", Request(request="restart")).body)
    assert (reply["result"], reply["code"]) == ("refused", "interlocked")
    assert asked == []
