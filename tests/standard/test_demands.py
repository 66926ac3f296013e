"""`conformance/v1.0.yaml`: what the release demands, and nothing that no reference device can do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import yaml
from tools import demands, policy, schemas

from ores.link.clock import VirtualClock
from ores.sim.home import KINDS, Home
from ores.sim.physics.config import HouseConfig
from ores.sim.sources.household import Household

FILES = policy.on_disk(schemas.STANDARD)
FROZEN: dict[str, Any] = yaml.safe_load(FILES[demands.PATH])
TABLE: dict[str, Any] = yaml.safe_load(FILES["registry/requirements.yaml"])
PROFILES = yaml.safe_load(FILES["registry/profiles.yaml"])
CAPABILITIES = yaml.safe_load(FILES["registry/capabilities.yaml"])


def listed(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        node = list(node.values())
    for one in node:
        if isinstance(one, str):
            yield one
        else:
            yield from listed(one)


def reference_elements() -> list[tuple[str, set[str]]]:
    """Kind and capabilities of every element of every simulated device."""
    config = HouseConfig()
    clock = VirtualClock(datetime(2025, 6, 1, tzinfo=UTC))
    home = Home(config, Household(config, 1), clock, only=list(KINDS))
    return [
        (element.kind, set(msgspec.to_builtins(element.capabilities)))
        for device in home.devices.values()
        for element in device.elements
    ]


ELEMENTS = reference_elements()
DECLARED = set().union(*(able for _, able in ELEMENTS))


def has_a_reference(profile: dict[str, Any]) -> bool:
    return all(
        any(kind == its_kind and set(core) <= able for its_kind, able in ELEMENTS)
        for kind, core in profile["core"].items()
    )


def test_the_file_is_what_the_standard_makes_until_it_is_frozen() -> None:
    made = demands.write(FILES)
    assert made in (None, FILES[demands.PATH]), "run `make generate` and commit"
    assert (made is None) == (FROZEN["status"] == "frozen")


def test_a_frozen_file_is_never_written() -> None:
    frozen = FILES[demands.PATH].replace("status: draft", "status: frozen")
    assert demands.write({**FILES, demands.PATH: frozen}) is None


def test_it_lists_every_requirement_but_those_of_candidates() -> None:
    assert set(listed(FROZEN["requirements"])) <= {row["id"] for row in TABLE["requirements"]}
    binding = {"module", "hub", *(row["name"] for row in PROFILES if not row.get("candidate"))}
    wanted = {row["id"] for row in demands.released(TABLE) if binding & set(row["profiles"])}
    assert set(listed(FROZEN["requirements"])) == wanted
    assert not {row["id"] for row in TABLE["requirements"] if row["chapter"] in {7, 8, 9}} & wanted


def test_each_requirement_has_the_digest_of_its_sentence() -> None:
    assert set(FROZEN["sentences"]) == {row["id"] for row in demands.released(TABLE)}


def test_a_sentence_that_changes_shows_and_its_reason_does_not() -> None:
    path = "spec/04-module-protocol.md"
    before = demands.demands(FILES)["sentences"]
    for old, new, changed in (
        ("at most 1 s later", "at most 9 s later", {"SAFE-001"}),
        ("so that a dead hub commands nothing", "so that a dead hub rests", set()),
    ):
        assert old in FILES[path]
        after = demands.demands({**FILES, path: FILES[path].replace(old, new)})["sentences"]
        assert {name for name in before if before[name] != after[name]} == changed


def test_a_field_that_changes_shows_and_its_description_does_not() -> None:
    path = "schema/v1/lease.json"
    before = demands.demands(FILES)["schemas"]["lease"]
    for old, new, changed in (
        ('"maximum": 900', '"maximum": 901', {"Lease"}),
        ("Life from its receipt.", "How long it lives.", set()),
    ):
        assert old in FILES[path]
        after = demands.demands({**FILES, path: FILES[path].replace(old, new)})["schemas"]["lease"]
        assert {name for name in before if before[name] != after[name]} == changed


def test_a_field_called_description_is_a_field() -> None:
    schema = {
        "description": "words",
        "properties": {"description": {"type": "string", "description": "words"}},
    }
    assert demands.normative(schema) == {"properties": {"description": {"type": "string"}}}


@pytest.mark.parametrize("profile", PROFILES, ids=[row["name"] for row in PROFILES])
def test_a_profile_is_demanded_only_if_a_reference_device_has_its_core(profile: dict[str, Any]) -> None:
    assert (profile["name"] in FROZEN["profiles"]) == (not profile.get("candidate"))
    assert has_a_reference(profile) == (not profile.get("candidate")), (
        "no simulated device has its core: mark it `candidate: true`; or one has: take the mark away"
    )


@pytest.mark.parametrize("row", CAPABILITIES, ids=[row["name"] for row in CAPABILITIES])
def test_a_capability_is_demanded_only_if_a_reference_device_declares_it(row: dict[str, Any]) -> None:
    if row.get("candidate") in TABLE["candidate"]:
        return  # it waits for its chapter, and not for a device
    assert (row["name"] in DECLARED) == (not row.get("candidate")), (
        "no simulated device declares it: mark it `candidate: true`; or one does: take the mark away"
    )


def test_no_profile_demands_a_candidate() -> None:
    candidates = {row["name"] for row in CAPABILITIES if row.get("candidate")}
    for name, profile in FROZEN["profiles"].items():
        assert not candidates & set(listed(profile["core"])), name
