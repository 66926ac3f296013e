"""A charger that calls in by OCPP 1.6, as a device of the SDK; a real charge point over a real socket."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from msgspec import UNSET
from tests.adapters.charge_point_16 import Box, Client, connected, stamp

from ores.adapters.ocpp.central import listening
from ores.adapters.ocpp.charger import OcppCharger
from ores.adapters.ocpp.settings import Charger, Settings
from ores.link.clock import RealClock
from ores.model import ElementState
from ores.module import Ceilings, Effective, Refused

SETTINGS = Settings(tags=["card"], chargers={"GARAGE": Charger(rated_a=16, sample_s=1)})
HERE = "connector_1"


@asynccontextmanager
async def central(
    settings: Settings = SETTINGS, *, control: bool = True, directory: Path | None = None
) -> AsyncIterator[tuple[OcppCharger, int]]:
    charger = OcppCharger("GARAGE", settings, RealClock(), control=control, directory=directory)
    async with listening({"GARAGE": charger}, RealClock(), host="127.0.0.1", tls=settings.tls) as port:
        yield charger, port


@asynccontextmanager
async def both(
    settings: Settings = SETTINGS, box: Box | None = None, *, control: bool = True
) -> AsyncIterator[tuple[OcppCharger, Client]]:
    async with central(settings, control=control) as (charger, port), connected(port, "GARAGE", box) as at:
        await at.boot()
        await charger.found()
        yield charger, at


def basic(said: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(said.encode()).decode()}"} if said else {}


async def until(what: object, seconds: float = 4.0) -> None:
    """Wait for something that the other side does."""
    assert callable(what)
    for _ in range(int(seconds / 0.01)):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come")


def power_w(state: ElementState) -> float | None:
    assert state.ac_measure is not UNSET
    return state.ac_measure.power_w


async def test_a_charger_that_calls_becomes_a_module_of_what_it_says() -> None:
    async with both() as (charger, _):
        assert charger.about.maker == "Wattling"
        assert charger.about.serial == "W-77"
        assert [one.id for one in charger.elements] == [HERE]


async def test_the_failsafe_stands_in_the_charger_before_anything_else() -> None:
    async with both() as (charger, at):
        charger.fall_back(HERE, Ceilings(current_max_a=8.0))
        await until(lambda: 101 in at.box.profiles)
        await until(lambda: at.box.allowed_a() == 8.0)
        assert "duration" not in at.box.profiles[101]["charging_schedule"]


async def test_a_lease_is_a_profile_that_ends_by_itself() -> None:
    async with both() as (charger, at):
        charger.fall_back(HERE, Ceilings(current_max_a=6.0))
        await until(lambda: 101 in at.box.profiles)
        await at.begin()
        assert charger.apply(HERE, Effective(current_max_a=10.0)) is None
        await until(lambda: 301 in at.box.profiles)
        profile = at.box.profiles[301]
        assert profile["transaction_id"] == at.box.transaction
        assert profile["charging_schedule"]["duration"] == 60
        assert at.box.current_a() == 10.0
        del at.box.profiles[301]  # as it ends by itself
        assert at.box.current_a() == 6.0


async def test_what_the_meter_says_is_shown() -> None:
    async with both() as (charger, at):
        await at.begin()
        await at.tell_meter()
        state = charger.read(HERE)
        assert power_w(state) == pytest.approx(16 * 3 * 230)
        assert state.ev is not UNSET
        assert (state.ev.connected, state.ev.charging) == (True, True)
        assert state.energy is not UNSET
        assert state.energy.energy_in_wh == 1000.0


async def test_a_charger_that_is_gone_is_no_charger_at_0_w() -> None:
    async with central() as (charger, port):
        async with connected(port, "GARAGE") as at:
            await at.boot()
            await charger.found()
            await at.begin()
            await at.tell_meter()
        await until(lambda: not charger.is_connected)
        gone_s = charger.measured_at_s(HERE)
        assert gone_s is not None
        assert charger.read(HERE).ac_measure is not UNSET
        await asyncio.sleep(0.02)
        assert charger.measured_at_s(HERE) == gone_s  # it gets older, and the module makes it unknown
        assert charger.answered(HERE) == Refused("the charger is not connected")


async def test_a_refused_profile_is_told() -> None:
    async with both(box=Box(refuses=("SetChargingProfile",))) as (charger, _at):
        charger.apply(HERE, Effective(current_max_a=10.0))
        await until(lambda: isinstance(charger.answered(HERE), Refused), 3)
        fault = charger.read(HERE).fault
        assert fault is not UNSET
        assert fault.codes == ["command_not_taken", "failsafe_not_held"]


async def test_without_a_profile_for_a_transaction_the_default_is_used() -> None:
    async with both(box=Box(refuses=("TxProfile",))) as (charger, at):
        await at.begin()
        charger.apply(HERE, Effective(current_max_a=7.0))
        await until(lambda: 201 in at.box.profiles)
        assert at.box.current_a() == 7.0


async def test_only_cards_that_the_owner_names_may_charge() -> None:
    async with both() as (_, at):
        assert (await at.begin("STRANGER")).id_tag_info["status"] == "Invalid"
        assert (await at.begin("card")).id_tag_info["status"] == "Accepted"


async def test_watched_it_is_told_nothing() -> None:
    async with both(control=False) as (charger, at):
        await at.begin()
        await asyncio.sleep(0.1)
        assert at.box.told == []
        assert charger.elements[0].capabilities.limit is UNSET
        assert charger.about.profiles == ()


async def test_a_meter_is_asked_for_a_list_that_it_knows() -> None:
    async with both() as (_, at):
        await until(lambda: "MeterValueSampleInterval" in at.box.configuration)
        assert at.box.configuration["MeterValuesSampledData"].endswith("Voltage")


async def test_a_second_charger_of_the_same_name_is_turned_away() -> None:
    async with central() as (charger, port), connected(port, "GARAGE") as at:
        await at.boot()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(port, "GARAGE"):
                pass
        assert refused.value.status == 409
        assert charger.is_connected


@pytest.mark.parametrize("said", ["", "GARAGE:wrong", "OTHER:long enough", "GARAGE"])
async def test_a_password_is_asked_for(said: str) -> None:
    settings = Settings(chargers={"GARAGE": Charger(password="long enough")})
    async with central(settings) as (_, port):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(port, "GARAGE", headers=basic(said)):
                pass
        assert refused.value.status == 401
        async with connected(port, "GARAGE", headers=basic("GARAGE:long enough")) as at:
            assert (await at.boot()).status == "Accepted"


async def test_who_is_not_named_is_not_let_in() -> None:
    async with central() as (_, port):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with connected(port, "CARPORT"):
                pass
        assert refused.value.status == 404


async def test_what_was_measured_while_it_was_offline_is_energy_and_no_power() -> None:
    async with both(box=Box(refuses=("TriggerMessage",))) as (charger, at):
        await at.begin()
        at.box.energy_wh += 500
        await at.tell_meter(at=stamp(ago_s=3600))
        state = charger.read(HERE)
        assert power_w(state) is None
        assert state.energy is not UNSET
        assert state.energy.energy_in_wh == 1500.0
