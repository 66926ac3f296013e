"""Hubs that send modules more, larger or other things than these can bear."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from aiohttp import WSMsgType

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import leases, membership, module_link, persistent
from ores.link import client, codec, frames, tls
from ores.link.identity import new_identity


class _Codec:
    """The codec of leases, with something done to each."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    def encode(self, message: Any) -> bytes:
        """Encode, changed."""
        frame = json.loads(codec.encode(message))
        return json.dumps(self._change(frame)).encode()

    def __getattr__(self, name: str) -> Any:
        return getattr(codec, name)


def on_lease(tools: Tools, change: Callable[[Any], Any]) -> None:
    """Change every lease that goes out, as JSON."""

    def frame(found: Any) -> Any:
        return {"lease": change(found["lease"])}

    tools.attribute(leases, "codec", _Codec(frame))


@broken_hub("hub-tls-records-small")
def writes_large_records(tools: Tools) -> None:
    """Sixteen kilobytes are allowed by TLS."""
    tools.attribute(tls, "RECORD_MAX_BYTES", 16_384)


@broken_hub("tls-suite")
def prefers_its_own_curve(tools: Tools) -> None:
    """A larger number is safer."""
    right = tls._common  # noqa: SLF001

    def other(context: ssl.SSLContext) -> None:
        right(context)
        context.set_ecdh_curve("secp384r1")

    tools.attribute(tls, "_common", other)


def _headers(tools: Tools, **more: str) -> None:
    right = client.http_session

    def session() -> Any:
        made = right()
        made.headers.update({name.replace("_", "-"): value for name, value in more.items()})
        return made

    tools.attribute(client, "http_session", session)


@broken_hub("hub-header-size")
def introduces_itself_at_length(tools: Tools) -> None:
    """With name, version, licence, motto."""
    _headers(tools, User_Agent="ores/1.0 " + "(the hub of the house) " * 50)


@broken_hub("hub-body-size")
def sends_bodies_in_chunks(tools: Tools) -> None:
    """Its library does that."""

    async def parts(body: bytes) -> AsyncIterator[bytes]:
        yield body

    tools.attribute(client, "_BODY_AT_ONCE_BYTES", 0)
    tools.attribute(client, "io", SimpleNamespace(BytesIO=parts))


@broken_hub("hub-body-size", variant="long")
def sends_long_bodies(tools: Tools) -> None:
    """All that differs goes into one message."""
    tools.attribute(persistent, "BODY_MAX_BYTES", 65_536)


@broken_hub("hub-two-connections")
def asks_everything_at_once(tools: Tools) -> None:
    """Each question has a connection of its own."""
    tools.attribute(module_link, "InTurn", lambda session: session)


def _frames(tools: Tools, write: Callable[[Any, bytes], None]) -> None:
    right = frames.FramePipe._write  # noqa: SLF001

    def other(self: Any, data: bytes, kind: WSMsgType) -> None:
        if kind is WSMsgType.TEXT:
            write(self, data)
        else:
            right(self, data, kind)

    tools.attribute(frames.FramePipe, "_write", other)


@broken_hub("hub-plain-frames")
def sends_binary_frames(tools: Tools) -> None:
    """Bytes are bytes."""
    right = frames.FramePipe._write  # noqa: SLF001
    _frames(tools, lambda pipe, data: right(pipe, data, WSMsgType.BINARY))


def _deep(lease: Any) -> Any:
    for command in lease["elements"].values():
        command["x-ores.energy"] = {"why": {"because": {"of": "the sun"}}}
    return lease


@broken_hub("hub-nesting", also=("hub-speaks-module-version", "message-valid", "hub-commands-the-declared"))
def says_why_in_the_lease(tools: Tools) -> None:
    """Deep inside the command stands its reason."""
    on_lease(tools, _deep)


@broken_hub("hub-speaks-module-version", also=("message-valid", "hub-commands-the-declared"))
def speaks_of_the_future(tools: Tools) -> None:
    """A field of version 1.1, to everybody."""
    on_lease(tools, lambda lease: {**lease, "priority": 3})


@broken_hub("hub-lease-numbers-short")
def writes_all_digits(tools: Tools) -> None:
    """A number is as long as it is."""

    def third(lease: Any) -> Any:
        for command in lease["elements"].values():
            if "setpoint" in command:
                command["setpoint"]["power_w"] -= 1 / 3
        return lease

    on_lease(tools, third)


@broken_hub("hub-commands-the-declared")
def commands_what_might_be_there(tools: Tools) -> None:
    """Most batteries have a heater."""

    def heated(lease: Any) -> Any:
        return {**lease, "elements": {**lease["elements"], "heater": {"switch": {"closed": False}}}}

    on_lease(tools, heated)


@broken_hub("hub-commands-the-declared", variant="capability")
def switches_what_has_no_switch(tools: Tools) -> None:
    """Whatever follows a set-point can be switched on."""

    def on(lease: Any) -> Any:
        elements = {
            name: {**of, "switch": {"closed": True}} if "setpoint" in of else of
            for name, of in lease["elements"].items()
        }
        return {**lease, "elements": elements}

    on_lease(tools, on)


@broken_hub("hub-epoch-everywhere")
def keeps_its_epoch_for_leases(tools: Tools) -> None:
    """What persists needs no fence."""
    tools.attribute(persistent.PersistentKeeper, "_written", lambda _, command: codec.encode(command))


@broken_hub("hub-ttl-short")
def leases_for_a_minute(tools: Tools) -> None:
    """A minute is a short time."""
    tools.attribute(leases, "TTL_S", 60.0)


@broken_hub("hub-renews-lease")
def renews_at_the_last_moment(tools: Tools) -> None:
    """A lease that holds need not be sent."""
    tools.attribute(
        leases.LeaseKeeper,
        "is_old",
        lambda self, now_s: bool(self._wanted) and now_s - self._sent_at_s >= self.ttl_s * 0.8,
    )


@broken_hub("hub-is-the-only-door")
def lets_the_cloud_in(tools: Tools) -> None:
    """The maker's cloud pairs with each module, too, so that it can help."""
    right = membership.Membership.pair

    async def both(self: Any, wanted: Any) -> str:
        module_id = await right(self, wanted)
        host, port = self._where(wanted)
        try:
            await client.pair(
                host, port, new_identity(), wanted.code, self._clock, name="Cloud", role="observer"
            )
        except Exception:  # noqa: BLE001 - the module refuses, as it should
            await asyncio.sleep(0)
        return module_id

    tools.attribute(membership.Membership, "pair", both)
