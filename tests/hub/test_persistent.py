"""What modules keep when the hub is gone: failsafe limits that hold over all of them, come what may."""

from __future__ import annotations

from collections.abc import Callable

from tests.hub.hubhouse import BATTERY, START, House

from ores.link.clock import Clock, run
from ores.link.endpoint import Reply
from ores.link.memory import MemorySession
from ores.model import Preferences

LIMITED = Preferences(self_consumption=True, ev_mode="off", reserve_pct=10.0, export_max_w=3000.0)


class Meddling:
    """A session in which somebody may do something before a request is passed on."""

    def __init__(self, inner: MemorySession, before: Callable[[str, str], None]) -> None:
        self.inner = inner
        self.before = before

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        self.before(method, path)
        return await self.inner.request(method, path, body)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        return await self.inner.open_stream(on_frame, on_closed)

    async def close(self) -> None:
        await self.inner.close()


def produce_max_w(house: House, module_id: str = BATTERY) -> object:
    """What the module keeps; None where it keeps no such limit."""
    limits = house.modules[module_id].saved.failsafe.get("battery")
    return None if limits is None else limits.produce_max_w


def test_a_defect_met_while_settings_are_brought_is_said_and_tried_again() -> None:
    defects = [ZeroDivisionError("of ours"), ValueError("of ours too")]

    def fail(_method: str, path: str) -> None:
        if path == "/failsafe" and defects:
            raise defects.pop()

    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        house.wrap[BATTERY] = lambda inner: Meddling(inner, fail)
        async with house.hub() as running:
            await clock.sleep(1)
            told = {n.code: n.text for n in running.hub.notices.active() if n.module == BATTERY}
            assert "ValueError: of ours too" in told["settings_not_taken"]
            await clock.sleep(20)
            assert produce_max_w(house) == 3000.0
            assert running.hub.notices.active() == []

    run(main, start_utc=START)
