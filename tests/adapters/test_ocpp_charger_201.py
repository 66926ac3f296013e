"""The same by OCPP 2.0.1: a real charge point over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec import UNSET
from tests.adapters.charge_point_16 import Box, connected_as
from tests.adapters.charge_point_201 import RUNNING, Client
from tests.adapters.test_ocpp_charger import HERE, central, power_w, until

from ores.adapters.ocpp.charger import OcppCharger
from ores.module import Ceilings, Effective


@asynccontextmanager
async def both(box: Box | None = None, *, control: bool = True) -> AsyncIterator[tuple[OcppCharger, Client]]:
    async with (
        central(control=control) as (charger, port),
        connected_as(Client, "ocpp2.0.1", port, "GARAGE", box or Box(unit="A")) as at,
    ):
        await at.boot()
        await charger.found()
        yield charger, at


async def test_a_station_becomes_a_module_of_what_it_says() -> None:
    async with both(Box(connectors=2)) as (charger, _):
        assert (charger.about.model, charger.about.serial) == ("Post 2", "W-78")
        assert [one.id for one in charger.elements] == [HERE, "connector_2"]


async def test_a_lease_ends_by_itself_above_the_failsafe() -> None:
    async with both() as (charger, at):
        charger.fall_back(HERE, Ceilings(current_max_a=6.0))
        await until(lambda: 101 in at.box.profiles)
        await at.begin()
        charger.apply(HERE, Effective(current_max_a=10.0))
        await until(lambda: 301 in at.box.profiles)
        assert at.box.profiles[301]["transaction_id"] == RUNNING
        assert at.box.current_a() == 10.0
        del at.box.profiles[301]  # as it ends by itself
        assert at.box.current_a() == 6.0


async def test_a_limit_is_told_in_watt_where_the_station_wants_it() -> None:
    async with both(Box(unit="W")) as (charger, at):
        charger.fall_back(HERE, Ceilings(current_max_a=8.0))
        await until(lambda: at.box.allowed_a() == pytest.approx(8.0))
        (period,) = at.box.profiles[101]["charging_schedule"]["charging_schedule_period"]
        assert period["limit"] == 8 * 3 * 230


async def test_what_the_meter_says_is_shown() -> None:
    async with both() as (charger, at):
        await at.begin()
        await at.tell_meter()
        state = charger.read(HERE)
        assert power_w(state) == pytest.approx(16 * 3 * 230)
        assert state.energy is not UNSET
        assert state.energy.energy_in_wh == 1000.0
        assert state.ev is not UNSET
        assert (state.ev.connected, state.ev.charging) == (True, True)
        await at.end()
        state = charger.read(HERE)
        assert state.ev is not UNSET
        assert (state.ev.connected, state.ev.charging) == (False, False)


async def test_only_cards_that_the_owner_names_may_charge() -> None:
    async with both() as (_, at):
        assert (await at.begin("STRANGER")).id_token_info["status"] == "Invalid"
