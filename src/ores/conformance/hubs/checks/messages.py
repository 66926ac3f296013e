"""What holds for every message of a hub, to people and to modules: judged last, over all that it has sent.

Sections 3.1, 4.14 and 12.4; and what the claim as a whole comes to (1.6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ores.conformance.check import Section, Unreachable, need, short
from ores.conformance.checks.claim import broken_ids
from ores.conformance.checks.extensions import judge_named
from ores.conformance.form import Wrong, judge_i_json, judge_integers, judge_numbers, judge_valid
from ores.conformance.hubs.app import PAGE
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.people import table
from ores.conformance.hubs.parts import Json
from ores.conformance.transcript import Line
from ores.conformance.wire import ijson
from ores.conformance.wire.caller import Answer

TOO_LARGE_BYTES: Final = 65_537
BAD_STATUS: Final = 400
JUDGED_AT_THE_DOOR: Final = ("without session", "with Host", "with Content-Type", "with Origin")
"""Whether these are refused at all is a sentence of its own; here is judged how."""
ANSWER: Final = re.compile(r"([0-9]{3}) ([A-Z]+) (/.*)")
REQUEST: Final = re.compile(r"([A-Z]+) (/.*)")


async def begin(bench: HubBench) -> None:
    """Everything that can be read has been read once."""
    await ready(bench)
    await bench.once(read)


section: Section[HubBench] = Section(
    "messages", "Asks for what there is not, and reads once more all that the hub has sent.", begin=begin
)


async def read(bench: HubBench) -> None:
    """Ask for each core resource that asks for nothing itself."""
    paths = [path for method, path, _ in table(bench) if method == "GET" and path.count("/") == 1]
    for path in (*paths, f"/modules/{bench.players['Meter'].id}", "/history/series"):
        if path not in {"/stream", "/history"}:
            await bench.owner.request("GET", path)
    await bench.owner.request("GET", "/history?series=flow.grid_w&max_points=20")


# How it refuses


async def refusals(bench: HubBench) -> list[tuple[str, Answer]]:
    """Requests that go wrong in each way in which one can."""
    wanted = bench.preferences
    asked: tuple[tuple[str, str, Any, dict[str, str]], ...] = (
        ("GET", "/nowhere", b"", {}),
        ("POST", "/live", {}, {}),
        ("GET", "/decisions?limit=0", b"", {}),
        ("GET", "/status", b"", {"Host": "rebound.example"}),
        ("PUT", "/preferences", b"{", {}),
        ("PUT", "/preferences", b"\xff\xfe{}", {}),
        ("PUT", "/preferences", {"ev_mode": 7}, {}),
        ("PUT", "/preferences", wanted, {"Content-Type": "text/plain"}),
        ("PUT", "/preferences", wanted, {"Origin": "https://foreign.example"}),
        ("PUT", "/preferences", b" " * TOO_LARGE_BYTES, {}),
        ("POST", "/proposals", {"id": "kit"}, {}),
        ("POST", "/modules", {"code": "nonsense"}, {}),
        ("DELETE", "/users/nobody", b"", {}),
    )
    found = [("GET /status without session", await bench.nobody.request("GET", "/status"))]
    for method, path, body, headers in asked:
        try:
            answer = await bench.owner.request(method, path, body, headers=headers)
        except Unreachable:  # as it may where a body is too large
            continue
        found.append((f"{method} {path}{' with ' if headers else ''}{', '.join(headers)}", answer))
    return found


@section.check("errors-are-problems")
async def errors_are_problems(bench: HubBench) -> None:
    """ERR-001: one way to fail, for all."""
    for what, answer in await bench.once(refusals):
        if answer.status < BAD_STATUS and what.endswith(JUDGED_AT_THE_DOOR):
            continue
        need(answer.status >= BAD_STATUS, f"{what} was answered with {answer.status}; it makes no sense")
        kind = answer.headers.get("content-type", "").split(";")[0].strip()
        need(
            kind == "application/problem+json",
            f"{what} was answered with {answer.status} and content type {kind!r}; "
            "application/problem+json is demanded",
        )
        wrong = bench.standard.wrong(answer.json, "problem", "Problem")
        need(wrong is None, f"{what} was answered with {answer.status} and no Problem: {wrong}")
    for line in of_hub(bench):
        found = ANSWER.fullmatch(line.what)
        if found and int(found[1]) >= BAD_STATUS and isinstance(line.body, dict):
            of_module = (found[2], found[3]) == ("POST", "/modules")
            _as_registered(bench, line, int(found[1]), may_be_unknown=of_module)


def _as_registered(bench: HubBench, line: Line, status: int, *, may_be_unknown: bool) -> None:
    code = line.body.get("code")
    row = bench.standard.errors.get(code) if isinstance(code, str) else None
    if row is None:
        need(may_be_unknown, f"{line.what} has the code {short(code)}, which the registry does not have")
        return
    need(
        row["status"] == status == line.body.get("status"),
        f"{line.what} has the code {code} and says status {line.body.get('status')}; "
        f"the registry has {row['status']} for it",
    )


@section.check("problem-names-field")
async def problem_names_field(bench: HubBench) -> None:
    """ERR-002: where, what, and what instead."""
    for more in ({"reserve_pct": 133}, {"ev_mode": "hover"}, {"colour": "green"}):
        wanted = {"self_consumption": False, "ev_mode": "off", "reserve_pct": 0, **more}
        answer = await bench.owner.request("PUT", "/preferences", wanted)
        problem = answer.json if isinstance(answer.json, dict) else {}
        missing = [name for name in ("field", "found", "allowed") if not problem.get(name)]
        need(
            answer.status >= BAD_STATUS and not missing,
            f"PUT /preferences with {more} was answered with {answer.status} {answer.code} "
            f"without {', '.join(missing) or 'a problem'}",
        )


@section.check("message-doubled-key")
async def message_doubled_key(bench: HubBench) -> None:
    """MSG-004: two readers may disagree on which counts."""
    body = b'{"self_consumption": false, "ev_mode": "off", "reserve_pct": 0, "reserve_pct": 0}'
    answer = await bench.owner.request("PUT", "/preferences", body)
    need(
        answer.status >= BAD_STATUS,
        f"PUT /preferences that names reserve_pct twice was answered with {answer.status}; "
        "invalid_message is to be expected",
    )


# All that it has sent


@section.check("message-i-json")
async def message_i_json(bench: HubBench) -> None:
    """MSG-001: I-JSON in UTF-8, without a byte-order mark."""
    judge_i_json(of_hub(bench))


@section.check("message-valid")
async def message_valid(bench: HubBench) -> None:
    """MSG-002: valid by its schema; integers and ranges of numbers have checks of their own."""
    judge_valid(await bench.once(invalid))


@section.check("message-integers")
async def message_integers(bench: HubBench) -> None:
    """MSG-003: an integer has neither fraction nor exponent."""
    judge_integers(await bench.once(invalid))


@section.check("message-numbers-in-range")
async def message_numbers_in_range(bench: HubBench) -> None:
    """MSG-005: finite, and in the range of the schema."""
    judge_numbers(of_hub(bench), await bench.once(invalid))


@section.check("vendor-fields-named")
async def vendor_fields_named(bench: HubBench) -> None:
    """EXT-001: a maker's field is an object under `x-` and a domain name; what modules describe is theirs."""
    for line in of_hub(bench):
        schema = schema_of(bench, line)
        if schema is not None and isinstance(line.body, dict):
            judge_named(bench.standard, schema, line, _its_own(line.body))


def _its_own(body: Json) -> Json:
    """Without the descriptions of modules that a hub passes on."""
    return {name: value for name, value in body.items() if name not in {"description", "modules"}}


def of_hub(bench: HubBench) -> Iterator[Line]:
    """Every message of the hub so far; its web page is none."""
    return (
        line
        for line in bench.transcript.lines
        if line.by == "subject" and line.raw and f" {PAGE}/" not in line.what
    )


async def invalid(bench: HubBench) -> list[tuple[Line, Wrong]]:
    """Every message that its schema refuses, with the reason; what is said again is not validated again."""
    found: list[tuple[Line, Wrong]] = []
    known: dict[tuple[str, bytes], list[Wrong]] = {}
    for line in of_hub(bench):
        await bench.pause(0)  # validation takes long, and the modules that the kit plays must not wait for it
        schema = schema_of(bench, line)
        if schema is None or not isinstance(line.body, dict):
            continue
        key = (schema[1], line.raw)
        if key not in known:
            body = ijson.lenient(line.raw)
            known[key] = [Wrong(error) for error in bench.standard.errors_in(body, *schema)]
        found += [(line, wrong) for wrong in known[key]]
    return found


def schema_of(bench: HubBench, line: Line) -> tuple[str, str] | None:
    """The schema of a line; None for what has none."""
    if line.what == "hub frame":
        return ("app", "HubFrame")
    if line.what == "frame":
        return ("stream", "ToModule")
    if answer := ANSWER.fullmatch(line.what):
        status, method, path = answer.groups()
        if int(status) >= BAD_STATUS:
            return ("problem", "Problem")
        return bench.standard.answer_schema(method, path, "hub", status)
    if request := REQUEST.fullmatch(line.what):
        return bench.standard.request_schema(*request.groups())
    return None


# The claim


@section.check("conformance-hub-core-complete")
async def conformance_hub_core_complete(bench: HubBench) -> None:
    """CONF-002: every core requirement for hubs."""
    broken = broken_ids(bench.standard, bench.verdicts, {"hub"}, extended=False)
    need(not broken, f"core requirements are not kept: {', '.join(broken)}")


@section.check("conformance-extended-complete")
async def conformance_extended_complete(bench: HubBench) -> None:
    """CONF-003: every requirement about what is offered beside."""
    broken = broken_ids(bench.standard, bench.verdicts, {"hub"}, extended=True)
    need(not broken, f"extended resources are offered, and of them is not kept: {', '.join(broken)}")
