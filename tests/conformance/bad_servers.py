"""Servers that are no module; each listens on a port of its own until the test ends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from ores.conformance.wire.identity import new_identity

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GIGABYTE = 10**9
CHUNK = b" " * 65_536


@contextlib.contextmanager
def listening(handler: Handler, folder: Path | None) -> Iterator[int]:
    """A server in a thread of its own; without a folder for its certificate it speaks no TLS."""
    tls = None
    if folder is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(new_identity().write(folder / "server.pem"))
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def handle(reader, writer):
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the kit has had enough
        finally:
            writer.transport.abort()

    async def serve():
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.02)

    stop = asyncio.Event()
    loop.set_exception_handler(lambda *_: None)  # a client that turns away in the handshake is expected here
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(5)
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def answering(kind: str, body: bytes, status: str = "200 OK") -> Handler:
    """Answers everything with the same."""

    async def handler(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()

    return handler


async def silent(reader, writer):
    """Reads, and never says a word."""
    while await reader.read(65_536):
        pass


async def dribbling(reader, writer):
    """A byte now and then, for ever."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


def pouring(head: bytes, chunk: bytes = CHUNK) -> Handler:
    """A beginning, and then 1 GB as fast as it is taken."""

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for _ in range(GIGABYTE // len(chunk)):
            if writer.transport.is_closing():
                return
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)

    return handler


async def hanging_up(reader, writer):
    """Takes the request, and goes."""
    await reader.readuntil(b"\r\n\r\n")
