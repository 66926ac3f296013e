"""The hub as the central system: chargers call in over a WebSocket.

Who is not named by the owner is not let in. A second one that uses the name of a charger which is there, is
turned away: one that has lost its connection is missed within two pings, and then let in again.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import logging
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from ores.adapters.ocpp.charger import OcppCharger
from ores.adapters.ocpp.dialect import Dialect
from ores.adapters.ocpp.frames import FRAME_MAX_BYTES
from ores.adapters.ocpp.link import Hostile, Link
from ores.adapters.ocpp.schemas import PROTOCOLS
from ores.adapters.ocpp.settings import Tls
from ores.adapters.ocpp.v16 import V16
from ores.adapters.ocpp.v201 import V201
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError

PING_S: Final = 10.0
FRAMES_PER_S, FRAMES_AT_ONCE = 20.0, 200.0
"""A charger that was offline for a day tells all that it has kept, and waits for each answer."""
CLOSE_S: Final = 2.0
STRANGERS_MAX: Final = 100
_log: Final = logging.getLogger("ores.adapters")


class Central:
    """Where chargers call in.

    Args:
        chargers: That are let in, by id.
        clock: Process time.
        clients: Whether they have to show certificates.
    """

    def __init__(self, chargers: Mapping[str, OcppCharger], clock: Clock, *, clients: bool = False) -> None:
        self._chargers: Final = chargers
        self._clock: Final = clock
        self._clients: Final = clients
        self._there: Final[dict[str, web.WebSocketResponse]] = {}
        self._strangers: Final[set[str]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, from its first word to its end."""
        id_ = request.match_info["id"]
        charger = self._chargers.get(id_)
        if charger is None:
            self._tell_of(id_)
            return web.Response(status=404, text="this charger is not known here")
        if not self._is_proven(request, charger):
            _log.warning("%s: a charger of this name is turned away: its password or certificate", id_)
            return web.Response(status=401, headers={hdrs.WWW_AUTHENTICATE: 'Basic realm="OCPP"'})
        if id_ in self._there:
            _log.warning("%s: a second charger of this name is turned away", id_)
            return web.Response(status=409, text="a charger of this name is connected")
        socket = web.WebSocketResponse(
            protocols=tuple(PROTOCOLS), heartbeat=PING_S, max_msg_size=FRAME_MAX_BYTES, timeout=CLOSE_S
        )
        self._there[id_] = socket
        try:
            await socket.prepare(request)
            if socket.ws_protocol is None:
                _log.warning("%s: it offers none of %s", id_, ", ".join(PROTOCOLS))
                await socket.close(code=WSCloseCode.PROTOCOL_ERROR)
            else:
                await self._talk(charger, socket)
        except OSError as error:
            _log.info("%s: %s", id_, error)
        finally:
            del self._there[id_]
        return socket

    async def close(self) -> None:
        """End all connections."""
        for socket in list(self._there.values()):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    async def _talk(self, charger: OcppCharger, socket: web.WebSocketResponse) -> None:
        version = PROTOCOLS[socket.ws_protocol or ""]
        dialect: Dialect = V16(charger) if version == "1.6" else V201(charger)
        link = Link(charger.id, version, socket.send_str, self._clock, dialect.handlers)
        dialect.over(link)
        _log.info("%s is connected by OCPP %s", charger.id, version)
        work = asyncio.create_task(self._work(charger, dialect, socket), name=f"charger {charger.id}")
        try:
            await self._hear(link, socket)
        except (Hostile, OSError) as error:
            _log.warning("%s", error)
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            link.close()
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            _log.info("%s is not connected any more", charger.id)

    @staticmethod
    async def _work(charger: OcppCharger, dialect: Dialect, socket: web.WebSocketResponse) -> None:
        """What ends it, ends the connection: a charger that does not answer begins anew."""
        try:
            await charger.work(dialect)
        except OresError as error:
            _log.warning("%s", error.detail)
            await socket.close(code=WSCloseCode.GOING_AWAY)
        except Exception:  # noqa: BLE001  a mistake of ours must not leave a charger unheard for ever
            _log.exception("%s: its task ended in a way that nobody foresaw", charger.id)
            await socket.close(code=WSCloseCode.INTERNAL_ERROR)

    async def _hear(self, link: Link, socket: web.WebSocketResponse) -> None:
        """Frames as they come, but not more than a charger has to say.

        Raises:
            Hostile: It is no charger.
        """
        left, at_s = FRAMES_AT_ONCE, self._clock.now()
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                raise Hostile("a frame that is no text")
            now_s = self._clock.now()
            left, at_s = min(FRAMES_AT_ONCE, left + (now_s - at_s) * FRAMES_PER_S) - 1.0, now_s
            if left < 0:
                raise Hostile("more frames than a charger has to say")
            await link.hear(message.data)

    def _is_proven(self, request: web.Request, charger: OcppCharger) -> bool:
        """Whether it is who it says: by its certificate and its password, where it has them."""
        if self._clients and _common_name(request) != charger.id:
            return False
        password = charger.settings.password
        if not password:
            return True
        user, _, said = _basic(request).partition(":")
        return user == charger.id and hmac.compare_digest(said.encode(), password.encode())

    def _tell_of(self, id_: str) -> None:
        """An owner learns what his charger calls itself."""
        if id_ not in self._strangers and len(self._strangers) < STRANGERS_MAX:
            self._strangers.add(id_)
            _log.warning("a charger that calls itself %.48r is turned away: it is not named", id_)


def _basic(request: web.Request) -> str:
    """User and password; empty for none."""
    kind, _, coded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return b64decode(coded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _common_name(request: web.Request) -> str:
    """Of the certificate that the charger has shown."""
    certificate = request.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if names else ""


def tls_context(tls: Tls) -> ssl.SSLContext:
    """For security profiles 2 and 3.

    Raises:
        ConfigError: A file cannot be used; says which.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # chargers that speak 1.3 are few
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        found = f"{tls.certificate}, {tls.key}: {error}"
        raise ConfigError(
            "tls.certificate", found=found, allowed="PEM files of a certificate and of its key"
        ) from error
    if tls.clients:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(tls.clients)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                "tls.clients", found=f"{tls.clients}: {error}", allowed="a PEM file of certificates"
            ) from error
    return context


@asynccontextmanager
async def listening(
    chargers: Mapping[str, OcppCharger],
    clock: Clock,
    *,
    host: str | None = None,
    port: int = 0,
    tls: Tls | None = None,
) -> AsyncIterator[int]:
    """Let chargers call in for as long as the context lasts; gives the port.

    Args:
        chargers: By id; the address that a charger calls ends in its id.
        clock: Process time.
        host: Address to listen on; None for all.
        port: TCP; 0 picks a free one.
        tls: None where the connection is not encrypted.

    Raises:
        ConfigError: The port or a file cannot be used; says why.
    """
    context = None if tls is None else tls_context(tls)
    central = Central(chargers, clock, clients=bool(tls and tls.clients))
    app = web.Application()
    app.router.add_get("/{before:.*?}{id:[^/]+}", central.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError("port", found=port, allowed=f"a free one ({error.strerror})") from error
        yield int(runner.addresses[0][1])
    finally:
        await central.close()
        await runner.cleanup()
