"""Owners come and go: nothing of the old one's commands and habits goes on."""

from __future__ import annotations

from contextlib import asynccontextmanager

import msgspec

from ores.link.clock import RealClock
from ores.link.endpoint import Peer
from ores.link.identity import new_identity
from ores.link.pins import pin
from ores.model import (
    ElementSettings,
    Failsafe,
    Lease,
    Limits,
    Policy,
    Settings,
    StorageSettings,
)
from ores.module import About, FileStore, run, setpoint

ABOUT = About(name="Battery", maker="Maker", model="One", serial="1")


@asynccontextmanager
async def leased(things, directory):
    """A module under a lease of ten minutes, and its hub."""
    hub, battery = new_identity(), things.Battery()
    async with run.running(
        lambda _clock: battery,
        directory,
        ABOUT,
        clock=RealClock(),
        host="127.0.0.1",
        boot_id="00000001",
        announced=False,
    ) as it:
        it.pins.add(pin(hub.certificate, "controller", "Hub"))
        asked = Lease(
            epoch=3,
            seq=1,
            boot_id="00000001",
            uptime_ms=0,
            ttl_s=600.0,
            elements={"battery": setpoint(2000.0)},
        )
        it.module.take_lease(Peer(id=hub.id, role="controller"), asked)
        assert battery.power_w == 2000.0
        yield it, hub, battery


async def test_a_controller_that_is_no_longer_pinned_commands_nothing(things, tmp_path):
    async with leased(things, tmp_path) as (it, hub, battery):
        it.pins.remove(hub.id)
        assert battery.power_w == 0.0
        assert it.module.state().control_source == "policy"


async def test_a_controller_that_is_made_an_observer_commands_nothing(things, tmp_path):
    async with leased(things, tmp_path) as (it, hub, battery):
        it.pins.add(pin(hub.certificate, "observer", "Hub"))
        assert battery.power_w == 0.0


async def test_an_observer_that_comes_or_goes_ends_no_lease(things, tmp_path):
    async with leased(things, tmp_path) as (it, _hub, battery):
        reader = pin(new_identity().certificate, "observer", "Reader")
        it.pins.add(reader)
        it.pins.remove(reader.id)
        assert battery.power_w == 2000.0


async def test_a_module_that_has_lost_its_pins_pairs_only_after_an_act_at_the_device(things, tmp_path):
    async with leased(things, tmp_path):
        pass
    (tmp_path / "pins.json").unlink()
    for _ in range(2):  # it is still lost at the next start
        async with run.running(
            lambda _clock: things.Battery(),
            tmp_path,
            ABOUT,
            clock=RealClock(),
            host="127.0.0.1",
            announced=False,
        ) as it:
            status = msgspec.json.decode(it.desk.answer("GET", "/pairing", b"").body)
            assert status == {"open": False, "paired": False, "closed_because": "pairing_closed"}
    async with run.running(
        lambda _clock: things.Battery(), tmp_path, ABOUT, clock=RealClock(), host="127.0.0.1", announced=False
    ) as it:
        it.desk.press_button()
        assert msgspec.json.decode(it.desk.answer("GET", "/pairing", b"").body)["open"] is True


async def test_a_factory_reset_leaves_the_key_and_nothing_of_the_owner(things, tmp_path):
    async with leased(things, tmp_path) as (it, _hub, battery):

        def put(path, message):
            return it.module.request(things.hub, "PUT", path, msgspec.json.encode(message)).status

        assert put("/failsafe", Failsafe(elements={"battery": Limits(produce_max_w=0.0)})) == 200
        assert put("/policy", Policy(kind="free")) == 200
        reserve = ElementSettings(storage=StorageSettings(reserve_pct=30.0))
        assert put("/settings", Settings(elements={"battery": reserve})) == 200
        before, key = it.desk.code, it.identity.id

        code = it.factory_reset()
        assert battery.power_w == 0.0
        assert code == it.desk.code != before
        assert len(it.pins) == 0
        assert it.module.control.policy.kind == "idle"
        state = it.module.state()
        assert state.control_source == "policy"
        assert state.elements["battery"].limit.produce_max_w == 4000.0
        assert state.elements["battery"].storage.reserve_pct == 0.0
        kept = FileStore(tmp_path, fresh_counter_epoch=0).load()
        assert (kept.failsafe, kept.policy, kept.settings, kept.controller, kept.epoch) == (
            {},
            None,
            {},
            "",
            0,
        )
        assert kept.strict is False, "the factory's limits were not lost, they were asked for"
    async with run.running(
        lambda _clock: things.Battery(), tmp_path, ABOUT, clock=RealClock(), host="127.0.0.1", announced=False
    ) as again:
        assert (again.identity.id, again.desk.code) == (key, code)
