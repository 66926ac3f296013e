"""Hubs whose messages are wrong in their form, and hubs that take what they should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from ores.conformance.broken.hubs.mutants.doors import route
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import reading
from ores.hub.api import app, handlers, people, problems, series, serve
from ores.link import codec
from ores.link.endpoint import Reply


def _changed(tools: Tools, path: str, right: Any, change: Callable[[Any], Any]) -> None:
    """Change what one resource answers; `change` gives another body, or bytes."""

    async def answer(request: web.Request) -> web.Response:
        given = await right(request)
        body = change(msgspec.json.decode(given.body))
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return web.Response(body=raw, status=given.status, content_type="application/json")

    route(tools, "GET", path, answer)


@broken_hub("message-i-json", also=("hub-history-names",))
def begins_with_a_byte_order_mark(tools: Tools) -> None:
    """An editor on another system had a hand in it."""

    def change(body: Any) -> bytes:
        return b"\xef\xbb\xbf" + msgspec.json.encode(body)

    _changed(tools, "/history/series", series.get_history_series, change)


@broken_hub("message-i-json", variant="to-modules")
def tells_modules_a_key_twice(tools: Tools) -> None:
    """Put together by hand, one field was forgotten that was there already."""
    right = reading.InTurn.request

    async def request(self: reading.InTurn, method: str, path: str, body: bytes = b"") -> Reply:
        if (method, path) == ("PUT", "/policy"):
            body = b'{"kind":"idle",' + body[1:]
        return await right(self, method, path, body)

    tools.attribute(reading.InTurn, "request", request)


@broken_hub("message-valid")
def writes_a_role_as_a_number(tools: Tools) -> None:
    """As it stands in its own table."""
    _changed(tools, "/users", people.get_users, lambda _: {"users": [{"name": "Somebody", "role": 7}]})


@broken_hub("message-integers")
def writes_integers_with_a_fraction(tools: Tools) -> None:
    """A printer of numbers that knows doubles only."""

    def change(body: Any) -> Any:
        return {**body, "missed_cycles": float(body["missed_cycles"])}

    _changed(tools, "/status", handlers.get_status, change)


@broken_hub("message-numbers-in-range")
def runs_backwards(tools: Tools) -> None:
    """A sign that slipped through."""
    _changed(tools, "/status", handlers.get_status, lambda body: {**body, "speed": -1.0})


@broken_hub("vendor-fields-named")
def adds_a_field_of_its_own(tools: Tools) -> None:
    """A later version may call something else so."""
    _changed(tools, "/status", handlers.get_status, lambda body: {**body, "mood": "calm"})


@broken_hub("message-doubled-key")
def takes_the_last_of_two(tools: Tools) -> None:
    """As most readers of JSON do."""
    tools.attribute(codec, "_refuse_twins", dict)


@broken_hub("errors-are-problems")
def says_that_problems_are_plain_json(tools: Tools) -> None:
    """The type that all other answers have."""
    right = problems.problem_response

    def plain(error: Any) -> web.Response:
        found = right(error)
        found.content_type = "application/json"
        return found

    for owner in (app, serve):
        tools.attribute(owner, "problem_response", plain)


@broken_hub("errors-are-problems", variant="status")
def has_statuses_of_its_own(tools: Tools) -> None:
    """422 says it better."""
    tools.attribute(problems, "TITLES", {**problems.TITLES, "invalid_query": (422, "Query not allowed")})


@broken_hub("conformance-hub-core-complete", also=("errors-are-problems",))
def claims_all_and_has_another_status(tools: Tools) -> None:
    """418, in one place that nobody looks at."""
    tools.attribute(problems, "TITLES", {**problems.TITLES, "not_json": (418, "Body is not JSON")})


@broken_hub("problem-names-field")
def says_only_that_it_is_wrong(tools: Tools) -> None:
    """Somebody will find out."""
    tools.attribute(problems, "_short", lambda *_: msgspec.UNSET)
