"""What the house could do: derived, told, for how long it holds, and how often a module is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.hub.hubhouse import BATTERY, METER, START, Battery, House, World
from tools import schemas

from ores.hub.flexibility import AGAIN_S, LEAST_S, FlexibilityKeeper, of_module
from ores.hub.hub import Hub
from ores.hub.reading import InTurn
from ores.link.clock import Clock, run
from ores.link.endpoint import Reply, Session
from ores.link.errors import TimedOut
from ores.link.memory import MemorySession
from ores.model import (
    Description,
    ElementFlexibility,
    ElementState,
    Flexibility,
    Job,
    JobFlexibility,
    PowerSlot,
    State,
    StoreFlexibility,
)
from ores.model import JobCapability as CanJob
from ores.module import element

MACHINE = "d" * 26


class Teller:
    """A session whose module tells what a test wants, and counts how often it is asked."""

    def __init__(self, inner: MemorySession, clock: Clock, elements: dict[str, Any], valid_s: float) -> None:
        self.inner = inner
        self.clock = clock
        self.elements = elements
        self.valid_s = valid_s
        self.asked_s: list[float] = []
        self.silent = False
        self.boot_id: str | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        if path != "/flexibility":
            return await self.inner.request(method, path, body)
        self.asked_s.append(self.clock.now())
        if self.silent:
            raise TimedOut("no answer")
        state = json.loads((await self.inner.request("GET", "/state")).body)
        said = {"uptime_ms": state["uptime_ms"], "valid_s": self.valid_s, "elements": self.elements}
        return Reply(200, json.dumps({"boot_id": self.boot_id or state["boot_id"], **said}).encode())

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        return await self.inner.open_stream(on_frame, on_closed)

    async def close(self) -> None:
        await self.inner.close()


PACK = {"store": {"holds": "electricity", "capacity_wh": 10_000, "energy_wh": 1, "levels": [
    {"energy_from_wh": 0, "energy_to_wh": 10_000, "leakage_w": 4}]}}  # fmt: skip


def in_a_house(
    test: Callable[[Clock, House, Hub, Teller], Any], elements: dict[str, Any], valid_s: float = 600.0
) -> None:
    """Run a test in a house whose battery tells."""

    async def main(clock: Clock) -> None:
        house, tellers = House(clock), []

        def wrap(session: MemorySession) -> Session:
            tellers.append(Teller(session, clock, elements, valid_s))
            return tellers[-1]

        house.wrap[BATTERY] = wrap
        async with house.hub() as running:
            await clock.sleep(5)
            await test(clock, house, running.hub, tellers[-1])

    run(main, start_utc=START)


def shown(hub: Hub, module: str = BATTERY) -> dict[str, Any]:
    data = msgspec.json.encode(hub.flexibility())
    assert schemas.accepts("HouseFlexibility", data), data
    modules = json.loads(data)["modules"]
    return modules[module]["elements"] if module in modules else {}


def test_a_module_that_tells_nothing_is_derived_and_asked_once() -> None:
    async def main(clock: Clock) -> None:
        house, asked = House(clock), []

        class Counting(Teller):
            async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
                asked.append(path)
                return await self.inner.request(method, path, body)

        house.wrap[BATTERY] = lambda session: Counting(session, clock, {}, 1.0)
        async with house.hub() as running:
            await clock.sleep(300)
            assert asked.count("/flexibility") == 1
            found = shown(running.hub)["battery"]
            assert found["source"] == "derived"
            assert found["flexibility"]["store"]["energy_wh"] == 5000
            assert shown(running.hub, METER) == {}

    run(main, start_utc=START)


def test_what_is_told_is_used_with_the_newest_state() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        found = shown(hub)["battery"]
        assert found["source"] == "told"
        assert found["flexibility"]["store"]["levels"][0]["leakage_w"] == 4
        assert found["flexibility"]["store"]["energy_wh"] == 5000
        assert "power" not in found["flexibility"]
        house.battery.soc_pct = 40.0
        await clock.sleep(2)
        assert shown(hub)["battery"]["flexibility"]["store"]["energy_wh"] == 4000

    in_a_house(test, {"battery": PACK, "nobody": PACK})


def test_it_is_asked_again_before_it_ends() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        await clock.sleep(1000)
        assert len(teller.asked_s) == 4
        assert all(then - now == pytest.approx(300, abs=1) for now, then in pairwise(teller.asked_s))

    in_a_house(test, {"battery": PACK})


def test_a_module_that_falls_silent_is_believed_to_the_end_and_no_longer() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        teller.silent = True
        await clock.sleep(590)
        assert shown(hub)["battery"]["source"] == "told"
        await clock.sleep(15)
        assert shown(hub)["battery"]["source"] == "derived"
        teller.silent = False
        await clock.sleep(AGAIN_S + 1)
        assert shown(hub)["battery"]["source"] == "told"

    in_a_house(test, {"battery": PACK})


def test_the_word_of_another_boot_is_not_used() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        teller.boot_id = "00000000"
        await clock.sleep(320)
        assert shown(hub)["battery"]["source"] == "derived"

    in_a_house(test, {"battery": PACK})


def test_an_answer_that_makes_no_sense_is_no_answer() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        assert shown(hub)["battery"]["source"] == "derived"
        await clock.sleep(1000)
        assert len(teller.asked_s) == 1

    in_a_house(test, {"battery": {"store": {"holds": 7}}})


def test_short_validity_makes_nobody_ask_more_than_every_ten_seconds() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        await clock.sleep(100)
        gaps = [then - now for now, then in pairwise(teller.asked_s)]
        assert min(gaps) >= LEAST_S
        assert len(gaps) >= 9

    in_a_house(test, {"battery": PACK}, valid_s=1.0)


def test_a_link_that_breaks_all_the_time_makes_nobody_ask_more_often() -> None:
    async def main(clock: Clock) -> None:
        house, tellers = House(clock), []

        def wrap(session: MemorySession) -> Session:
            tellers.append(Teller(session, clock, {"battery": PACK}, 600.0))
            return tellers[-1]

        house.wrap[BATTERY] = wrap
        async with house.hub() as running:
            for _ in range(12):
                await clock.sleep(5)
                house.sessions[BATTERY][-1].cut("the radio is bad")
                running.hub.federation.links[BATTERY].try_now()
            asked_s = [at_s for teller in tellers for at_s in teller.asked_s]
            assert len(tellers) > 5
            assert min(b - a for a, b in pairwise(asked_s)) >= LEAST_S

    run(main, start_utc=START)


def test_a_question_that_waited_to_be_sent_puts_the_next_one_off() -> None:
    async def main(clock: Clock) -> None:
        sent_s: list[float] = []

        class Queued(MemorySession):
            def __init__(self) -> None:
                """Nobody is behind it."""

            async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
                await clock.sleep(0.0 if sent_s else 3.0)
                sent_s.append(clock.now())
                said = {"boot_id": "f" * 16, "uptime_ms": 1, "valid_s": 1, "elements": {}}
                return Reply(200, json.dumps(said).encode())

        task = asyncio.create_task(FlexibilityKeeper(clock).keep(Queued()))
        await clock.sleep(40)
        task.cancel()
        assert len(sent_s) > 2
        assert min(b - a for a, b in pairwise(sent_s)) >= LEAST_S

    run(main, start_utc=START)


def test_of_a_module_that_is_silent_nothing_is_known() -> None:
    async def test(clock: Clock, house: House, hub: Hub, teller: Teller) -> None:
        house.kill(BATTERY)
        await clock.sleep(10)
        assert shown(hub) == {}

    in_a_house(test, {"battery": PACK})


class Machine:
    """An appliance whose phase a test chooses; its course takes twice what its state makes of it."""

    elements = (element("machine", "load", job=CanJob()),)

    def __init__(self) -> None:
        self.phase = "waiting"

    def read(self, element: str) -> ElementState:
        return ElementState(job=Job(phase=self.phase, energy_wh=500, duration_s=3600, latest_end_in_s=7200))

    def flexibility(self, element: str) -> ElementFlexibility:
        course = [PowerSlot(duration_s=3600, power_w=1000)]
        return ElementFlexibility(job=JobFlexibility(phase=self.phase, profile=course))


def test_another_phase_is_a_reason_to_ask_again_within_ten_seconds() -> None:
    async def main(clock: Clock) -> None:
        house, machine = House(clock), Machine()
        house.add(MACHINE, machine, "machine")  # type: ignore[arg-type]

        def job(hub: Hub) -> tuple[str, float]:
            found = shown(hub, MACHINE)["machine"]["flexibility"]["job"]
            return found["phase"], found["profile"][0]["power_w"]

        async with house.hub() as running:
            await clock.sleep(15)
            assert job(running.hub) == ("waiting", 1000)
            for phase, at_once_w in (("running", 1000), ("paused", 500)):
                machine.phase = phase
                house.modules[MACHINE].changed()
                await clock.sleep(0.5)
                # the second news comes too soon to ask again, and the course for another phase is over
                assert job(running.hub) == (phase, at_once_w)
            await clock.sleep(10)
            assert job(running.hub) == ("paused", 1000)

    run(main, start_utc=START)


def test_the_page_of_the_hub_serves_it() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, port=0)
        async with house.hub() as running, aiohttp.ClientSession(running.url) as http:
            await clock.sleep(5)
            with clock.hold():
                async with http.get("/ores/v1/flexibility") as response:
                    assert response.status == 200
                    assert schemas.accepts("HouseFlexibility", await response.read())

    run(main, start_utc=START)


NOBODY = {
    "ores": "1.0", "id": "a" * 26, "name": "a", "maker": "a", "model": "a", "serial": "a",
    "firmware_version": "1", "profiles": [], "report_period_s": 1, "policies": ["idle"], "element_count": 1,
}  # fmt: skip


# ---- counting from now ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before_s", "age_s", "left_s"), [(0.0, 0.0, 600), (60.0, 5.0, 535), (-2.0, 5.0, 597)]
)
def test_told_and_derived_are_counted_from_now(before_s: float, age_s: float, left_s: float) -> None:
    """Told `before_s` before the state, which is `age_s` old."""
    slots = [{"duration_s": 600, "power_w": -5}]
    elements = {"battery": {"store": {**PACK["store"], "usage": slots}}}
    told = msgspec.convert(
        {"boot_id": "00000001", "uptime_ms": 0, "valid_s": 60, "elements": elements}, Flexibility
    )
    battery = msgspec.to_builtins(list(Battery(World()).elements))
    description = msgspec.convert({**NOBODY, "elements": battery}, Description)
    state = State(boot_id="00000001", uptime_ms=0, control_source="policy", elements={})
    found = of_module(description, state, age_s, (told, before_s))["battery"]
    assert isinstance(found.flexibility.store, StoreFlexibility)
    usage = found.flexibility.store.usage
    assert isinstance(usage, list)
    assert usage[0].duration_s == left_s


def test_a_boot_or_an_end_makes_a_word_void() -> None:
    async def main(clock: Clock) -> None:
        keeper = FlexibilityKeeper(clock)
        state = State(boot_id="00000001", uptime_ms=9000, control_source="policy", elements={})
        assert keeper.told(state, 0.0) is None

    run(main, start_utc=START)


def test_requests_to_a_module_go_one_after_the_other() -> None:
    async def main(clock: Clock) -> None:
        class Counting:
            now = most = 0

            async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
                self.now += 1
                self.most = max(self.most, self.now)
                await clock.sleep(1)
                self.now -= 1
                return Reply(200, b"")

        inner = Counting()
        session = InTurn(inner)  # type: ignore[arg-type]
        await asyncio.gather(*(session.request("GET", "/state") for _ in range(3)))
        assert inner.most == 1

    run(main, start_utc=START)
