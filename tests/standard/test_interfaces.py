"""The OpenAPI and AsyncAPI documents: every reference leads somewhere, every refusal is a problem."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from tools import schemas

from ores.hub.api import access
from ores.hub.api.app import ROUTES
from ores.hub.api.drafts import DRAFT_PATHS
from ores.hub.callers import RANKS_OF, ROLES
from ores.link.desk import PATHS as PAIRING_PATHS

OPENAPI = ["openapi-module.yaml", "openapi-hub.yaml", "openapi-cloud.yaml"]
DOCUMENTS = [*OPENAPI, "asyncapi.yaml"]
METHODS = {"get", "put", "post", "delete", "patch"}
ERRORS = {row["code"]: row for row in yaml.safe_load((schemas.STANDARD / "registry/errors.yaml").read_text())}


@functools.cache
def load(name: str) -> Any:
    text = (schemas.SCHEMAS / name).read_text()
    return yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)


def followed(reference: str, home: str) -> Any:
    file, _, pointer = reference.partition("#")
    node = load(file or home)
    for step in pointer.strip("/").split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


OPERATIONS = [(name, *each) for name in OPENAPI for each in operations(load(name))]
NAMES = [f"{name} {operation}" for name, operation, _ in OPERATIONS]


@pytest.mark.parametrize("name", OPENAPI)
def test_the_document_is_openapi_3_1(name: str) -> None:
    path = schemas.SCHEMAS / name
    errors = OpenAPIV31SpecValidator(load(name), base_uri=path.as_uri()).iter_errors()
    assert not [error.message for error in errors]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere(name: str) -> None:
    found = set(references(load(name)))
    assert any(".json#/$defs/" in reference for reference in found)
    for reference in found:
        assert followed(reference, name), reference


@pytest.mark.parametrize("name", OPENAPI)
def test_operation_ids_are_unique(name: str) -> None:
    ids = [operation["operationId"] for _, operation in operations(load(name))]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("name", "what", "operation"), OPERATIONS, ids=NAMES)
def test_every_operation_answers_refusals_with_a_problem(name: str, what: str, operation: Any) -> None:
    response = operation["responses"]["default"]
    response = followed(response["$ref"], name) if "$ref" in response else response
    assert response["content"]["application/problem+json"]["schema"]["$ref"] == "problem.json#/$defs/Problem"


@pytest.mark.parametrize(("name", "what", "operation"), OPERATIONS, ids=NAMES)
def test_every_error_of_an_operation_is_registered_with_a_status(
    name: str, what: str, operation: Any
) -> None:
    for code in operation.get("x-errors", []):
        assert ERRORS[code]["status"] is not None, code


@pytest.mark.parametrize(("name", "what", "operation"), OPERATIONS, ids=NAMES)
def test_whoever_takes_a_body_can_find_it_invalid(name: str, what: str, operation: Any) -> None:
    takes_a_command = "requestBody" in operation
    assert not takes_a_command or "invalid_message" in operation["x-errors"]


@pytest.mark.parametrize(("name", "what", "operation"), OPERATIONS, ids=NAMES)
def test_what_is_sent_to_a_peer_forbids_unknown_fields(name: str, what: str, operation: Any) -> None:
    if "requestBody" in operation:
        reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert followed(reference, name)["additionalProperties"] is False


def test_the_streams_are_asyncapi_3() -> None:
    document = load("asyncapi.yaml")
    assert document["asyncapi"].startswith("3.")
    assert {"title", "version"} <= set(document["info"])
    for server in document["servers"].values():
        assert {"host", "protocol"} <= set(server)
    used = set()
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/"), (
                "an operation's messages are its channel's"
            )
            used.add(message["$ref"])
    offered = {
        f"#/channels/{channel}/messages/{message}"
        for channel, item in document["channels"].items()
        for message in item["messages"]
    }
    assert used == offered
    for message in document["components"]["messages"].values():
        assert message["payload"]["schemaFormat"].startswith("application/schema+json")


def deepest(schema: dict[str, Any], home: str) -> int:
    """How deep a message of this schema can nest, counting objects and lists."""
    schema, home = schemas.resolved(schema, home)
    inner = [*schema.get("properties", {}).values()]
    inner += [part for key in ("items", "additionalProperties") if isinstance(part := schema.get(key), dict)]
    here = 1 if schema.get("type") in ("object", "array") else 0
    return here + max((deepest(each, home) for each in inner), default=0)


@pytest.mark.parametrize(
    "name",
    ["ToModule", "Lease", "Failsafe", "Policy", "Settings", "Request", "PairingStart", "PairingConfirm"],
)
def test_what_goes_to_a_module_nests_at_most_six_deep(name: str) -> None:
    home = schemas.homes()[name]
    assert deepest(schemas.files()[home]["$defs"][name], home) <= 6


def test_the_depth_of_a_state_is_counted_right() -> None:
    home = schemas.homes()["FromModule"]
    # frame, state, elements, element, ac_measure, terminals, conductor
    assert deepest(schemas.files()[home]["$defs"]["FromModule"], home) == 7


def documented(name: str) -> set[tuple[str, str]]:
    return {(what.split()[0], what.split()[1]) for document, what, _ in OPERATIONS if document == name}


def test_the_hub_serves_what_its_document_says_and_no_more() -> None:
    served = {(method, path) for method, path, _ in (*ROUTES, *DRAFT_PATHS)}
    assert served == documented("openapi-hub.yaml")


def test_only_the_draft_s_paths_lie_at_the_root() -> None:
    paths = load("openapi-hub.yaml")["paths"]
    assert {path for path, item in paths.items() if "servers" in item} == {path for _, path, _ in DRAFT_PATHS}


def test_the_document_says_who_may_do_what_as_the_hub_does() -> None:
    said = {
        (what.split()[0], what.split()[1]): frozenset(operation.get("x-roles", ()))
        for document, what, operation in OPERATIONS
        if document == "openapi-hub.yaml"
    }
    assert said == {**access.MAY, **dict.fromkeys(access.OPEN, frozenset())}


CHAPTER_6 = (schemas.STANDARD / "spec/06-hub-api.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading that has this text."""
    lines = CHAPTER_6[CHAPTER_6.index(heading) :].splitlines()
    table = [line for line in lines if line.startswith("|")]
    first = lines.index(table[0])
    height = next(at for at, line in enumerate(lines[first:]) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first : first + height]]


def test_the_chapter_says_who_may_do_what_as_the_hub_does() -> None:
    head, _, *rows = rows_of("## 6.2")
    assert head[2:] == list(ROLES)
    said = {
        (method, re.findall("`(.+?)`", resource)[0]): {
            role for role, may in zip(ROLES, cells, strict=True) if may
        }
        for resource, methods, *cells in rows
        for method in methods.split(", ")
    }
    at_root = {(method, path) for method, path, _ in DRAFT_PATHS}
    served = {key: set(roles) for key, roles in access.MAY.items() if key not in at_root}
    assert said == {**served, **{key: set() for key in access.OPEN}}


def test_the_chapter_says_who_may_propose_with_which_rank_as_the_hub_does() -> None:
    rows = rows_of("Ranks, strongest first")[2:]
    ranks = schemas.files()["hub"]["$defs"]["Rank"]["enum"]
    assert [row[0].strip("`") for row in rows] == ranks
    said = {(role, row[0].strip("`")) for row in rows for role in ROLES if re.search(rf"\b{role}\b", row[2])}
    assert said == {(role, rank) for role, ranks in RANKS_OF.items() for rank in ranks}


def test_the_chapter_names_the_paths_of_the_draft() -> None:
    said = {
        (method, path.strip("`"))
        for path, methods, _ in rows_of("## 6.13")[2:]
        for method in methods.split(", ")
    }
    assert said == {(method, path) for method, path, _ in DRAFT_PATHS}


def test_the_link_serves_the_pairing_that_the_document_says() -> None:
    pairing = {each for each in documented("openapi-module.yaml") if each[1].startswith("/pairing")}
    assert {(method, path) for path, methods in PAIRING_PATHS.items() for method in methods} == pairing
