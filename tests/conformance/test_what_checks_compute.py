"""What the checks count and compare, by the examples of the chapters."""

from __future__ import annotations

from ores.conformance.checks.description import MAKERS_WORD, largest_lease_bytes
from ores.conformance.checks.extensions import MAKERS_KEY, foreign
from ores.conformance.standard import Standard


def _panel(circuits: int, **more: object) -> list[dict[str, object]]:
    return [
        {"id": f"circuit_{number}", "capabilities": {"switch": {}, **more}}
        for number in range(1, circuits + 1)
    ]


def test_the_panel_of_the_chapter_has_the_lease_of_the_chapter() -> None:
    assert largest_lease_bytes(_panel(32)) == 1501
    assert largest_lease_bytes(_panel(32, limit={"current": True})) == 2717


def test_93_circuits_fit_a_lease_and_94_do_not() -> None:
    assert largest_lease_bytes(_panel(93)) == 4063
    assert largest_lease_bytes(_panel(94)) == 4105


def test_a_field_that_the_schema_does_not_name_is_found_at_its_path() -> None:
    state = {"boot_id": "9f86d081", "elements": {"battery": {"storage": {"soc_pct": 5, "cycles": 8}}}}
    assert list(foreign(Standard(), ("state", "State"), state)) == [
        ("$.elements.battery.storage", "cycles", 8)
    ]


def test_ids_of_elements_are_no_fields_that_the_schema_does_not_name() -> None:
    state = {"elements": {"anything": {"mode": {"mode": "x"}, "x-example.com": {"inside": {"a": 1}}}}}
    assert list(foreign(Standard(), ("state", "State"), state)) == [
        ("$.elements.anything", "x-example.com", {"inside": {"a": 1}})
    ]


def test_a_makers_name_is_a_domain_in_lower_case() -> None:
    assert MAKERS_KEY.fullmatch("x-example.com")
    assert not MAKERS_KEY.fullmatch("x-Example.com")
    assert not MAKERS_KEY.fullmatch("x-example")
    assert MAKERS_WORD.fullmatch("x-energy.example.com/comfort")
    assert not MAKERS_WORD.fullmatch("x-example.com")
