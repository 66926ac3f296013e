"""What people are told of modules that fall silent, or report faults."""

from __future__ import annotations

import pytest
from tests.hub.hubhouse import BATTERY, METER, START, House

from ores.hub.alerts import Alerts
from ores.hub.notices import Notices
from ores.link.clock import Clock, run
from ores.model import ElementState, Fault, State


class Link:
    """As much of a link as an alert looks at."""

    def __init__(self) -> None:
        self.id = BATTERY
        self.connected = True
        self.state: State | None = None
        self.age = 0.5

    def age_s(self, now_s: float) -> float | None:
        return self.age

    def status(self, now_s: float) -> str:
        return "online" if self.age <= 3.0 else "stale"


class Federation:
    def __init__(self, link: Link) -> None:
        self.links = {link.id: link}


def state(**fault: object) -> State:
    elements = {"battery": ElementState(fault=Fault(**fault))}  # type: ignore[arg-type]
    return State(boot_id="0" * 8, uptime_ms=1, control_source="policy", policy="idle", elements=elements)


def with_alerts(test: object) -> None:
    async def main(clock: Clock) -> None:
        link, notices = Link(), Notices(clock)
        alerts = Alerts(Federation(link), notices)  # type: ignore[arg-type]
        test(link, notices, lambda: alerts.look(clock.now()))  # type: ignore[operator]

    run(main, start_utc=START)


def test_a_connected_module_that_says_nothing_is_told_of_until_it_speaks() -> None:
    def test(link: Link, notices: Notices, look: object) -> None:
        look()
        assert notices.active() == []
        link.age = 12.0
        look()
        [notice] = notices.active()
        assert (notice.code, notice.module) == ("module_stale", BATTERY)
        assert "12 s" in notice.text
        link.age = 0.2
        look()
        assert notices.active() == []
        assert notices.recent()[0].id == notice.id

    with_alerts(test)


def test_why_a_module_is_gone_is_told_by_its_link_alone() -> None:
    def test(link: Link, notices: Notices, look: object) -> None:
        link.age, link.connected = 12.0, False
        look()
        assert notices.active() == []

    with_alerts(test)


@pytest.mark.parametrize(("latched", "level"), [(False, "warning"), (True, "error")])
def test_a_fault_is_told_with_its_codes_until_it_is_gone(latched: bool, level: str) -> None:
    def test(link: Link, notices: Notices, look: object) -> None:
        link.state = state(codes=["fan_stuck", "too_hot"], latched=latched)
        look()
        [notice] = notices.active()
        assert (notice.code, notice.level) == ("fault", level)
        assert "battery: fan_stuck, too_hot" in notice.text
        link.state = state(codes=[])
        look()
        assert notices.active() == []

    with_alerts(test)


def test_a_hub_tells_of_a_module_that_falls_silent_within_fifteen_seconds() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(5)
            house.modules[METER].stop()  # its stream stays open, and nothing comes from it
            await clock.sleep(15)
            assert [notice.code for notice in running.hub.notices.active()] == ["module_stale"]

    run(main, start_utc=START)
