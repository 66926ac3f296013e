"""A danger at a module is told to people until somebody has been there."""

from __future__ import annotations

import asyncio

from ores.hub.leases import LeaseCounts
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.link.clock import Clock, run
from ores.model import AcMeasure, ElementState, Hazard, HazardInput, State


class Nobody:
    def on_state(self, link: object) -> None: ...
    def on_result(self, link: object, result: object) -> None: ...
    def on_described(self, link: object) -> None: ...


def state(uptime_ms: int, hazards: dict[str, HazardInput]) -> State:
    element = ElementState(ac_measure=AcMeasure(power_w=0.0), hazard=Hazard(hazards=hazards))
    return State(
        boot_id="00000001", uptime_ms=uptime_ms, control_source="protection", elements={"battery": element}
    )


def test_a_danger_is_a_notice_until_the_module_says_that_it_was_reset() -> None:
    async def main(clock: Clock) -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        notices = Notices(clock)
        link = ModuleLink(
            "m" * 26,
            never,
            clock,
            notices,
            Nobody(),
            epoch=1,
            counts=LeaseCounts(),  # type: ignore[arg-type]
        )
        link._element_ids = frozenset({"battery"})

        def told() -> list[tuple[str, str]]:
            return [(notice.code, notice.level) for notice in notices.active()]

        link._take_state(state(0, {"smoke": HazardInput(active=True, latched=True, for_s=0.0)}))
        assert told() == [("hazard", "error")]
        assert "battery: smoke" in notices.active()[0].text
        link._take_state(state(1000, {"smoke": HazardInput(active=False, latched=True)}))
        assert told() == [("hazard", "error")]
        link._take_state(state(2000, {}))
        assert told() == []

    run(main)
