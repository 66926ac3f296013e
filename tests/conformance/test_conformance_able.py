"""The elements with which a hub's derived flexibility is judged, and how it is compared."""

from __future__ import annotations

import pytest

from ores.conformance.hubs.able import KNOWN, VAGUE, differs
from ores.conformance.hubs.parts import House
from ores.conformance.standard import Standard

STANDARD = Standard()


@pytest.mark.parametrize("name", [*KNOWN, *VAGUE])
def test_what_is_played_and_what_is_expected_keeps_the_schemas(name: str) -> None:
    part, wanted = {**KNOWN, **VAGUE}[name]
    assert STANDARD.wrong(part.describe(), "description", "Element") is None
    assert STANDARD.wrong(part.state(House()), "state", "ElementState") is None
    assert STANDARD.wrong(wanted, "flexibility", "ElementFlexibility") is None


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": 1}, {}),
        ({}, {"a": None}),
        ({"a": 0}, {"a": None}),
        ({"a": None}, {"a": 0}),
        ({"a": True}, {"a": 1}),
        ({"a": 101}, {"a": 100}),
        ({"departure_in_s": 61}, {"departure_in_s": 60}),
        ({"departure_in_s": 50}, {"departure_in_s": 60}),
        ({"slots": []}, {"slots": [{"power_w": 1}]}),
    ],
)
def test_what_the_table_does_not_make_differs(found: object, wanted: object) -> None:
    assert differs(found, wanted)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": 100.05}, {"a": 100}),
        ({"departure_in_s": 58.9}, {"departure_in_s": 60}),
        ({"x-example.com": {}}, {}),
    ],
)
def test_what_rounds_waits_or_is_a_makers_own_does_not(found: object, wanted: object) -> None:
    assert not differs(found, wanted)


@pytest.mark.parametrize(
    ("path", "status", "schema"),
    [
        ("/modules/abc", "200", ("hub", "ModuleInfo")),
        ("/users?x=1", "200", ("app", "UserList")),
        ("/users", "204", None),
        ("/nowhere/at/all", "200", None),
    ],
)
def test_answers_of_a_hub_have_their_schema(path: str, status: str, schema: tuple[str, str] | None) -> None:
    assert STANDARD.answer_schema("GET", path, "hub", status) == schema
