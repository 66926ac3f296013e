"""The OpenAPI and AsyncAPI documents: every reference leads somewhere, every refusal is a problem."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator
from tools import schemas

from ores.hub.api.app import ROUTES
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
    assert {(method, path) for method, path, _ in ROUTES} == documented("openapi-hub.yaml")


def test_the_link_serves_the_pairing_that_the_document_says() -> None:
    pairing = {each for each in documented("openapi-module.yaml") if each[1].startswith("/pairing")}
    assert {(method, path) for path, methods in PAIRING_PATHS.items() for method in methods} == pairing
