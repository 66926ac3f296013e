"""The control cycle on a small house."""

from __future__ import annotations

from tests.hub.hubhouse import BATTERY, METER, START, House

from ores.link.clock import Clock, run


def test_the_battery_follows_the_house() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(10)
            assert abs(house.world.grid_w) < 20
            house.world.load_w = 2500
            await clock.sleep(4)
            assert abs(house.world.grid_w) < 20
            live = running.hub.live()
            assert live.modules[BATTERY].status == live.modules[METER].status == "online"
            assert live.modules[BATTERY].why
            assert running.hub.summary().leases_applied > 3

    run(main, start_utc=START)
