"""Modules whose messages are wrong in their form."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.link.endpoint import Reply
from ores.link.server import Server


def _first(seams: Seams, change: Any) -> None:
    """Change the answer to `GET /faults`, which little else builds on."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        wanted = asked.method == "GET" and asked.path == "/faults" and status == 200
        return (status, change(body)) if wanted else None

    seams.answers.append(answer)


@broken("message-i-json", also=("resources-core", "faults-agree"))
def begins_with_a_byte_order_mark(seams: Seams) -> None:
    """An editor on another system had a hand in it."""
    _first(seams, lambda body: b"\xef\xbb\xbf" + msgspec.json.encode(body))


@broken("message-i-json", variant="doubled", also=("resources-core", "faults-agree"))
def names_a_key_twice(seams: Seams) -> None:
    """Put together by hand, one field was forgotten that was there already."""
    _first(
        seams, lambda body: b'{"x-example.com":{},' + b'"x-example.com":{},' + msgspec.json.encode(body)[1:]
    )


@broken("message-valid", also=("faults-agree",))
def sends_text_for_an_object(seams: Seams) -> None:
    """A type that the schema does not have there."""
    _first(seams, lambda body: {**body, "elements": "none"})


@broken("message-integers")
def writes_integers_with_a_fraction(seams: Seams) -> None:
    """A printer of numbers that knows doubles only."""

    def change(state: Any) -> Any:
        mains = dict(state["elements"]["mains"])
        mains["energy"] = {**mains["energy"], "counter_epoch": float(mains["energy"]["counter_epoch"])}
        return {**state, "elements": {**state["elements"], "mains": mains}}

    seams.on_state(change)


@broken("message-numbers-in-range", also=("meter-report-period",))
def measures_below_zero_volt(seams: Seams) -> None:
    """A sign that slipped through: voltage is unsigned on AC."""

    def change(state: Any) -> Any:
        elements = dict(state["elements"])
        mains = elements["mains"]
        measured = {**mains["ac_measure"], "terminals": {"L1": {"voltage_v": -230}}}
        elements["mains"] = {**mains, "ac_measure": measured}
        return {**state, "elements": elements}

    seams.on_state(change)


@broken("module-message-size")
def sends_seventy_kilobytes(seams: Seams) -> None:
    """A log that somebody put into an answer."""
    _first(seams, lambda body: {**body, "x-example.com": {"log": ["x" * 100] * 700}})


@broken("answer-in-time")
def takes_more_than_five_seconds(seams: Seams) -> None:
    """It asks something slow before it answers."""
    quick = Server._reply  # noqa: SLF001 - the mutation's place

    async def slow(self: Server, request: Any, path: str) -> Reply:
        if path == "/faults" and request.method == "GET":
            await asyncio.sleep(5.4)
        return await quick(self, request, path)

    seams.attribute(Server, "_reply", slow)
