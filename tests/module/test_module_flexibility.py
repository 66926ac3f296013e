"""What a maker's device tells of its flexibility: served to those who may read, and never nonsense."""

from __future__ import annotations

import json
from math import nan
from typing import Any

import pytest
from tests.module.conftest import HUB, OBSERVER, STRANGER, Battery, Bench
from tools import schemas

from ores.link.endpoint import Peer
from ores.link.errors import ConfigError
from ores.model import (
    ElementFlexibility,
    ElementState,
    FromModule,
    Job,
    JobCapability,
    JobFlexibility,
    LimitCapability,
    ModeCapability,
    ModeRange,
    Rating,
    SetpointCapability,
    StoreFlexibility,
    SwitchCapability,
)
from ores.module import Refused, element
from ores.module.description import check_elements
from ores.module.flexibility import VALID_S

STORE = ElementFlexibility(
    store=StoreFlexibility(holds="electricity", capacity_wh=10_000.0, energy_wh=5000.0)
)


class Telling(Battery):
    """A battery that tells what a test wants it to."""

    word: ElementFlexibility | None = STORE
    fail_tell: Exception | None = None

    def flexibility(self, element: str) -> ElementFlexibility | None:
        if self.fail_tell is not None:
            raise self.fail_tell
        return self.word


def told(bench: Bench, peer: Peer = HUB) -> dict[str, Any]:
    reply = bench.module.request(peer, "GET", "/flexibility", b"")
    assert schemas.accepts("Flexibility" if reply.status == 200 else "Problem", reply.body), reply.body
    found: dict[str, Any] = json.loads(reply.body)
    return found


def test_it_counts_from_the_uptime_that_it_names() -> None:
    bench = Bench(Telling())
    bench.clock.move(12.5)
    found = told(bench)
    assert (found["boot_id"], found["uptime_ms"], found["valid_s"]) == ("00000001", 12500, VALID_S)
    assert found["elements"]["battery"]["store"]["energy_wh"] == 5000


def test_an_observer_may_read_it_and_a_stranger_may_not() -> None:
    bench = Bench(Telling())
    assert told(bench, OBSERVER)["elements"]
    assert told(bench, STRANGER)["code"] == "forbidden"


def test_a_device_that_tells_nothing_has_no_such_resource() -> None:
    assert told(Bench(Battery()))["code"] == "not_found"


@pytest.mark.parametrize(
    "word",
    [
        None,
        ElementFlexibility(store=StoreFlexibility(holds="electricity", capacity_wh=1.0, energy_wh=nan)),
        ElementFlexibility(store=StoreFlexibility(holds="electricity", capacity_wh=-1.0, energy_wh=None)),
        ElementFlexibility(job=JobFlexibility(phase="waiting")),
    ],
    ids=["nothing", "not a number", "out of range", "no such capability"],
)
def test_what_makes_no_sense_is_left_to_the_hub(word: ElementFlexibility | None) -> None:
    device = Telling()
    device.word = word
    assert told(Bench(device))["elements"] == {}


def test_a_driver_that_fails_to_tell_hurts_nothing_else() -> None:
    device = Telling()
    device.fail_tell = RuntimeError("bus")
    bench = Bench(device)
    assert told(bench)["elements"] == {}
    assert bench.module.request(HUB, "GET", "/state", b"").status == 200


# ---- jobs ----------------------------------------------------------------------------------------------


class Washer:
    """Takes what it is asked for, or refuses."""

    def __init__(self) -> None:
        self.elements = [
            element("machine", "load", job=JobCapability(response_s=2.0)),
            element("plug", "load"),
        ]
        self.phase = "waiting"
        self.refusal: Refused | None = None

    def read(self, element: str) -> ElementState:
        return ElementState(job=Job(phase=self.phase)) if element == "machine" else ElementState()

    def request(self, element: str, request: str) -> Refused | None:
        if self.refusal is None:
            self.phase = "running"
        return self.refusal


def asked(bench: Bench, name: str = "machine", request: str = "start") -> dict[str, Any]:
    body = json.dumps({"element": name, "request": request}).encode()
    answer: dict[str, Any] = json.loads(bench.module.request(HUB, "POST", "/requests", body).body)
    return answer


def test_a_start_is_passed_on_and_its_phase_is_news_at_once() -> None:
    bench = Bench(Washer())
    bench.clock.move(0.5)
    assert asked(bench) == {"result": "accepted"}
    newest = bench.frames[-1]
    assert isinstance(newest, FromModule)
    assert newest.state.elements["machine"].job.phase == "running"
    assert newest.state.uptime_ms == 500


def test_the_interlock_is_the_devices() -> None:
    device = Washer()
    device.refusal = Refused("nobody armed it", "interlocked")
    assert asked(Bench(device))["code"] == "interlocked"


def test_only_a_job_can_be_started() -> None:
    assert asked(Bench(Washer()), "plug")["code"] == "unknown_request"
    assert asked(Bench(Washer()), request="open")["code"] == "unknown_request"


def test_a_job_that_cannot_be_read_is_unknown() -> None:
    device = Washer()
    device.read = lambda element: ElementState()  # type: ignore[method-assign]
    assert Bench(device).module.state().elements["machine"].job == Job(phase=None)


@pytest.mark.parametrize(
    "able",
    [
        {"limit": LimitCapability(consume=True), "rating": Rating(consume_max_w=9.0)},
        {"setpoint": SetpointCapability(consume_max_w=9.0, produce_max_w=0.0, response_s=1.0)},
        {"switch": SwitchCapability()},
        {"mode": ModeCapability(modes={"on": ModeRange()})},
    ],
    ids=["limit", "setpoint", "switch", "mode"],
)
def test_what_a_lease_can_stop_is_no_job(able: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="runs through"):
        check_elements([element("machine", "load", job=JobCapability(), **able)])
