"""A charge point that none of us wrote (npm `ocpp-ts`), worked by the adapter as a hub works it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from tests.adapters.test_ocpp_charger import HERE, central, until
from tools.peers import NotInstalled, packages

from ores.adapters.ocpp.charger import OcppCharger
from ores.module import Ceilings, Effective

CHARGE_POINT = Path(__file__).parent / "charge_point.js"


def power_w(charger: OcppCharger) -> float | None:
    measure = charger.read(HERE).ac_measure
    return None if measure is UNSET else measure.power_w


@pytest.mark.peers
async def test_a_charge_point_of_npm_does_what_it_is_told() -> None:
    try:
        there = packages("ocpp-ts", ["ocpp-ts@0.3.0"])
    except NotInstalled as missing:
        pytest.skip(str(missing))
    async with central() as (charger, port):
        process = await asyncio.create_subprocess_exec(
            there.node,
            CHARGE_POINT,
            f"ws://127.0.0.1:{port}/",
            "GARAGE",
            env={**os.environ, "NODE_PATH": str(there.modules)},
            stdout=asyncio.subprocess.PIPE,
        )
        told: list[dict[str, Any]] = []

        async def listen() -> None:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                told.append(json.loads(line))

        listening = asyncio.create_task(listen())
        try:
            async with asyncio.timeout(20):
                await charger.found()
            await until(lambda: power_w(charger) == 16 * 3 * 230, 20)
            assert charger.about.maker == "Lichtbogen"
            charger.fall_back(HERE, Ceilings(current_max_a=6.0))
            charger.apply(HERE, Effective(current_max_a=10.0))
            await until(lambda: power_w(charger) == 10 * 3 * 230, 5)
            assert charger.answered(HERE) is None
            said = {one["what"]: one.get("status") for one in told}
            assert said["BootNotification"] == said["StartTransaction"] == "Accepted"
            assert said["Authorize"] == "Invalid"
            profiles = [one["profile"] for one in told if one["what"] == "SetChargingProfile"]
            assert [(one["chargingProfilePurpose"], one["stackLevel"]) for one in profiles][-2:] == [
                ("TxDefaultProfile", 0),
                ("TxProfile", 1),
            ]
            assert not [one for one in told if one["what"] == "error"]
        finally:
            process.kill()
            await process.wait()
            await listening
    state = charger.read(HERE)
    assert charger.measured_at_s(HERE) is not None
    assert state.energy is not UNSET
    assert (state.energy.energy_in_wh or 0) >= 5000
