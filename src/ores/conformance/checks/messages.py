"""What holds for every message: judged last, over all that the module has sent (sections 3.1, 4.14)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need
from ores.conformance.form import Wrong, judge_i_json, judge_integers, judge_numbers, judge_valid
from ores.conformance.transcript import Line
from ores.conformance.wire import ijson

MESSAGE_MAX_BYTES = 65_536
ANSWER_MAX_S = 5.0
BAD_STATUS = 400


async def begin(bench: Bench) -> None:
    """There is something to judge."""
    need(bench.transcript.lines, "nothing was exchanged")


section: Section[Bench] = Section("messages", "Reads once more all that the module has sent.", begin=begin)


@section.check("message-i-json")
async def message_i_json(bench: Bench) -> None:
    """MSG-001: I-JSON in UTF-8, without a byte-order mark."""
    judge_i_json(from_module(bench))


@section.check("message-valid")
async def message_valid(bench: Bench) -> None:
    """MSG-002: valid by its schema; integers and ranges of numbers have checks of their own."""
    judge_valid(await bench.once(invalid))


@section.check("message-integers")
async def message_integers(bench: Bench) -> None:
    """MSG-003: an integer has neither fraction nor exponent."""
    judge_integers(await bench.once(invalid))


@section.check("message-numbers-in-range")
async def message_numbers_in_range(bench: Bench) -> None:
    """MSG-005: finite, and in the range of the schema."""
    judge_numbers(from_module(bench), await bench.once(invalid))


@section.check("module-message-size")
async def module_message_size(bench: Bench) -> None:
    """SIZE-002: a hub holds fifty modules, each with its buffers."""
    for line in from_module(bench):
        need(
            len(line.raw) <= MESSAGE_MAX_BYTES,
            f"{line.what} at {line.at_s:.1f} s has {len(line.raw)} bytes; {MESSAGE_MAX_BYTES} are the most",
        )


@section.check("answer-in-time", timed=True)
async def answer_in_time(bench: Bench) -> None:
    """HTTP-009: within 5 s of the request's last byte."""
    for line in from_module(bench):
        need(
            line.took_s <= ANSWER_MAX_S,
            f"{line.what} took {line.took_s:.1f} s; {ANSWER_MAX_S:g} s are the most",
        )


def from_module(bench: Bench) -> Iterator[Line]:
    """Every message of the module so far."""
    return (line for line in bench.transcript.lines if line.by == "subject" and line.raw)


async def invalid(bench: Bench) -> list[tuple[Line, Wrong]]:
    """Every message that its schema refuses, with the reason.

    States make up nearly all, and most of one is as in the one before: what has been validated is not again.
    """
    found: list[tuple[Line, Wrong]] = []
    known: dict[str, list[Wrong]] = {}
    for line in from_module(bench):
        await bench.pause(0)  # validation takes long, and whoever else runs here must not wait for it
        schema = schema_of(bench, line)
        if schema is None or not isinstance(line.body, dict):
            continue
        for part, (file, name) in _parts(ijson.lenient(line.raw), schema):
            key = f"{name} {json.dumps(part)}"
            if key not in known:
                errors = bench.standard.errors_in(part, file, name)
                known[key] = [Wrong(error) for error in errors]
            found += [(line, wrong) for wrong in known[key]]
    return found


def _parts(body: dict[str, Any], schema: tuple[str, str]) -> Iterator[tuple[Any, tuple[str, str]]]:
    """A message in pieces that are valid by themselves if, and only if, the whole is."""
    state = body.get("state") if schema == ("stream", "FromModule") else None
    elements = state.get("elements") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not isinstance(elements, dict):
        yield body, schema
        return
    odd = {name: found for name, found in elements.items() if not isinstance(found, dict)}
    names: dict[str, Any] = {name: {} for name in elements}
    yield {**body, "state": {**state, "elements": {**names, **odd}}}, schema
    for element in elements.values():
        if isinstance(element, dict):
            for capability, points in element.items():
                yield {capability: points}, ("state", "ElementState")


def schema_of(bench: Bench, line: Line) -> tuple[str, str] | None:
    """The schema of a line; None for what has none."""
    if line.what == "frame":
        return ("stream", "FromModule")
    status, method, path = line.what.split(" ", 2)
    if int(status) >= BAD_STATUS:
        return ("problem", "Problem")
    resource = path.removeprefix(bench.target.path)
    return bench.standard.answer_schema(method, resource, stranger=line.peer == bench.stranger.name)
