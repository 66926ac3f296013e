"""Who is answered at all, and under which name (section 6.1); the first part before there is an owner."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from dataclasses import replace
from typing import Final

from cryptography import x509

from ores.conformance.check import Failed, Section, Unreachable, fail, need, short
from ores.conformance.hubs.app import App, blind_tls
from ores.conformance.hubs.bench import HubBench, cookie_of, own_address
from ores.conformance.hubs.parts import Json
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.identity import fingerprint_of, id_of
from ores.conformance.wire.target import Target

PROXY_HEADERS: Final = {
    "Forwarded": "for=192.0.2.60",
    "X-Forwarded-For": "192.0.2.60",
    "X-Real-IP": "192.0.2.60",
    "Via": "1.1 proxy.example",
}
BODY_BYTES: Final = 65_536
IDLE: Final = 100
BEGIN_S: Final = 5.0
NO_OWNER: Final = "the hub has an owner already; this is judged before anybody owns it"

early: Section[HubBench] = Section("a new hub", "Asks as the first person that a new hub meets.")
section: Section[HubBench] = Section("doors", "Knocks at the doors of the hub, politely and not.")


def need_no_owner(bench: HubBench) -> None:
    """The judgement began with a hub that nobody owned.

    Raises:
        Failed: It did not.
    """
    need(not bench.options.token, NO_OWNER)


@early.check("hub-loopback-until-owner")
async def hub_loopback_until_owner(bench: HubBench) -> None:
    """HUB-002: beyond its own machine nobody is answered."""
    need_no_owner(bench)
    outside = own_address()
    need(not outside.startswith("127."), "the kit's machine has no address but loopback to knock from")
    for where in filter(None, (bench.options.network, replace(bench.target, host=outside))):
        caller = bench.app("from outside", where=where)
        for method, path in (("GET", "/status"), ("GET", "/session"), ("POST", "/owner")):
            answer = await answered(caller, method, path)
            need(
                answer is None or answer.status >= 400,
                f"{method} {where.url}{path} from beyond the hub's machine was answered with "
                f"{answer.status if answer else ''}; a hub without an owner refuses",
            )


async def answered(app: App, method: str, path: str) -> Answer | None:
    """The answer, or None where nobody is there."""
    body = {"name": "Eve", "password": "sun on the roof"} if method == "POST" else None
    try:
        if body is None:
            return await app.request(method, path, timeout_s=5.0)
        return await app.request(method, path, body, timeout_s=5.0)
    except Unreachable:
        return None


@early.check("hub-proxy-is-not-local")
async def hub_proxy_is_not_local(bench: HubBench) -> None:
    """HUB-003: who comes through a proxy may come from anywhere."""
    need_no_owner(bench)
    eve = {"name": "Eve", "password": "sun on the roof"}
    for name, value in PROXY_HEADERS.items():
        found = await bench.nobody.request("GET", "/status", headers={name: value})
        need(
            found.status >= 400,
            f"GET /status with the header {name} was answered with {found.status} before there was an owner",
        )
        found = await bench.nobody.request("POST", "/owner", eve, headers={name: value})
        need(found.status >= 400, f"POST /owner with the header {name} made somebody the owner")


@early.check("hub-owner-once")
async def hub_owner_once(bench: HubBench) -> None:
    """USER-004: the first at the hub's own machine, and nobody else after."""
    need_no_owner(bench)
    await bench.once(take)
    second = await bench.nobody.request("POST", "/owner", {"name": "Eve", "password": "sun on the roof"})
    need(
        second.code == "owner_exists",
        f"a second POST /owner was answered with {second.status} {second.code}; owner_exists is demanded",
    )
    if bench.options.network is not None:
        outside = bench.app("from outside", where=bench.options.network)
        far = await answered(outside, "POST", "/owner")
        need(
            far is None or far.code in {"owner_exists", "loopback_only"},
            f"POST /owner from beyond the hub's machine was answered with {far.status if far else ''} "
            f"{far.code if far else ''}; owner_exists or loopback_only is demanded",
        )


async def take(bench: HubBench) -> Json:
    """Become the owner of a new hub, and make it an app of the kit's.

    Raises:
        Failed: The hub does not let the first person in.
    """
    bench.password = secrets.token_hex(12)
    answer = await bench.nobody.request(
        "POST", "/owner", {"name": bench.name, "password": bench.password}, timeout_s=20.0
    )
    need(
        answer.status == 201,
        f"POST /owner on the hub's own machine: {answer.status} {answer.code}; 201 is demanded",
    )
    bench.owner.cookie = cookie_of(answer)
    session: Json = await bench.owner.get("/session")
    need(
        session.get("authenticated") is True,
        f"GET /session with the new owner's cookie: authenticated is {short(session.get('authenticated'))}",
    )
    return session


async def owned(bench: HubBench) -> None:
    """There is an owner, and the kit is let in as one; of several calls the first does it."""
    if bench.preferences:
        return
    if not bench.options.token:
        await bench.once(take)
    else:
        bench.name = str((await bench.owner.get("/session")).get("name") or bench.name)
    bench.preferences = await bench.owner.get("/preferences")


section.begin = owned


@section.check("hub-foreign-host")
async def hub_foreign_host(bench: HubBench) -> None:
    """HUB-006: a page that re-binds its name gets nothing."""
    for host in ("evil.example", f"evil.example:{bench.target.port}", "127.0.0.1.evil.example"):
        found = await bench.owner.request("GET", "/status", headers={"Host": host})
        need(
            found.code == "foreign_host",
            f"a request with Host {host}: {found.status} {found.code}; foreign_host is demanded",
        )
    found = await bench.owner.request("GET", "/status", headers={"Host": f"127.0.0.1:{bench.target.port}"})
    need(found.status == 200, f"a request with an address as Host was answered with {found.status}")


@section.check("hub-foreign-origin")
async def hub_foreign_origin(bench: HubBench) -> None:
    """HUB-007: what changes something, and the stream, only from the hub's own pages."""
    held = await bench.owner.get("/preferences")
    evil = {"Origin": "http://evil.example"}
    for method, path, body in (
        ("PUT", "/preferences", held),
        ("POST", "/proposals", {}),
        ("DELETE", "/proposals/x/y", {}),
    ):
        found = await bench.owner.request(method, path, body, headers=evil)
        need(
            found.code == "foreign_origin",
            f"{method} {path} with a foreign Origin: {found.status} {found.code}; foreign_origin is demanded",
        )
    try:
        await bench.owner.open_stream(headers=evil)
    except Unreachable:
        pass
    else:
        fail("the stream was opened for a page with a foreign Origin; foreign_origin is demanded")
    own = await bench.owner.request("PUT", "/preferences", held, headers={"Origin": bench.target.root})
    need(own.status == 200, f"PUT /preferences with the hub's own Origin: {own.status} {own.code}")


@section.check("hub-json-only")
async def hub_json_only(bench: HubBench) -> None:
    """HUB-008: a form of a foreign page cannot send JSON unasked."""
    held = await bench.owner.get("/preferences")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        found = await bench.owner.request("PUT", "/preferences", held, headers={"Content-Type": kind})
        need(
            found.code == "not_json",
            f"a body of type {kind} was answered with {found.status} {found.code}; not_json is demanded",
        )


@section.check("hub-api-body-size")
async def hub_api_body_size(bench: HubBench) -> None:
    """HUB-009: 65 536 bytes, and none more."""
    held = await bench.owner.get("/preferences")
    body = json.dumps(held).encode()
    found = await bench.owner.request("PUT", "/preferences", body + b" " * (BODY_BYTES - len(body)))
    need(found.status == 200, f"a body of {BODY_BYTES} bytes was answered with {found.status} {found.code}")
    try:
        found = await bench.owner.request("PUT", "/preferences", body + b" " * (BODY_BYTES + 1 - len(body)))
    except Unreachable:
        return
    need(
        found.status == 413 and found.code == "too_large",
        f"a body of {BODY_BYTES + 1} bytes: {found.status} {found.code}; 413 too_large is demanded",
    )


@section.check("hub-query-checked")
async def hub_query_checked(bench: HubBench) -> None:
    """HUB-010: a misspelt question is none."""
    for path in (
        "/decisions?limt=5",
        "/decisions?limit=0",
        "/decisions?limit=many",
        "/notices?endet=true",
        "/history?series=flow.grid_w&start=yesterday",
        "/history?series=flow.grid_w&max_points=none",
        "/history?series=flow.grid_w&colour=red",
    ):
        found = await bench.owner.request("GET", path)
        need(
            found.code == "invalid_query",
            f"GET {path} was answered with {found.status} {found.code}; invalid_query is demanded",
        )


@section.check("hub-idle-connections", timed=True)
async def hub_idle_connections(bench: HubBench) -> None:
    """HUB-011: who does nothing keeps nobody out."""
    writers = []
    try:
        for _ in range(IDLE):
            try:
                async with asyncio.timeout(2.0):
                    _, writer = await asyncio.open_connection(bench.target.host, bench.target.port)
            except (OSError, TimeoutError):
                break
            writers.append(writer)
        await bench.pause(0.2)
        asking = bench.app("while others idle", where=bench.target)
        try:
            answer = await asking.request("GET", "/session", timeout_s=BEGIN_S + 1)
        except Unreachable as error:
            raise Failed(
                f"while {len(writers)} connections idled, a new one was not answered: {error}"
            ) from error
        need(
            answer.took_s <= BEGIN_S,
            f"while {len(writers)} connections idled, a new one was answered after {answer.took_s:.1f} s; "
            f"{BEGIN_S:g} s are the most",
        )
    finally:
        for writer in writers:
            writer.close()


def need_network(bench: HubBench) -> Target:
    """Where the hub is beyond its own machine.

    Raises:
        Failed: Nobody has said it.
    """
    where = bench.options.network or (bench.target if bench.target.scheme == "https" else None)
    if where is None:
        fail("nobody has said where the hub listens beyond its own machine: give --network https://HOST:PORT")
    return where


async def certificate_at(where: Target) -> x509.Certificate:
    """What the hub shows in HTTPS.

    Raises:
        Failed: There is no TLS, or no certificate.
    """
    try:
        async with asyncio.timeout(5.0):
            _, writer = await asyncio.open_connection(
                where.host, where.port, ssl=blind_tls(), server_hostname=""
            )
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise Failed(f"there is no TLS 1.2 or later at {where.root}: {error}") from error
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    if not found:
        fail(f"the server at {where.root} shows no certificate")
    return x509.load_der_x509_certificate(found)


@section.check("hub-https-beyond-machine")
async def hub_https_beyond_machine(bench: HubBench) -> None:
    """HUB-004: TLS, with the hub's own key, and nothing else."""
    where = need_network(bench)
    shown = id_of(fingerprint_of(await certificate_at(where)))
    known = await bench.once(key_at_modules)
    need(
        shown == known,
        f"the hub's HTTPS shows the key of {shown}, and modules know it as {known}; one key is demanded",
    )
    outside = own_address()
    for port in {where.port, bench.target.port}:
        plain = bench.app("in the clear", where=Target(outside, port, scheme="http"))
        answer = await answered(plain, "GET", "/session")
        need(
            answer is None or answer.status >= 400,
            f"http://{outside}:{port} was answered in the clear, beyond the hub's own machine",
        )


async def key_at_modules(bench: HubBench) -> str:
    """The id of the key that the hub shows to a module.

    Raises:
        Failed: It pairs with none.
    """
    player = bench.players.get("Meter") or bench.players.get("Key")
    if player is None:
        player = await bench.player("Key")
    await bench.until(
        lambda: player.certificates, 5.0, "the hub has not come back to a module it paired with"
    )
    return id_of(fingerprint_of(x509.load_der_x509_certificate(player.certificates[-1])))


@section.check("hub-id-of-its-key")
async def hub_id_of_its_key(bench: HubBench) -> None:
    """HUB-005: the id in `/status` is that of the key that modules and browsers see."""
    said = (await bench.owner.get("/status")).get("id")
    known = await bench.once(key_at_modules)
    need(said == known, f"id in /status is {said}, the key that modules see is of {known}")
