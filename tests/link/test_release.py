"""Release: who was let in may go, and what stays behind is neither open for ever nor free of its limits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.link.echo import HOST, Ears, House, house

from ores.link.client import pair, release
from ores.link.desk import PairingDesk
from ores.link.endpoint import Peer, Reply
from ores.link.errors import Forbidden, PeerError
from ores.link.identity import Identity, new_identity
from ores.link.pairing import ModulePairing
from ores.link.pins import Pins, pin
from ores.link.server import serve
from ores.model import PairingStatus

SECRET = bytes(range(16))
OPEN = PairingStatus(open=True, paired=False)


def closed(machine: ModulePairing, now_s: float) -> bool:
    return machine.status(now_s) == PairingStatus(open=False, paired=False, closed_because="pairing_closed")


def said(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body)["code"]


async def pair_again(home: House, who: Identity) -> None:
    await pair(HOST, home.server.port, who, home.desk.code, home.clock, name="next")


def test_a_released_module_listens_for_ten_minutes_and_then_after_an_act_only() -> None:
    machine = ModulePairing(new_identity().fingerprint, SECRET, controller="a" * 64)
    machine.free(100.0)
    assert machine.status(100.0) == OPEN
    assert machine.status(699.9) == OPEN
    assert closed(machine, 700.0)
    machine.press_button(5000.0)
    assert machine.status(5599.9) == OPEN
    assert closed(machine, 5600.0)


def test_a_module_that_was_freed_before_this_boot_waits_for_an_act() -> None:
    machine = ModulePairing(new_identity().fingerprint, SECRET, act_needed=True)
    assert closed(machine, 0.0)
    machine.press_button(0.0)
    assert machine.status(0.0) == OPEN


def test_a_release_ends_no_lock_out() -> None:
    machine = ModulePairing(new_identity().fingerprint, SECRET)
    machine._tries = 5
    machine._lock(0.0)
    machine.free(0.0)
    assert machine.status(0.0).closed_because == "pairing_locked"


async def test_a_controller_that_goes_hears_the_answer_and_loses_its_connections() -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        await session.open_stream(ears.on_frame, ears.on_closed)
        assert await release(session) == OPEN
        assert await ears.end() == "the connection was lost"
        await asyncio.wait_for(home.echo.closed.wait(), 5)
        assert len(home.pins) == 0
        with pytest.raises(Forbidden, match="does not know our key"):
            await session.request("GET", "/state")
        await session.close()
        another = new_identity()
        await pair_again(home, another)
        assert home.pins.controller().id == another.id


async def test_the_connection_that_carried_the_answer_is_closed_after_it() -> None:
    async with house() as home:
        asked = b"DELETE /ores/v1/pairing HTTP/1.1\r\nHost: m\r\n\r\n"
        answer = await home.raw(asked + b"GET /ores/v1/state HTTP/1.1\r\nHost: m\r\n\r\n", home.hub)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert answer.endswith(b'{"open":true,"paired":false}'), "and no second answer on it"
        assert home.echo.peers == []


async def test_an_observer_that_goes_opens_nothing_and_ends_nobody_elses_stream() -> None:
    async with house() as home:
        observer = new_identity()
        home.pins.add(pin(observer.certificate, "observer"))
        controller, ears = await home.connect(), Ears()
        send = await controller.open_stream(ears.on_frame, ears.on_closed)
        leaving = await home.connect(observer)
        status = await release(leaving)
        assert status == PairingStatus(open=False, paired=True, closed_because="pairing_closed")
        assert [entry.role for entry in home.pins] == ["controller"]
        send(b"still here")
        assert await ears.next() == b"still here"
        await leaving.close()
        await controller.close()


async def test_a_stranger_releases_nobody() -> None:
    async with house() as home:
        stranger = home.stranger()
        assert said(await stranger.request("DELETE", "/pairing")) == (403, "forbidden")
        assert len(home.pins) == 1
        await stranger.close()


async def test_a_release_that_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    async with house() as home:
        home.pins._path = _full(tmp_path)  # type: ignore[misc]
        session = await home.connect()
        with pytest.raises(PeerError) as caught:
            await release(session)
        assert caught.value.code == "storage_failed"
        assert (await session.request("GET", "/state")).status == 200
        await session.close()


def _full(tmp_path: Path) -> Path:
    """A path at which nothing can be written."""
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "pins.json"


async def test_that_a_module_was_released_survives_a_power_cut(tmp_path: Path) -> None:
    async with house() as home:
        seal = tmp_path / "sealed"
        home.desk = PairingDesk(home.module, home.pins, home.clock, secret=SECRET, seal=seal)
        hub = Peer(id=home.hub.id, role="controller")
        assert home.desk.answer("DELETE", "/pairing", b"", hub).status == 200
        after = PairingDesk(home.module, Pins(), home.clock, secret=SECRET, seal=seal)
        assert json.loads(after.answer("GET", "/pairing", b"").body)["closed_because"] == "pairing_closed"
        after.press_button()
        assert json.loads(after.answer("GET", "/pairing", b"").body) == {"open": True, "paired": False}
        after.reset(bytes(16))
        fresh = PairingDesk(home.module, Pins(), home.clock, secret=bytes(16), seal=seal)
        assert json.loads(fresh.answer("GET", "/pairing", b"").body)["open"] is True


async def test_a_module_without_a_desk_has_nothing_to_release() -> None:
    async with house() as home:
        other = await serve(home.echo, home.module, home.pins, clock=home.clock, host=HOST)
        home.server, was = other, home.server
        session = await home.connect()
        assert said(await session.request("DELETE", "/pairing")) == (403, "pairing_closed")
        await session.close()
        await other.close()
        home.server = was
