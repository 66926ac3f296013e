"""Point 5, as a person meets it: the command says in one sentence what is wrong, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.system.houses import Api

from ores.link import client, codec
from ores.link.clock import RealClock
from ores.link.desk import PairingDesk
from ores.link.identity import new_identity
from ores.link.pins import Pins
from ores.model import FromModule, Live, State

ORES = [sys.executable, "-m", "ores.cli"]


def ores(*words: str | Path, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run the command to its end: exit code, output, errors."""
    ended = subprocess.run(
        [*ORES, *map(str, words)], check=False, capture_output=True, text=True, timeout=60, cwd=cwd
    )
    return ended.returncode, ended.stdout, ended.stderr


def refused(code: int, *words: str | Path, cwd: Path | None = None) -> str:
    """Run what cannot work; the one sentence that says why."""
    found, said, sentence = ores(*words, cwd=cwd)
    assert (found, said) == (code, ""), sentence
    assert sentence.startswith("ores: ")
    assert sentence.count("\n") == 1, "one sentence, no traceback"
    return sentence


@contextmanager
def started(*words: str | Path, file_max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """A command that runs until the block ends; what it says first."""

    def narrow() -> None:
        if file_max_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_max_bytes, file_max_bytes))

    child = subprocess.Popen(
        [*ORES, *map(str, words), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=narrow,  # noqa: PLW1509  no thread of ours holds a lock here
    )
    try:
        first = child.stdout.readline()
        if not first:
            raise AssertionError(child.stderr.read())
        yield {**json.loads(first), "child": child}
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise


def hub(data: Path, **how: int):
    """A hub on a free port that looks for nobody."""
    return started("hub", "--no-discover", "--data", data, "--port", "0", **how)


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ("status --url http://127.0.0.1:9", 3, ["http://127.0.0.1:9", "ores hub"]),
        ("demo --headless --hours 1 --replay missing.parquet", 2, ["--replay", "missing.parquet"]),
        ("demo --headless --hours 1 --replay broken.parquet", 2, ["broken.parquet", "Parquet"]),
        ("demo --headless --hours 1 --prefer ev_mode=warp", 2, ["ev_mode", "warp", "surplus", "fast"]),
        ("module toaster", 2, ["toaster", "meter", "heat_pump"]),
        ("hub --data broken.parquet", 2, ["--data", "broken.parquet"]),
        ("pair ORES-1 --address 127.0.0.1", 3, ["no hub answers"]),
    ],
)
def test_what_a_person_gets_wrong_is_named(tmp_path: Path, words: str, code: int, named: list[str]) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 or so")
    sentence = refused(code, *words.split(), cwd=tmp_path)
    assert [word for word in named if word not in sentence] == [], sentence


def test_a_second_hub_is_told_of_the_port_and_of_the_directory_and_the_first_runs_on(tmp_path: Path) -> None:
    with hub(tmp_path / "one") as first:
        port = first["url"].rstrip("/").rpartition(":")[2]
        busy = refused(2, "hub", "--no-discover", "--data", tmp_path / "two", "--port", port)
        assert "--port" in busy
        assert port in busy
        taken = refused(2, "hub", "--no-discover", "--data", tmp_path / "one", "--port", "0")
        assert "another hub runs here" in taken
        code, said, _ = ores("status", "--url", first["url"], "--json")
        assert code == 0
        assert msgspec.json.decode(said, type=Live).modules == {}
        assert "toaster" in refused(2, "why", "toaster", "--url", first["url"])


def test_a_busy_port_of_a_module_or_of_the_world_is_named(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        assert port in refused(2, "module", "meter", "--port", port, "--data", tmp_path / "meter")
        demo = ("demo", "--port", "0", "--speed", "50", "--hours", "0.01")
        assert port in refused(2, *demo, "--world-port", port)


def test_wrong_codes_are_refused_then_locked_out_and_the_right_one_must_wait(tmp_path: Path) -> None:
    wrong = PairingDesk(new_identity(), Pins(), RealClock(), secret=bytes(16)).code
    with hub(tmp_path / "hub") as one, started("module", "meter", "--data", tmp_path / "meter") as meter:
        there = ("--address", f"127.0.0.1:{meter['port']}", "--url", one["url"])
        said = [refused(1, "pair", wrong, *there) for _ in range(5)]
        assert all("code" in sentence for sentence in said)
        locked = refused(1, "pair", meter["code"], *there)
        assert locked not in said
        assert "tries" in locked or "lock" in locked
        code, live, _ = ores("status", "--url", one["url"], "--json")
        assert (code, msgspec.json.decode(live, type=Live).modules) == (0, {})


def test_a_damaged_history_is_set_aside_and_said(tmp_path: Path) -> None:
    garbage = os.urandom(50_000)
    (tmp_path / "history.sqlite").write_bytes(garbage)
    with hub(tmp_path) as one:
        _, said, _ = ores("status", "--url", one["url"])
        assert "history.sqlite.damaged-1" in said.replace("\n", "")
    assert (tmp_path / "history.sqlite.damaged-1").read_bytes() == garbage


async def live_where(url: str, right: Callable[[Live], bool]) -> Live:
    """Wait for a picture of the house that is right."""
    clock = RealClock()
    for _ in range(300):
        if right(live := await Api(clock, url).live()):
            return live
        await clock.sleep(0.1)
    raise AssertionError(live)


def test_a_disk_without_room_is_said_and_the_hub_works_on(tmp_path: Path) -> None:
    with hub(tmp_path, file_max_bytes=40_000) as one:
        live = asyncio.run(live_where(one["url"], lambda live: bool(live.notices) and live.cycle >= 3))
        assert {notice.code for notice in live.notices} == {"history_not_writable"}
        assert "history.sqlite" in live.notices[0].text
        assert one["child"].poll() is None


def test_another_key_under_a_known_address_is_never_controlled_and_said(tmp_path: Path) -> None:
    with hub(tmp_path / "hub") as one:
        with started("module", "meter", "--data", tmp_path / "meter") as meter:
            there = ("--address", f"127.0.0.1:{meter['port']}", "--url", one["url"])
            assert ores("pair", meter["code"], *there)[0] == 0
            asyncio.run(live_where(one["url"], lambda live: live.modules[meter["id"]].status == "online"))
        impostor = ("module", "meter", "--data", tmp_path / "other", "--port", str(meter["port"]))
        with started(*impostor) as other:
            assert other["id"] != meter["id"]

            def said(live: Live) -> bool:
                texts = [notice.text for notice in live.notices if notice.module == meter["id"]]
                return any(meter["id"] in text and other["id"] in text for text in texts)

            live = asyncio.run(live_where(one["url"], said))
            assert live.modules[meter["id"]].status == "stale"
            assert live.modules[meter["id"]].elements == {}
            assert live.flow.grid_w is None


COMMANDS = {
    "an unknown field": (b'"ttl_s": 5, "wish": 1', "wish"),
    "NaN": (b'"ttl_s": NaN', ""),
    "a negative life": (b'"ttl_s": -5', "ttl_s"),
    "an endless life": (b'"ttl_s": 1e9', "ttl_s"),
    "another boot": (b'"boot_id": "00000000", "ttl_s": 5', "boot"),
}


def test_a_lease_that_cannot_be_is_refused_on_the_wire_and_the_good_one_holds(tmp_path: Path) -> None:
    async def story(battery: dict[str, Any]) -> None:
        clock, identity = RealClock(), new_identity()
        port = battery["port"]
        pin = await client.pair("127.0.0.1", port, identity, battery["code"], clock, name="hub")
        session = await client.connect("127.0.0.1", port, identity, pin, clock)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        send = await session.open_stream(heard.put_nowait, lambda reason: None)

        async def said(*kinds: str) -> tuple[str, Any]:
            async with asyncio.timeout(10):
                while True:
                    message = codec.decode(FromModule, await heard.get())
                    for kind in kinds:
                        if (found := getattr(message, kind)) is not msgspec.UNSET:
                            return kind, found

        def lease(state: State, seq: int, rest: bytes, power_w: float = 1000.0) -> bytes:
            fields = f'"epoch": 1, "seq": {seq}, "uptime_ms": {state.uptime_ms}, '.encode()
            if b"boot_id" not in rest:
                fields += f'"boot_id": "{state.boot_id}", '.encode()
            command = f', "elements": {{"battery": {{"setpoint": {{"power_w": {power_w}}}}}}}'.encode()
            return b'{"lease": {' + fields + rest + command + b"}}"

        _, state = await said("state")
        send(lease(state, 5, b'"ttl_s": 5', power_w=50_000.0))
        _, result = await said("result")
        assert result.result == "clipped"
        outcome = result.outcomes["battery"].setpoint
        assert (outcome.result, outcome.power_w, outcome.limited_by) == ("clipped", 5000.0, "rating")
        for seq, (what, (rest, named)) in enumerate(COMMANDS.items(), start=6):
            send(lease(state, seq, rest))
            kind, answer = await said("result", "problem")
            assert kind == "problem" or answer.result == "refused", what
            assert named in answer.detail, what
        send(lease(state, 4, b'"ttl_s": 5'))
        _, result = await said("result")
        assert (result.result, result.code) == ("refused", "lease_old_seq")
        _, state = await said("state")
        assert state.control_source == "lease"
        await session.close()

    with started("module", "battery", "--data", tmp_path) as battery:
        asyncio.run(story(battery))
