"""A module of the SDK answers each operation of openapi-module.yaml with the message that it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from tools import schemas

from ores.link.clock import VirtualClock
from ores.link.endpoint import Peer
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Capabilities,
    Element,
    ElementFlexibility,
    ElementState,
    SetpointCapability,
    StorageCapability,
    StoreFlexibility,
)
from ores.module.description import About
from ores.module.module import Module

DOCUMENT = yaml.safe_load((schemas.SCHEMAS / "openapi-module.yaml").read_text())
HUB = Peer(id="a" * 26, role="controller")
METHODS = ("get", "put", "post", "delete")
PATHS = [path for path in DOCUMENT["paths"] if not path.startswith(("/pairing", "/stream"))]
OPERATIONS = [(path, method) for path in PATHS for method in METHODS if method in DOCUMENT["paths"][path]]


class Battery:
    elements: Sequence[Element] = (
        Element(
            id="battery",
            kind="battery",
            bus="grid",
            capabilities=Capabilities(
                ac_measure=AcMeasureCapability(),
                setpoint=SetpointCapability(consume_max_w=3000, produce_max_w=3000, response_s=1),
                storage=StorageCapability(capacity_wh=9600, reserve_setting=True),
            ),
        ),
    )

    def read(self, element: str) -> ElementState:
        return ElementState(ac_measure=AcMeasure(power_w=0.0))

    def apply(self, element: str, command: object) -> None:
        return None

    def flexibility(self, element: str) -> ElementFlexibility:
        return ElementFlexibility(
            store=StoreFlexibility(holds="electricity", capacity_wh=9600, energy_wh=None)
        )


@pytest.fixture
def module() -> Module:
    about = About(name="Battery", maker="Example", model="B1", serial="1")
    made = Module(Battery(), about, module_id="b" * 26, clock=VirtualClock(datetime(2025, 6, 1, tzinfo=UTC)))
    made.start()
    return made


def message_of(part: dict[str, Any]) -> str:
    """The name of the message that a request or a response carries; the first where a role decides."""
    while "$ref" in part:
        part = DOCUMENT["components"]["responses"][part["$ref"].rsplit("/", 1)[1]]
    schema = part["content"]["application/json"]["schema"]
    return str(schema.get("anyOf", [schema])[0]["$ref"].rsplit("/", 1)[1])


def body_for(operation: dict[str, Any]) -> bytes:
    bodies: dict[str, Any] = {
        "Lease": {"epoch": 1, "seq": 1, "boot_id": "00000000", "uptime_ms": 0, "ttl_s": 1, "elements": {}},
        "Failsafe": {"elements": {}},
        "Policy": {"kind": "idle"},
        "Settings": {"elements": {}},
        "Request": {"element": "battery", "request": "open"},
    }
    request = operation.get("requestBody")
    return json.dumps(bodies[message_of(request)]).encode() if request else b""


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_the_module_answers_with_the_message_that_the_document_names(
    path: str, method: str, module: Module
) -> None:
    operation = DOCUMENT["paths"][path][method]
    given = message_of(operation["responses"]["200"])
    reply = module.request(HUB, method.upper(), path, body_for(operation))
    if reply.status != 200:  # no tie here that could be opened
        assert path == "/requests"
        given = "Problem"
        assert json.loads(reply.body)["code"] in operation["x-errors"]
    assert schemas.accepts(given, reply.body), reply.body


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_and_unknown_fields_are_answered_by_a_problem(path: str, module: Module) -> None:
    for method in METHODS:
        data = b'{"unknown": 1}' if method in DOCUMENT["paths"][path] else b""
        if method == "get" and data:
            continue
        reply = module.request(HUB, method.upper(), path, data)
        assert schemas.accepts("Problem", reply.body)
        assert json.loads(reply.body)["code"] == ("invalid_message" if data else "method_not_allowed")


def test_a_path_that_the_document_does_not_know_is_not_found(module: Module) -> None:
    reply = module.request(HUB, "GET", "/teapot", b"")
    assert json.loads(reply.body)["code"] == "not_found"
    assert schemas.accepts("Problem", reply.body)
