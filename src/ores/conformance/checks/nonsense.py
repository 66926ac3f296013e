"""Bytes that no well-behaved peer would send (section 4.14), and doors beside the standard's (10.5)."""

from __future__ import annotations

import asyncio
from typing import Final

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, Section, Unreachable, need

MODBUS_PORTS: Final = (502, 1502)
ASK_S: Final = 1.0
WRITE_NOTHING: Final = bytes.fromhex("000100000007 01 10 0000 0000 00".replace(" ", ""))
"""Modbus/TCP: write 0 registers from address 0. A server that knows the function refuses the number, not the
function; nothing is written in either case (Modbus Application Protocol 1.1b3, section 6.12)."""
WATCHDOG_S: Final = 1.0
"""How long a module that has given up may take to show it."""
ILLEGAL_FUNCTION: Final = 1
WRITE_ERROR: Final = 0x90
CONFIRM: Final = b"POST /ores/v1/pairing/confirm HTTP/1.1\r\nHost: x\r\n"

BY_STRANGERS: Final = (
    bytes(range(256)) * 8,
    b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET /ores/v1/pairing HTTP/9.9\r\nHost: x\r\n\r\n",
    CONFIRM + b"Content-Length: -5\r\n\r\n",
    CONFIRM + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\n",
    b"GET /ores/v1/%00%ff%2e%2e/%2e%2e HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 300 + b"\r\n",
    b"GET /ores/v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\xff\xff",
)
BY_CONTROLLER: Final = (
    b"\xff\xfe\x00{",
    b"[" * 4000,
    b'{"kind":' * 500,
    b'"\\ud800"',
    b"1e999999",
    b'{"kind":"' + b"\xc3\x28" * 50 + b'"}',
    b"",
)

section: Section[Bench] = Section(
    "nonsense",
    "Sends what makes no sense, and looks whether the module is still there.",
    begin=Bench.described,
)


@section.check("survives-nonsense")
async def survives_nonsense(bench: Bench) -> None:
    """ERR-003: whatever comes, the module goes on, and serves others meanwhile."""
    await bench.close_stream()
    before = await bench.get("/state")
    for number, nonsense in enumerate(BY_STRANGERS, 1):
        await _throw(bench, nonsense)
        await _is_there(bench, f"nonsense {number} of a stranger")
    for nonsense in BY_CONTROLLER:
        try:
            answer = await bench.controller.request("PUT", "/policy", nonsense)
        except Unreachable:  # its right; but it has to go on
            await bench.controller.close()
        else:
            need(
                answer.status >= 400,
                f"PUT /policy with {nonsense[:20]!r}… was answered with {answer.status}; it makes no sense",
            )
        await _is_there(bench, f"PUT /policy with {nonsense[:20]!r}…")
    await bench.pause(WATCHDOG_S)
    await _is_there(bench, "all that made no sense")
    after = await bench.get("/state")
    need(
        before.get("boot_id") == after.get("boot_id"),
        "the module has restarted over bytes that made no sense; it is to survive them",
    )


async def _throw(bench: Bench, nonsense: bytes) -> None:
    """Send it as a stranger, and wait for what comes back, if anything does."""
    raw = await bench.raw()
    try:
        await raw.send(nonsense)
        await raw.receive(timeout_s=0.3)
    except Unreachable:
        return
    finally:
        await raw.close()


async def _is_there(bench: Bench, after: str) -> None:
    try:
        answer = await bench.controller.request("GET", "/pairing", timeout_s=5.0)
    except Failed as error:
        await bench.controller.close()
        await _comes_back(bench)
        raise Failed(f"after {after} the module was gone: {error}") from error
    need(answer.status == 200, f"after {after} GET /pairing was answered with {answer.status}")


async def _comes_back(bench: Bench) -> None:
    """Give a module that has restarted the time to do so: what is judged next is something else."""
    for _ in range(40):
        try:
            await bench.controller.request("GET", "/pairing", timeout_s=2.0)
        except Failed:
            await bench.controller.close()
            await bench.pause(0.25)
        else:
            return


@section.check("no-open-side-door")
async def no_open_side_door(bench: Bench) -> None:
    """SEC-005: no Modbus/TCP server that would write registers for anybody. Nothing is written."""
    for port in MODBUS_PORTS:
        answer = await _ask(bench.target.host, port)
        need(
            len(answer) < 9 or answer[7] != WRITE_ERROR or answer[8] == ILLEGAL_FUNCTION,
            f"{bench.target.host} takes writes by Modbus/TCP on port {port}, from anybody; "
            "its owner is to open that at the device first",
        )


async def _ask(host: str, port: int) -> bytes:
    """The answer to a write of nothing; empty where nobody answers."""
    try:
        async with asyncio.timeout(ASK_S):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return b""
    try:
        writer.write(WRITE_NOTHING)
        async with asyncio.timeout(ASK_S):
            return await reader.read(64)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()
