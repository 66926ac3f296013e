"""Resources: who may ask for what, and how a refusal looks (sections 4.5, 4.14, 4.15, 10.3)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, Final

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, Section, Unreachable, fail, need, short
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.target import BASE_PATH, RawConnection

BODY_BYTES: Final = 4096
LET_IN_S: Final = 30.0
STRANGERS: Final = 24
TURNED_AWAY: Final = 3
AT_ONCE_S: Final = 5.0
OK: Final = 200
CORE_GET: Final = ("/description", "/pairing", "/state", "/failsafe", "/policy", "/faults")
FOR_PEERS: Final = (
    ("GET", "/state"),
    ("GET", "/stream"),
    ("PUT", "/lease"),
    ("GET", "/failsafe"),
    ("PUT", "/failsafe"),
    ("GET", "/policy"),
    ("PUT", "/policy"),
    ("GET", "/faults"),
    ("DELETE", "/pairing"),
)
"""What the table of 4.5 gives to paired peers, or to the controller alone."""
OFFERED: Final = (("GET", "/settings"), ("POST", "/requests"), ("GET", "/flexibility"))
"""The same, where the module has it."""
CLAIMS: Final = (
    {"X-Role": "controller", "X-Ores-Role": "controller", "Role": "controller"},
    {"Authorization": "Bearer controller", "Cookie": "role=controller"},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
)
"""What a message may say of its sender."""
ODD_HEADERS: Final = {
    "Accept": "text/html, */*;q=0.1",
    "Accept-Language": "de, en;q=0.5",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "Cache-Control": "no-cache",
    "DNT": "1",
    "X-Nobody-Knows-This": "x" * 200,
}

section: Section[Bench] = Section(
    "resources",
    "Asks for each resource, for what there is not, and for what is not allowed. Nothing is changed.",
    begin=Bench.described,
)


@section.check("resources-core")
async def resources_core(bench: Bench) -> None:
    """HTTP-001: every core resource answers its controller; what is put is what was there."""
    for path in CORE_GET:
        await bench.get(path)
    for path in ("/failsafe", "/policy"):
        answer = await bench.put(path, await bench.get(path))
        need(
            answer.status == OK,
            f"PUT {path} with what is there was answered with {answer.status} {answer.code}; 200 is demanded",
        )
    answer = await bench.put("/lease", await bench.lease({}, ttl_s=2))
    need(answer.status == OK, f"PUT /lease was answered with {answer.status} {answer.code}; 200 is demanded")


@section.check("access-by-role")
async def access_by_role(bench: Bench) -> None:
    """HTTP-002: a stranger learns what he could pair with, and no more."""
    await bench.close_stream()
    for path in ("/description", "/pairing"):
        answer = await bench.stranger.request("GET", path)
        need(answer.status == OK, f"GET {path} of a stranger was answered with {answer.status}; all may")
    offered = []
    for method, path in OFFERED:
        seen = await bench.controller.request(method, path, {} if method == "POST" else b"")
        offered += [(method, path)] if seen.status != 404 else []
    for method, path in (*FOR_PEERS, *offered):
        answer = await bench.stranger.request(method, path, {} if method in {"PUT", "POST"} else b"")
        need(
            (answer.status, answer.code) == (403, "forbidden"),
            f"{method} {path} of a stranger was answered with {answer.status} {answer.code}; "
            "403 forbidden is demanded",
        )
    await bench.stranger.close()


@section.check("role-from-key")
async def role_from_key(bench: Bench) -> None:
    """HTTP-003: what a stranger writes about himself makes him nobody else."""
    await bench.close_stream()
    me = bench.identity
    claims: list[dict[str, str]] = [
        *CLAIMS,
        {"X-Peer-Id": me.id, "X-Client-Fingerprint": me.fingerprint, "X-SSL-Client-Verify": "SUCCESS"},
    ]
    for headers in claims:
        await _still_a_stranger(bench, "/state", headers)
        await _still_a_stranger(bench, "/faults", headers)
    await _still_a_stranger(bench, f"/state?role=controller&peer={me.id}", {})
    await bench.stranger.close()


async def _still_a_stranger(bench: Bench, path: str, headers: dict[str, str]) -> None:
    answer = await bench.stranger.request("GET", path, headers=headers)
    need(
        answer.status == 403,
        f"GET {path} of a stranger with {', '.join(headers) or 'its claim'} was answered with "
        f"{answer.status}; roles come from keys, and 403 is demanded",
    )


@section.check("unknown-resource")
async def unknown_resource(bench: Bench) -> None:
    """HTTP-004: 404 for a path that is not served, 405 for a method that a path does not know."""
    for path in ("/ores_conformance_kit_asks", "/state/of/things", "/leases"):
        answer = await bench.controller.request("GET", path)
        need(
            (answer.status, answer.code) == (404, "not_found"),
            f"GET {path} was answered with {answer.status} {answer.code}; 404 not_found is demanded",
        )
    wrong = (("POST", "/state"), ("DELETE", "/policy"), ("PUT", "/faults"), ("PATCH", "/failsafe"))
    for method, path in wrong:
        answer = await bench.controller.request(method, path, {})
        need(
            (answer.status, answer.code) == (405, "method_not_allowed"),
            f"{method} {path} was answered with {answer.status} {answer.code}; "
            "405 method_not_allowed is demanded",
        )


@section.check("body-size")
async def body_size(bench: Bench) -> None:
    """HTTP-005: 4096 bytes are read; more is answered with 413, or ends the connection."""
    held = json.dumps(await bench.get("/failsafe")).encode()
    answer = await bench.put("/failsafe", held.ljust(BODY_BYTES))
    need(
        answer.status == OK,
        f"PUT /failsafe with a good body of {BODY_BYTES} bytes was answered with {answer.status} "
        f"{answer.code}; it has to be taken",
    )
    for size in (BODY_BYTES + 1, 3 * BODY_BYTES, 50 * BODY_BYTES):
        try:
            answer = await bench.put("/failsafe", held.ljust(size))
        except Unreachable:
            await bench.controller.close()
            continue
        need(
            (answer.status, answer.code) == (413, "too_large"),
            f"a body of {size} bytes was answered with {answer.status} {answer.code}; "
            "413 too_large, or the end of the connection, is demanded",
        )


@section.check("unknown-headers-ignored")
async def unknown_headers_ignored(bench: Bench) -> None:
    """HTTP-008: HTTP libraries add their own."""
    answer = await bench.controller.request("GET", "/state", headers=ODD_HEADERS)
    need(
        answer.status == OK,
        f"GET /state with the headers {', '.join(ODD_HEADERS)} was answered with {answer.status}; "
        "200 is demanded",
    )


@section.check("base-path")
async def base_path(bench: Bench) -> None:
    """VER-004: major version 1 below `/ores/v1`, and nothing of it where another major version would be."""
    answer = await bench.controller.request("GET", f"{BASE_PATH}/description", raw_path=True)
    need(answer.status == OK, f"GET {BASE_PATH}/description was answered with {answer.status}")
    for path in ("/ores/v0/description", "/ores/v11/description", "/ores/v1x/description"):
        answer = await bench.controller.request("GET", path, raw_path=True)
        need(
            answer.status != OK or _version(answer) not in {None, "1"},
            f"GET {path} was answered as version 1, which is below {BASE_PATH} and nowhere else",
        )


def _version(answer: Answer) -> str | None:
    """The major version of a description; None where it is none of them."""
    body = answer.json
    return str(body.get("ores")).split(".", maxsplit=1)[0] if isinstance(body, dict) else None


@section.check("two-connections", timed=True)
async def two_connections(bench: Bench) -> None:
    """HTTP-010: while one connection is in the middle of a request, the other one is answered."""
    await bench.close_stream()
    slow = await bench.raw(bench.identity)
    try:
        head = f"PUT {bench.target.path}/policy HTTP/1.1\r\nHost: {bench.target.host}\r\n"
        await slow.send(f"{head}Content-Type: application/json\r\nContent-Length: 40\r\n\r\n{{".encode())
        await bench.pause(0.2)
        began_s = time.monotonic()
        try:
            answer = await bench.controller.request("GET", "/pairing", timeout_s=AT_ONCE_S)
        except Unreachable as error:
            await bench.controller.close()
            fail(f"while another connection was in the middle of a request, {error}")
        took_s = time.monotonic() - began_s
        need(answer.status == OK, f"a second connection was answered with {answer.status}; 200 is demanded")
        need(took_s < AT_ONCE_S, f"a second connection was answered after {took_s:.1f} s")
    finally:
        await slow.close()


@section.check("strangers-do-not-block")
async def strangers_do_not_block(bench: Bench) -> None:
    """HTTP-012: the controller gets in within 30 s, whatever connections strangers hold open."""
    await bench.close_stream()
    await bench.controller.close()
    held: list[RawConnection] = []
    try:
        turned_away = 0
        while len(held) < STRANGERS and turned_away < TURNED_AWAY:
            try:
                held.append(await bench.raw(timeout_s=5.0))
            except Unreachable:  # it takes no more of them, which is its right
                turned_away += 1
        await _let_in(bench, len(held))
    finally:
        for raw in held:
            await raw.close()


async def _let_in(bench: Bench, many: int) -> None:
    deadline_s, last = bench.elapsed_s + LET_IN_S, "nothing was tried"
    while (left_s := deadline_s - bench.elapsed_s) > 0:
        try:
            answer = await bench.controller.request("GET", "/state", timeout_s=max(1.0, left_s))
        except Failed as error:
            last = str(error)
            await bench.controller.close()
            await bench.pause(0.5)
            continue
        if answer.status == OK:
            return
        last = f"status {answer.status}"
        await bench.pause(0.5)
    fail(f"with {many} strangers connected, the controller was not let in within {LET_IN_S:g} s: {last}")


# Problems


@section.check("errors-are-problems")
async def errors_are_problems(bench: Bench) -> None:
    """ERR-001: one way to fail, for all."""
    await bench.close_stream()
    for what, answer in [found async for found in _refusals(bench)]:
        kind = answer.headers.get("content-type", "").split(";")[0].strip()
        need(
            kind == "application/problem+json",
            f"{what} was answered with {answer.status} and content type {kind!r}; "
            "application/problem+json is demanded",
        )
        body = answer.json
        wrong = bench.standard.wrong(body, "problem", "Problem")
        need(wrong is None, f"{what} was answered with {answer.status} and no Problem: {wrong}")
    for line in bench.transcript.lines:
        status = re.match(r"([45][0-9][0-9]) ", line.what)
        if line.by == "subject" and status is not None and isinstance(line.body, dict):
            _as_registered(bench, line.what, int(status[1]), line.body)


async def _refusals(bench: Bench) -> Any:
    """Requests that go wrong in each way that a peer can go wrong."""
    asked: tuple[tuple[str, str, Any], ...] = (
        ("GET", "/nowhere", b""),
        ("POST", "/state", {}),
        ("PUT", "/policy", b"{"),
        ("PUT", "/policy", {"kind": 7}),
        ("PUT", "/policy", {"kind": "x_of_the_kit"}),
        ("PUT", "/lease", {"epoch": -1}),
    )
    for method, path, body in asked:
        yield f"{method} {path}", await bench.controller.request(method, path, body)
    yield "GET /state of a stranger", await bench.stranger.request("GET", "/state")
    await bench.stranger.close()


def _as_registered(bench: Bench, what: str, status: int, body: dict[str, Any]) -> None:
    code = body.get("code")
    row = bench.standard.errors.get(code) if isinstance(code, str) else None
    need(row is not None, f"{what} has the code {short(code)}, which the registry does not have")
    need(
        row is not None and row["status"] == status == body.get("status"),
        f"{what} has the code {code} and says status {body.get('status')}; "
        f"the registry has {row['status'] if row else None} for it",
    )


@section.check("problem-names-field")
async def problem_names_field(bench: Bench) -> None:
    """ERR-002: where, what, and what instead."""
    for body in ({"kind": 7}, {"kind": "idle", "schedule": "daily"}):
        answer = await bench.put("/policy", body)
        problem = answer.json if isinstance(answer.json, dict) else {}
        missing = [name for name in ("field", "found", "allowed") if not problem.get(name)]
        need(
            answer.status >= 400 and not missing,
            f"PUT /policy with {body} was answered with {answer.status} {answer.code} "
            f"without {', '.join(missing) or 'a problem'}",
        )


# What a stranger learns


@section.check("stranger-learns-little")
async def stranger_learns_little(bench: Bench) -> None:
    """SEC-001: the fields of `PublicDescription`, and no others."""
    await bench.close_stream()
    public = set(bench.standard.schema("description")["$defs"]["PublicDescription"]["properties"])
    for path in ("/description", "/description?page=1", "/description?page=2"):
        answer = await bench.stranger.request("GET", path)
        if answer.status != OK:
            need(path != "/description", f"GET /description of a stranger was answered with {answer.status}")
            continue
        body = answer.json if isinstance(answer.json, dict) else {}
        wrong = bench.standard.wrong(body, "description", "PublicDescription")
        need(wrong is None, f"GET {path} of a stranger gave no PublicDescription: {wrong}")
        more = sorted(set(body) - public)
        need(not more, f"GET {path} told a stranger {', '.join(more)}; {', '.join(sorted(public))} are all")
    await bench.stranger.close()


@section.check("stranger-problems-tell-little")
async def stranger_problems_tell_little(bench: Bench) -> None:
    """SEC-003: what is kept out of the description does not come out by way of an error."""
    await bench.close_stream()
    also = (("GET", "/nowhere"), ("GET", "/description?page=99"), ("PUT", "/settings"))
    for method, path in (*FOR_PEERS, *also):
        await bench.stranger.request(method, path, {} if method in {"PUT", "POST"} else b"")
    await bench.stranger.close()
    secrets = dict(_not_for_strangers(bench))
    for line in bench.transcript.lines:
        if line.by == "subject" and line.peer == "stranger" and line.what[0] in "45":
            text = line.raw.decode("utf-8", "replace")
            for word, what in secrets.items():
                need(
                    not re.search(rf"(?<![a-z0-9_]){re.escape(word)}(?![a-z0-9_])", text),
                    f"{line.what} tells a stranger {what}: {short(text)}",
                )


def _not_for_strangers(bench: Bench) -> Iterator[tuple[str, str]]:
    """Names of elements and peers, but for words that a problem may use for something else."""
    common = " ".join(str(row) for row in bench.standard.errors.values()).lower().split()
    common += ["string", "number", "integer", "object", "array", "boolean", "null"]
    for element in bench.elements:
        if element["id"] not in common:
            yield element["id"], f"of the element {element['id']}"
    yield bench.identity.id, "the id of the controller"
    yield bench.identity.fingerprint, "the fingerprint of the controller"
