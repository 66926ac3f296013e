"""A whole home as one SunSpec device: it shows what flows, and what it is told reaches every member."""

from __future__ import annotations

import pytest
from tests.hub.sunspecdoor import IDS, door_of, model, walk, write
from tests.system.houses import batteries_w, generated, in_one_process, power_w

from ores.cli.demo.in_memory import MemoryDemo
from ores.link.clock import Clock

RATED_W = 16_200.0


def test_a_home_shows_what_flows_and_gives_no_more_than_it_may() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        hub = demo.running.hub
        with door_of(hub) as door:
            for _ in range(20):
                await clock.sleep(1)
                door._count()
            assert set(walk(door)) == IDS
            flow = hub.arbiter.flow(clock.now())
            assert flow.pv_w is not None
            assert flow.battery_w is not None
            assert model(door, 103).number("W") == pytest.approx(-flow.pv_w - flow.battery_w, abs=2)
            assert model(door, 213).number("W") == pytest.approx(power_w(demo.home, "grid"), abs=150)
            assert model(door, 160).whole("N") == 2
            assert model(door, 120).number("WRtg") == RATED_W
            charging = model(door, 124).symbol("ChaSt") == "CHARGING"
            assert charging == (batteries_w(demo.home) > 0)
            write(door, 704, WMaxLimPct=500, WMaxLimPctEna=1)
            held = [one.proposal for one in hub.proposals.held() if one.proposal.source == "sunspec"]
            assert len(held) == 10  # eight small inverters, a hybrid, a battery
            limits_w = [one.bounds.produce_max_w for one in held if one.bounds]
            assert sum(float(one) for one in limits_w if one) == pytest.approx(0.05 * RATED_W)
            await clock.sleep(30)
            assert (model(door, 701).number("W") or 0.0) <= 0.05 * RATED_W + 10
            write(door, 704, WMaxLimPctEna=0)
            await clock.sleep(60)
            assert (model(door, 701).number("W") or 0.0) > 0.05 * RATED_W + 100

    in_one_process(generated(start_hour=12.0), story)
