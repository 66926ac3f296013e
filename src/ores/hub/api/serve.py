"""Where the application is reached: HTTP on this machine; HTTPS on the network once there is an owner."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from pathlib import Path

from aiohttp import web

from ores.hub.api.app import make_app, sign
from ores.hub.api.problems import ApiError, problem_response
from ores.hub.config import HubConfig
from ores.hub.hub import Hub
from ores.link.errors import ConfigError
from ores.link.server import Connection

LOOPBACK = "127.0.0.1"
_SHUTDOWN_WALL_S = 1.0
_DRAIN_WALL_S = 2.0
"""How long a refused body is read and thrown away, so that its sender gets to read the answer."""
_LINE_MAX_BYTES = 16_384
"""64 names of series, 160 characters each, spelt with `%2F`."""
_HEADER_MAX_BYTES = 8190
CONNECTIONS_MAX = 256
"""Streams of all open pages are at most 32; the rest is for requests that come and go."""
_HANDSHAKE_WALL_S = 5.0
"""Whoever opens a connection and says nothing is let go after this."""

_log = logging.getLogger(__name__)


class Doors:
    """The open doors of one hub.

    Args:
        hub: Answers.
        identity: PEM file with the hub's key and certificate.
    """

    def __init__(self, hub: Hub, identity: Path) -> None:
        self._config: HubConfig = hub.config
        self._owner = hub.owner
        self._identity = identity
        self._runner = _Runner(
            make_app(hub),
            handle_signals=False,
            access_log=None,
            shutdown_timeout=_SHUTDOWN_WALL_S,
            lingering_time=_DRAIN_WALL_S,
            max_line_size=_LINE_MAX_BYTES,
            max_field_size=_HEADER_MAX_BYTES,
        )
        self._network: web.TCPSite | None = None
        self.port = 0

    async def open(self) -> None:
        """Open the door on this machine, and the one on the network if there is an owner.

        Raises:
            ConfigError: A port is in use or an address is not ours.
        """
        if self._config.port is None:
            return
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self._config.port)
        await _start(site, "--port", self._config.port)
        self.port = _port_of(self._runner)
        await self.open_network()

    async def open_network(self) -> None:
        """Open the door on the network, if one is wanted and there is an owner to let in.

        Raises:
            ConfigError: As `open`.
        """
        config = self._config
        if (
            config.port is None
            or config.listen is None
            or self._network is not None
            or not self._owner.exists
        ):
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._identity)
        site = _TlsSite(self._runner, config.listen, config.https_port, ssl_context=context)
        await _start(site, "--https-port", config.https_port)
        self._network = site

    async def close(self) -> None:
        """Close all doors; open pages are told."""
        await self._runner.cleanup()


class _Connection(Connection):
    """A connection that gives way while it is idle."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The newest always gets in, in place of the one that has been idle the longest."""
        super().connection_made(transport)
        others = [] if self._manager is None else self._manager.connections
        if len(others) > CONNECTIONS_MAX:
            idle = (other for other in others if other is not self and other._current_request is None)  # noqa: SLF001
            next(idle, self).force_close()

    def refusal(self, code: str, detail: str) -> web.Response:
        """The hub's, signed as all that it answers."""
        response = problem_response(ApiError(code, detail))
        sign(response)
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    """aiohttp's, with connections of ours; it has no setting for that."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        settings = made._kwargs  # noqa: SLF001  as above
        return _Server(made.request_handler, request_factory=made.request_factory, **settings)


class _TlsSite(web.TCPSite):
    """aiohttp's, which has no setting for how long a handshake may take."""

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None  # noqa: S101  the runner is set up
        self._server = await asyncio.get_running_loop().create_server(
            server,
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=_HANDSHAKE_WALL_S,
        )


async def _start(site: web.TCPSite, setting: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise ConfigError(
            setting,
            found=f"{port}: {'another program listens there' if in_use else error.strerror or error}",
            allowed="a free port of an address of this machine (0 picks one)",
            code="port_in_use" if in_use else None,
        ) from error


def _port_of(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])
