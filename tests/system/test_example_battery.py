"""The battery of the documentation, on real sockets, paired with the code on its label."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ores.link import client, codec, discovery
from ores.link.clock import RealClock
from ores.link.errors import ConfigError, Disconnected, Forbidden
from ores.link.identity import new_identity
from ores.link.pairing import PairingRefused, code_of, new_secret
from ores.model import Description, Failsafe, FromModule, Lease, Limits, ToModule
from ores.module import About, setpoint
from ores.module.run import running

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "battery_module.py"
ABOUT = About(name="My battery", maker="Me", model="One", serial="1", profiles=("storage",))


def example():
    spec = importlib.util.spec_from_file_location("battery_module", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def battery_on_the_network(directory, **how):
    how = {"host": "127.0.0.1", "announced": False, "report_period_s": 0.05} | how
    async with running(example().Battery, directory, ABOUT, clock=RealClock(), **how) as it:
        yield it


class Hub:
    """The asking side, as small as it can be."""

    def __init__(self):
        self.identity, self.clock, self.pin = new_identity(), RealClock(), None
        self.frames = asyncio.Queue()

    async def pair(self, it, code=None):
        self.pin = await client.pair(
            "127.0.0.1", it.server.port, self.identity, code or it.desk.code, self.clock, name="Hub"
        )

    async def connect(self, it):
        return await client.connect("127.0.0.1", it.server.port, self.identity, self.pin, self.clock)

    async def open_stream(self, session):
        return await session.open_stream(self.frames.put_nowait, lambda reason: None)

    async def frame(self, kind):
        async with asyncio.timeout(5):
            while True:
                message = codec.decode(FromModule, await self.frames.get())
                if (found := getattr(message, kind)) is not msgspec.UNSET:
                    return found

    async def state_where(self, right):
        while not right(state := await self.frame("state")):
            pass
        return state


def lease_answering(state, seq=1, **elements):
    lease = Lease(
        epoch=1, seq=seq, boot_id=state.boot_id, uptime_ms=state.uptime_ms, ttl_s=0.3, elements=elements
    )
    return codec.encode(ToModule(lease=lease))


def test_the_example_stays_short_and_the_page_shows_it_as_it_is():
    code = EXAMPLE.read_text()
    assert len(code.splitlines()) <= 55
    page = (EXAMPLE.parents[1] / "your-first-module.md").read_text()
    assert f"```python write=battery_module.py\n{code}```" in page


async def test_a_hub_pairs_reads_leases_and_is_outlived(tmp_path):
    hub = Hub()
    async with battery_on_the_network(tmp_path) as it:
        await hub.pair(it)
        session = await hub.connect(it)
        description = codec.decode(Description, (await session.request("GET", "/description")).body)
        assert (description.id, description.elements[0].kind) == (it.identity.id, "battery")
        failsafe = codec.encode(Failsafe(elements={"battery": Limits(produce_max_w=0.0)}))
        assert (await session.request("PUT", "/failsafe", failsafe)).status == 200

        send = await hub.open_stream(session)
        command = setpoint(1200.0)
        send(lease_answering(await hub.frame("state"), battery=command))
        assert (await hub.frame("result")).result == "applied"
        state = await hub.state_where(lambda state: state.elements["battery"].ac_measure.power_w == 1200.0)
        assert state.control_source == "lease"

        state = await hub.state_where(lambda state: state.control_source == "policy")
        assert state.elements["battery"].setpoint.power_w == 0.0
        assert state.elements["battery"].limit.produce_max_w == 0.0
        await session.close()


async def test_a_paired_module_comes_back_with_its_failsafe_and_needs_no_pairing(tmp_path):
    hub = Hub()
    async with battery_on_the_network(tmp_path) as it:
        await hub.pair(it)
        session = await hub.connect(it)
        failsafe = codec.encode(Failsafe(elements={"battery": Limits(produce_max_w=0.0)}))
        await session.request("PUT", "/failsafe", failsafe)
        await session.close()
    async with battery_on_the_network(tmp_path) as it:
        session = await hub.connect(it)
        assert (await session.request("GET", "/failsafe")).body == failsafe
        await session.close()


async def test_a_module_is_found_by_its_announcement_and_missed_when_it_ends(tmp_path):
    found, gone = asyncio.Queue(), asyncio.Queue()
    browser = await discovery.browse(found.put_nowait, gone.put_nowait, interfaces=discovery.LOOPBACK)
    try:
        how = {"announced": True, "interfaces": discovery.LOOPBACK}
        async with asyncio.timeout(20), battery_on_the_network(tmp_path, **how) as it:
            while (module := await found.get()).id != it.identity.id:
                pass  # others on this machine may announce themselves, too
            assert (module.id, module.port, module.name) == (it.identity.id, it.server.port, "Me One")
        async with asyncio.timeout(20):
            while await gone.get() != module.id:
                pass
    finally:
        await browser.close()


async def test_a_wrong_code_pairs_nobody(tmp_path):
    async with battery_on_the_network(tmp_path) as it:
        with pytest.raises(PairingRefused) as refused:
            await Hub().pair(it, code_of(new_secret()))
        assert refused.value.code == "pairing_wrong_code"
        assert it.pins.controller() is None


async def test_a_hub_that_has_not_paired_is_turned_away(tmp_path):
    hub, paired = Hub(), Hub()
    async with battery_on_the_network(tmp_path) as it:
        await paired.pair(it)
        hub.pin = paired.pin
        with pytest.raises((Forbidden, Disconnected)):
            await hub.connect(it)


async def test_a_busy_port_is_said_in_a_sentence(tmp_path):
    async with battery_on_the_network(tmp_path / "one") as it:
        with pytest.raises(ConfigError, match="in use by another program"):
            async with battery_on_the_network(tmp_path / "two", port=it.server.port):
                pass


def test_the_example_runs_from_the_command_line_and_ends_when_told(tmp_path):
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, tmp_path / "battery"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        first, second = process.stdout.readline(), process.stdout.readline()
        assert re.fullmatch(r"My battery \([a-z2-7]{26}\) listens on port \d+\n", first)
        assert re.fullmatch(r"pairing code ORES(-[A-Z2-7]{4}){7}\n", second)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_what_a_person_has_to_mend_is_said_in_one_line(tmp_path):
    place = tmp_path / "battery"
    place.mkdir(mode=0o700)
    (place / "identity.pem").write_text("no key")
    (place / "identity.pem").chmod(0o600)
    ended = subprocess.run(
        [sys.executable, EXAMPLE, place], check=False, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert re.fullmatch(r"error: .*identity\.pem: found .*\n", ended.stderr)
