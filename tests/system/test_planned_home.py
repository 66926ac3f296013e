"""Issue 5, point 6: a simulated home that plans is charged in cheap hours and fed from store in dear ones."""

from __future__ import annotations

import json
from pathlib import Path

from tests.system.houses import batteries_w, generated, in_one_process

from ores.cli.demo.in_memory import MemoryDemo
from ores.link.clock import Clock

QUARTER_S = 900.0


def test_batteries_are_charged_in_cheap_hours_and_feed_the_house_in_dear_ones(tmp_path: Path) -> None:
    cheap = {"from": "23:00", "to": "02:00", "import": 0.1}
    dear = {"from": "02:00", "to": "23:00", "import": 0.5}
    one = {
        "id": "night",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "rates": [cheap, dear],
        "export": 0,
    }
    path = tmp_path / "tariffs.json"
    path.write_text(json.dumps({"tariffs": [one]}))

    async def story(clock: Clock, demo: MemoryDemo) -> None:
        hub = demo.running.hub  # it is one o'clock at night there
        powers_w: list[float] = []
        reasons: list[str] = []
        for _ in range(6):
            await clock.sleep(QUARTER_S)
            powers_w.append(batteries_w(demo.home))
            reasons += [held.proposal.reason for held in hub.proposals.held()]
        assert min(powers_w[:3]) > 5000
        assert max(powers_w[4:]) < -50
        assert abs(hub.live().flow.grid_w or 1e6) < 100
        assert any(one.startswith("charging now: 0.10 EUR per kWh until 02:00") for one in reasons)
        assert any(one.startswith("the house is fed from store: 0.50 EUR per kWh") for one in reasons)
        assert hub.summary().missed_cycles == 0
        assert hub.notices.active() == []

    in_one_process(generated(tariff=f"{path}:night"), story)
