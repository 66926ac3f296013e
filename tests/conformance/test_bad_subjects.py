"""Whatever the kit is pointed at: one clear sentence, the right status, bounded time and memory."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conformance.bad_servers import (
    CHUNK,
    answering,
    dribbling,
    hanging_up,
    listening,
    pouring,
    silent,
)

from ores.conformance import care, runner
from ores.conformance.command import Wanted, conform
from ores.conformance.wire import peer, target
from ores.conformance.wire.pairing import code_of

CODE = code_of(bytes(range(16)))
ILL = Path(__file__).parent / "ill_module.py"
PIECE = b"FFF0\r\n" + b" " * 0xFFF0 + b"\r\n"
KIT = (sys.executable, "-W", "default", "-c", "from ores.cli.main import main; main()", "conform")
MEMORY_MAX_BYTES = 400 * 2**20
# a small process between, for the peak of a child begins with what its parent holds: here, all of the tests
_PEAK = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""
MEASURED = (sys.executable, "-c", _PEAK)


def wanted(address: str, **other: object) -> Wanted:
    found = Wanted(address, CODE, None, None, 1000.0, None, (), as_json=False, verbose=False)
    return replace(found, **other)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def sentence(capsys) -> str:
    """The one line on standard error."""
    err = capsys.readouterr().err
    assert err.startswith("ores conform: "), err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


@pytest.fixture
def quick(monkeypatch):
    """Patience is the same for all, and tests have little of it."""
    monkeypatch.setattr(
        peer.Peer.request, "__kwdefaults__", {**peer.Peer.request.__kwdefaults__, "timeout_s": 0.5}
    )
    monkeypatch.setattr(target.connect, "__kwdefaults__", {**target.connect.__kwdefaults__, "timeout_s": 0.5})
    monkeypatch.setattr(care, "PATIENCE_S", 1.0)
    monkeypatch.setattr(care, "PROBE_S", 0.5)


@contextlib.contextmanager
def ill(illness: str, folder: Path):
    """A module with an illness, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, ILL, illness, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ILL.parents[2],
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


# The question makes no sense: 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"address": ""}, "an address is https://HOST:PORT"),
        ({"address": "https://[::1"}, "an address is https://HOST:PORT"),
        ({"address": "http://localhost:8080"}, "an address is https://HOST:PORT"),
        ({"address": "https://localhost:70000"}, "no number from 1 to 65535"),
        ({"code": "ORES-1234"}, "a code is ORES- and 28 letters"),
        ({"code": CODE[:-1] + ("A" if CODE[-1] != "A" else "B")}, "a typing error"),
        ({"code": "ORES-ÄÖÜß"}, "a code is ORES-"),
        ({"profile": "toaster"}, "--profile: found 'toaster', allowed is one of micro_inverter"),
        ({"power_max_w": 0.0}, "--max-power: found 0, allowed is more than 0 W"),
        ({"power_max_w": float("nan")}, "--max-power: found nan"),
        ({"power_max_w": float("inf")}, "--max-power: found inf"),
        ({"only": ("no-such-check",)}, "--only: found 'no-such-check'"),
        ({"address": "http://[", "hub": True}, "an address is http://HOST:PORT"),
    ],
)
def test_a_question_without_sense_is_refused_before_anything_is_done(changes, says, capsys):
    assert conform(replace(wanted("https://127.0.0.1:1"), **changes)) == 2
    assert says in sentence(capsys)


def test_a_report_that_could_not_be_written_is_said_before_the_judgement(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert conform(wanted("https://127.0.0.1:1", report=tmp_path / "file" / "report")) == 2
    assert "--report: " in sentence(capsys)


# There is nothing to judge: 1


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://no-such-host.invalid:443", "no TLS connection to no-such-host.invalid:443: "),
        ("https://two..dots:443", "no name of a host"),
        ("https://127.0.0.1:PORT", "nobody listens there"),
    ],
)
def test_where_nobody_is_there_is_no_module(address, says, capsys):
    assert conform(wanted(address.replace("PORT", str(closed_port())))) == 1
    assert says in sentence(capsys)


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (answering("text/html", b"<!doctype html><title>Router</title>"), "status 200 with text/html"),
        (answering("application/json", b'{"hello": 1}'), "{'hello': 1}, and that is no Description"),
        (answering("application/json", b"[1, 2]"), "[1, 2], and that is no Description"),
        (answering("application/json", b"[" * 60_000), "no JSON"),
        (answering("application/json", b"\xff\xfe"), "not UTF-8"),
        (answering("text/plain", b"", "302 Found\r\nLocation: https://localhost:1/"), "status 302"),
        (answering("text/plain", b"gone", "404 Not Found"), "status 404"),
        (hanging_up, "got no answer"),
        (silent, "was not answered within"),
        (dribbling, "was not answered within"),
        (pouring(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"), "more than 262144 bytes"),
        (pouring(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", PIECE), "more than 262144 bytes"),
        (pouring(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65_536), "got no answer"),
        (pouring(b"HTTP/1.1 200 OK\r\n", b"X-Y: " + b"z" * 90 + b"\r\n"), "GET /description"),
        (pouring(b"\x00\x01", CHUNK), "got no answer"),
    ],
)  # fmt: skip
def test_a_server_that_is_no_module_is_told_from_one(handler, says, quick, tmp_path, capsys):
    with listening(handler, tmp_path) as port:
        assert conform(wanted(f"https://127.0.0.1:{port}")) == 1
    found = sentence(capsys)
    assert found.startswith("ores conform: there is no ORES module at https://127.0.0.1")
    assert says in found
    assert len(found) < 600


@pytest.mark.parametrize("handler", [answering("text/html", b"hello"), silent])
def test_a_server_without_tls_is_no_module(handler, quick, capsys):
    with listening(handler, None) as port:
        assert conform(wanted(f"https://127.0.0.1:{port}")) == 1
    assert "no TLS connection to" in sentence(capsys)


def test_what_is_no_hub_is_said_as_well(tmp_path, capsys):
    with listening(answering("text/html", b"<html>"), None) as port:
        assert conform(wanted(f"http://127.0.0.1:{port}", hub=True)) == 1
    assert "there is no ORES hub" in sentence(capsys)


# There is a module, and judging on makes no sense: 1, with a reason that stands once


FEW = (
    "tls-13-only",
    "pairing-proof",
    "description-id",
    "put-holds-at-once",
    "failsafe-refused",
    "lease-by-put",
)


def judged(at, capsys, **other) -> str:
    assert conform(wanted(at["url"], **{"code": at["code"], "only": FEW} | other)) == 1
    out = capsys.readouterr()
    assert out.err == ""
    assert "does not conform" in out.out
    assert "Traceback" not in out.out
    return out.out


def test_the_code_of_another_module_is_said_once_and_nothing_more_is_tried(tmp_path, capsys):
    with ill("falls_mute", tmp_path) as at:
        out = judged(at, capsys, code=CODE, only=())
    assert "is it another module's?" in out
    assert out.count("not judged, for want of a pairing") == 1
    assert "Moves power" not in out


@pytest.mark.parametrize("illness", ["dies", "hangs"])
def test_a_module_that_is_gone_ends_the_judgement(illness, quick, tmp_path, capsys):
    began_s = time.monotonic()
    with ill(illness, tmp_path) as at:
        out = judged(at, capsys)
    assert out.count("not judged: the subject has fallen silent") == 1
    assert time.monotonic() - began_s < 20


def test_a_module_that_keeps_the_kit_waiting_for_the_same_is_not_judged_to_the_end(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(runner, "SLOW_S", 0.5)
    spread = (
        "pairing-proof",
        "lease-by-put",
        "setpoint-followed",
        "lease-expires",
        "restart-starts-anew",
        "sign-of-power",
    )
    with ill("falls_mute", tmp_path) as at:
        out = judged(at, capsys, only=spread)
    assert out.count("not judged: 3 times in a row") == 1


@pytest.mark.parametrize("illness", ["sends_a_frame_of_100_mb", "floods"])
def test_the_kit_never_keeps_more_than_it_can_bear(illness, tmp_path):
    with ill(illness, tmp_path) as at:
        kit = subprocess.run(
            [*MEASURED, *KIT, at["url"], "--code", at["code"], "--only", "stream-begins-with-state"],
            check=False,
            capture_output=True,
            text=True,
        )
    *said, peak_kib = kit.stderr.splitlines()
    assert kit.returncode == 1, kit.stdout + kit.stderr
    assert said == []
    assert int(peak_kib) * 1024 < MEMORY_MAX_BYTES
    assert "does not conform" in kit.stdout


def test_who_stops_the_kit_hears_what_was_put_back(tmp_path):
    with ill("falls_mute", tmp_path) as at:
        kit = subprocess.Popen(
            [*KIT, at["url"], "--code", at["code"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for line in kit.stdout:
            if line.startswith("Reads the description"):
                break
        kit.send_signal(signal.SIGINT)
        out, err = kit.communicate(timeout=30)
    assert kit.returncode == 130
    assert "Failsafe limits, policy and settings are as they were found" in out
    assert "can be paired again" in out
    assert err == "ores conform: stopped before the end; there is no verdict\n"
