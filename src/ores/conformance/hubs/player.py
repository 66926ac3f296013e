"""A module played by the kit: pairing, resources, stream, and ways to misbehave that a check can switch."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import WSMsgType, web
from cryptography import x509

from ores.conformance.hubs.door import (
    Asked,
    Connection,
    Frame,
    Relay,
    Session,
    door,
    frames_in,
    requests_in,
    server_context,
)
from ores.conformance.hubs.parts import House, Json, Part
from ores.conformance.transcript import Line, Transcript, legible
from ores.conformance.wire import pairing
from ores.conformance.wire.identity import Identity, fingerprint_of, new_identity

BODY_MAX: Final = 262_144
BASE: Final = "/ores/v1"
PROBLEMS: Final = {
    "forbidden": 403,
    "not_found": 404,
    "pairing_wrong_code": 403,
    "pairing_closed": 403,
    "pairing_locked": 403,
    "invalid_message": 400,
}


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the hub.

    Attributes:
        at_s: Seconds after the beginning of the judgement.
        what: `lease`, or method and path.
        body: Parsed JSON; None where there is none.
        boot_id: The module's boot in which it came.
    """

    at_s: float
    what: str
    body: Any
    boot_id: str


@dataclass
class Ways:
    """How a module behaves; all of these are right or harmless until a check sets them.

    Attributes:
        silent: Sends no states.
        answer_after_s: Waits so long before each answer.
        garbled: Sends what is no JSON in place of each state.
        loses_confirmation: Pins the hub, and ends the connection in place of the answer.
        refuses_pairing: A code of the registry, or one that nobody knows, with which each start is refused.
        wrong_proof: Its proof is of another code.
        other_state: Changes each state before it is sent.
        unknown_code: Refuses PUT /policy with a code of a later version.
        keeps: Whether what is put is kept.
    """

    silent: bool = False
    answer_after_s: float = 0.0
    garbled: bool = False
    loses_confirmation: bool = False
    refuses_pairing: str = ""
    refuses_status: int = 403
    wrong_proof: bool = False
    other_state: Callable[[Json], Json] = field(default=lambda state: state)
    other_description: Callable[[Json], Json] = field(default=lambda described: described)
    result: Json | None = None
    flexibility: Callable[[], Json] | None = None
    refuses_release: bool = False


class Player:
    """One played module.

    Args:
        name: For the transcript, and as its description says.
        parts: Its elements.
        house: In which they are.
        transcript: Where all is written down.
        elapsed_s: Seconds since the beginning of the judgement.
        period_s: Between two states.
        ores: The version that it claims.
    """

    def __init__(
        self,
        name: str,
        parts: list[Part],
        house: House,
        transcript: Transcript,
        elapsed_s: Callable[[], float],
        *,
        period_s: float = 0.5,
        ores: str = "1.0",
        profiles: tuple[str, ...] = (),
        policies: tuple[str, ...] = ("idle", "self_consumption"),
        page: int = 8,
    ) -> None:
        self.name: Final = name
        self.parts: Final = {part.id: part for part in parts}
        self.house: Final = house
        self.ways: Final = Ways()
        self.identity: Identity = new_identity()
        self.secret: Final = secrets.token_bytes(16)
        self.heard: Final[list[Heard]] = []
        self.certificates: Final[list[bytes]] = []
        self.period_s, self.ores, self.profiles, self.policies = period_s, ores, profiles, policies
        self.policy: Json = {"kind": policies[0]}
        self.hub: x509.Certificate | None = None
        self.lease: Json | None = None
        self.lease_at_s = 0.0
        self.faults: Final[list[str]] = []
        self.opened = 0
        self.sent: Final[list[float]] = []
        """When it has sent its states, in s after the beginning of the judgement."""
        self.sessions: Final[list[Session]] = []
        self._transcript: Final = transcript
        self._elapsed_s: Final = elapsed_s
        self._page: Final = page
        self._folder: Final = tempfile.TemporaryDirectory(prefix="ores-player-")
        self._streams: Final[set[web.WebSocketResponse]] = set()
        self._nonces: tuple[str, str, x509.Certificate, str] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._context: ssl.SSLContext | None = None
        self._host = "127.0.0.1"
        self.relay: Final = Relay(elapsed_s)
        self._begin_boot()

    # What it is

    @property
    def id(self) -> str:
        """Of its key."""
        return self.identity.id

    @property
    def code(self) -> str:
        """On its label."""
        return pairing.code_of(self.secret)

    @property
    def address(self) -> str:
        """Where the hub reaches it."""
        return f"{self._host}:{self.relay.port}"

    @property
    def listens(self) -> str:
        """The address at which it listens."""
        return self._host

    @property
    def uptime_ms(self) -> int:
        """Since its boot."""
        return int((time.monotonic() - self._booted_s) * 1000)

    def described(self) -> Json:
        """The whole description, in one."""
        return self.ways.other_description(
            {
                "ores": self.ores,
                "id": self.id,
                "name": self.name,
                "maker": "ORES kit",
                "model": "Player",
                "serial": self.name,
                "firmware_version": "1",
                "profiles": list(self.profiles),
                "report_period_s": self.period_s,
                "policies": list(self.policies),
                "element_count": len(self.parts),
                "elements": [part.describe() for part in self.parts.values()],
            }
        )

    def state(self) -> Json:
        """Its state now."""
        self._expire()
        found: Json = {
            "boot_id": self.boot_id,
            "uptime_ms": self.uptime_ms,
            "control_source": "lease" if self.lease else "policy",
            "policy": self.policy["kind"],
            "elements": {part.id: part.state(self.house) for part in self.parts.values()},
        }
        if self.lease is not None:
            left_s = self.lease["ttl_s"] - (self._elapsed_s() - self.lease_at_s)
            found["lease"] = {
                "epoch": self.lease["epoch"],
                "seq": self.lease["seq"],
                "expires_in_s": max(0.0, round(left_s, 3)),
            }
        return self.ways.other_state(found)

    # What the hub has said

    @property
    def leases(self) -> list[Heard]:
        """Each lease, in order."""
        return [heard for heard in self.heard if heard.what == "lease"]

    def told(self, what: str, since_s: float = 0.0) -> list[Heard]:
        """Messages of a kind, such as `PUT /failsafe`."""
        return [heard for heard in self.heard if heard.what == what and heard.at_s >= since_s]

    def command(self, element: str) -> Json:
        """The command that holds for an element; empty where there is none."""
        self._expire()
        return self.parts[element].told

    @property
    def connections(self) -> list[Connection]:
        """All connections of the hub."""
        return self.relay.connections

    def requests(self) -> Iterator[Asked]:
        """Every request of the hub, as it was sent."""
        for session in self.sessions:
            yield from requests_in(bytes(getattr(session, "plain", b"")))

    def frames(self) -> Iterator[Frame]:
        """Every WebSocket frame of the hub, as it was sent."""
        for session in self.sessions:
            yield from frames_in(bytes(getattr(session, "plain", b"")))

    # Its life

    async def start(self, host: str) -> None:
        """Listen at an address of this machine."""
        self._host = host
        app = web.Application(middlewares=[self._doorman], client_max_size=BODY_MAX)
        for method, path, answer in self._routes():
            app.router.add_route(method, BASE + path, answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=door(self._tls))
        await site.start()
        inner_port: int = self._runner.addresses[0][1]
        self._inner_port = inner_port
        await self.relay.open(host, inner_port)
        self._ticker = asyncio.create_task(self._tick(), name=self.name)

    async def close(self) -> None:
        """End it."""
        if self._ticker is not None:
            self._ticker.cancel()
        await self.relay.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._folder.cleanup()

    def reboot(self) -> None:
        """Lose power for a moment: a new boot, no lease, no connections."""
        self._begin_boot()
        self._end_lease()
        self.relay.cut()

    def cut(self) -> None:
        """Lose all connections."""
        self.relay.cut()

    async def vanish(self) -> None:
        """Be gone: nobody listens."""
        await self.relay.stop_listening()
        self.relay.cut()

    async def return_(self) -> None:
        """Listen again at the same port."""
        await self.relay.open(self._host, self._inner_port)

    def swap_key(self, identity: Identity) -> None:
        """Show another key from the next connection on."""
        self.identity = identity
        self._context = None

    async def tell(self) -> None:
        """Send a state now."""
        self.sent.append(self._elapsed_s())
        text = "{state: not JSON" if self.ways.garbled else json.dumps({"state": self.state()})
        await self.say(text)

    async def say(self, text: str) -> None:
        """Send any frame."""
        for stream in tuple(self._streams):
            try:
                await stream.send_str(text)
            except (ConnectionError, RuntimeError):
                self._streams.discard(stream)

    @property
    def streams(self) -> int:
        """How many the hub has open."""
        return len(self._streams)

    def _begin_boot(self) -> None:
        self.boot_id = secrets.token_hex(8)
        self._booted_s = time.monotonic()

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            path = Path(self._folder.name) / f"{self.identity.certificate.serial_number:x}.pem"
            self.identity.write(path)
            self._context = server_context(path, self.hub)
        return self._context

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.period_s)
            if not self.ways.silent:
                await self.tell()

    def _expire(self) -> None:
        if self.lease is not None and self._elapsed_s() - self.lease_at_s > self.lease["ttl_s"]:
            self._end_lease()

    def _end_lease(self) -> None:
        self.lease = None
        for part in self.parts.values():
            part.told = {}

    # The server

    def _routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/pairing", self._get_pairing),
            ("DELETE", "/pairing", self._delete_pairing),
            ("POST", "/pairing/start", self._start_pairing),
            ("POST", "/pairing/confirm", self._confirm_pairing),
            ("GET", "/description", self._get_description),
            ("GET", "/state", self._get_state),
            ("GET", "/stream", self._get_stream),
            ("GET", "/failsafe", self._get_failsafe),
            ("PUT", "/failsafe", self._put_failsafe),
            ("GET", "/policy", self._get_policy),
            ("PUT", "/policy", self._put_policy),
            ("GET", "/settings", self._get_settings),
            ("PUT", "/settings", self._put_settings),
            ("POST", "/requests", self._post_request),
            ("GET", "/flexibility", self._get_flexibility),
            ("PUT", "/lease", self._put_lease),
        ]

    @web.middleware
    async def _doorman(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Write down who asks what, and let in whom a module would."""
        session = request.transport.get_extra_info("ssl_object") if request.transport else None
        if isinstance(session, Session) and session not in self.sessions:
            self._meet(request, session)
        raw = await request.read()
        path = request.path_qs.removeprefix(BASE)
        what = f"{request.method} {path}"
        self._hear(what, raw)
        await asyncio.sleep(self.ways.answer_after_s)
        known = session is not None and session.getpeercert(binary_form=True) is not None
        if not known and not path.startswith("/pairing"):
            return _problem("forbidden")
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            return _problem("not_found")
        except ConnectionError:
            return _problem("not_found")  # the hub has gone; nobody reads this
        return answer

    def _meet(self, request: web.Request, session: Session) -> None:
        self.sessions.append(session)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        connection = self.relay.connection(peer[1]) if peer else None
        if connection is not None:
            connection.session = session
        shown = session.getpeercert(binary_form=True)
        if shown is not None:
            self.certificates.append(shown)

    def _hear(self, what: str, raw: bytes) -> None:
        body = legible(raw)
        self.heard.append(Heard(self._elapsed_s(), what, body, self.boot_id))
        self._transcript.add(Line(self._elapsed_s(), "subject", self.name, what, body, raw))

    async def _get_pairing(self, _: web.Request) -> web.Response:
        return _json({"open": self.hub is None, "paired": self.hub is not None})

    async def _delete_pairing(self, _: web.Request) -> web.Response:
        if self.ways.refuses_release:
            return _problem("forbidden")
        self.hub, self._context = None, None
        self._end_lease()
        asyncio.get_running_loop().call_later(0.1, self.relay.cut)
        return _json({"open": True, "paired": False})

    async def _start_pairing(self, request: web.Request) -> web.Response:
        if self.ways.refuses_pairing:
            return _problem(self.ways.refuses_pairing, self.ways.refuses_status)
        if self.hub is not None:
            return _problem("pairing_closed")
        start = await request.json()
        try:
            certificate = x509.load_der_x509_certificate(_base64(start["hub_certificate"]))
        except (KeyError, ValueError):
            return _problem("invalid_message")
        nonce = pairing.new_nonce()
        self._nonces = (start["hub_nonce"], nonce, certificate, start["role"])
        secret = secrets.token_bytes(16) if self.ways.wrong_proof else self.secret
        return _json({"module_nonce": nonce, "module_proof": self._proof("module", secret)})

    def _proof(self, of: str, secret: bytes) -> str:
        if self._nonces is None:
            return ""
        hub_nonce, module_nonce, certificate, role = self._nonces
        return pairing.proof(
            secret,
            of="module" if of == "module" else "hub",
            module_fingerprint=self.identity.fingerprint,
            hub_fingerprint=fingerprint_of(certificate),
            hub_nonce=hub_nonce,
            module_nonce=module_nonce,
            role=role,
        )

    async def _confirm_pairing(self, request: web.Request) -> web.Response:
        confirm = await request.json()
        fits = self._nonces is not None and confirm.get("hub_proof") == self._proof("hub", self.secret)
        if self._nonces is None or not fits:
            return _problem("pairing_wrong_code")
        self.hub, self._context = self._nonces[2], None
        role, self._nonces = self._nonces[3], None
        if self.ways.loses_confirmation:
            self.relay.cut()
        return _json({"role": role, "module_id": self.id})

    async def _get_description(self, request: web.Request) -> web.Response:
        whole = self.described()
        first = int(request.query.get("from", "0"))
        page = {**whole, "elements": whole["elements"][first : first + self._page]}
        if first + self._page < len(whole["elements"]):
            page["next"] = f"/description?from={first + self._page}"
        return _json(page)

    async def _get_state(self, _: web.Request) -> web.Response:
        return _json(self.state())

    async def _get_failsafe(self, _: web.Request) -> web.Response:
        return _json({"elements": {part.id: part.failsafe for part in self.parts.values() if part.failsafe}})

    async def _put_failsafe(self, request: web.Request) -> web.Response:
        wanted = (await request.json()).get("elements", {})
        for part in self.parts.values():
            part.failsafe = wanted.get(part.id, {})
        return await self._get_failsafe(request)

    async def _get_policy(self, _: web.Request) -> web.Response:
        return _json(self.policy)

    async def _put_policy(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self.policy = {name: value for name, value in wanted.items() if name != "epoch"}
        return _json(self.policy)

    async def _get_settings(self, _: web.Request) -> web.Response:
        stores = {
            part.id: {"storage": {"reserve_pct": part.reserve_pct}}
            for part in self.parts.values()
            if part.capabilities.get("storage", {}).get("reserve_setting")
        }
        return _json({"elements": stores})

    async def _put_settings(self, request: web.Request) -> web.Response:
        for name, of in (await request.json()).get("elements", {}).items():
            if name in self.parts and "storage" in of:
                self.parts[name].reserve_pct = of["storage"]["reserve_pct"]
        return await self._get_settings(request)

    async def _post_request(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        part = self.parts.get(wanted.get("element", ""))
        if part is not None and wanted.get("request") == "open":
            part.closed = False
        return _json({"result": "accepted"})

    async def _get_flexibility(self, _: web.Request) -> web.Response:
        if self.ways.flexibility is None:
            return _problem("not_found")
        return _json(self.ways.flexibility())

    async def _put_lease(self, request: web.Request) -> web.Response:
        return _json(self._obey(await request.json()))

    async def _get_stream(self, request: web.Request) -> web.StreamResponse:
        stream = web.WebSocketResponse(compress=False, max_msg_size=BODY_MAX)
        await stream.prepare(request)
        self._streams.add(stream)
        self.opened += 1
        if not self.ways.silent:
            await self.tell()
        try:
            async for message in stream:
                await self._take(stream, message.type, message.data)
        finally:
            self._streams.discard(stream)
        return stream

    async def _take(self, stream: web.WebSocketResponse, kind: WSMsgType, data: Any) -> None:
        if kind not in {WSMsgType.TEXT, WSMsgType.BINARY}:
            return
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
        frame = legible(raw)
        self._transcript.add(Line(self._elapsed_s(), "subject", self.name, "frame", frame, raw))
        lease = frame.get("lease") if isinstance(frame, dict) else None
        if not isinstance(lease, dict):
            self.faults.append(f"a frame that is no lease: {raw[:120]!r}")
            return
        result = self._obey(lease)
        await asyncio.sleep(self.ways.answer_after_s)
        await stream.send_str(json.dumps({"result": result}))
        if not self.ways.silent and not self.ways.garbled:
            await self.tell()

    def _obey(self, lease: Json) -> Json:
        self.heard.append(Heard(self._elapsed_s(), "lease", lease, self.boot_id))
        if lease.get("boot_id") != self.boot_id:
            return {**_name(lease), "result": "refused", "code": "lease_other_boot"}
        self.lease, self.lease_at_s = lease, self._elapsed_s()
        outcomes: Json = {}
        for part in self.parts.values():
            part.told = lease.get("elements", {}).get(part.id, {})
            if "switch" in part.told:
                part.closed = bool(part.told["switch"].get("closed"))
            if part.told:
                outcomes[part.id] = {name: {"result": "applied"} for name in part.told}
        return {**_name(lease), "result": "applied", "outcomes": outcomes, **(self.ways.result or {})}


def _name(lease: Json) -> Json:
    return {"epoch": lease.get("epoch", 0), "seq": lease.get("seq", 0)}


def _base64(text: str) -> bytes:

    return base64.b64decode(text, validate=True)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _problem(code: str, status: int = 0) -> web.Response:
    status = status or PROBLEMS[code]
    body = {"title": code.replace("_", " "), "status": status, "code": code}
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/problem+json"
    )
