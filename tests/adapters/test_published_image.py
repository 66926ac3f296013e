"""A device as the SunSpec Alliance publishes one for its own tests, read by both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import UNSET
from tests.adapters.peer import Peer, sunspec
from tests.adapters.wire import House, Wire, run, with_device

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.found import find

IMAGE = Path(sunspec.__file__).parent / "tests" / "test_data" / "device_1547.json"
needs_the_image = pytest.mark.skipif(not IMAGE.exists(), reason=f"this pysunspec2 ships no {IMAGE.name}")
END = 65_535


def published() -> Peer:
    models = json.loads(IMAGE.read_text())["models"]
    common, *others = [one for one in models if one["ID"] != END]
    return Peer(*[(one["ID"], one) for one in others], common=common)


@needs_the_image
def test_both_read_the_same_in_each_point() -> None:
    peer = published()
    found = run(lambda clock: find(Wire(peer, clock)))
    assert [one.id for one in found.placed] == [1, *range(701, 714)]
    compared = 0
    for ours in found.image().models.values():
        model = next(one for one in peer.models if one.model_id == ours.definition.id)
        for name, point in definitions()[ours.definition.id].points.items():
            value = model.points[name].cvalue if name in model.points else None
            if point.type == "pad":
                continue
            if point.type == "string":
                assert ours.text(name) == value, name
            elif value is None or (point.sf and model.points[point.sf].value is None):
                assert ours.number(name) is None, name
            else:
                assert ours.number(name) == pytest.approx(value), name
                compared += 1
    assert compared > 60


@needs_the_image
def test_a_device_with_an_empty_storage_model_is_no_store_and_its_conductors_count() -> None:
    async def story(house: House) -> None:
        (inverter,) = house.device.elements
        assert (inverter.id, inverter.connection) == ("inverter", "three_phase")
        assert inverter.terminals == ["L1", "L2", "L3"]
        state = house.state("inverter")
        assert state.ac_measure.power_w == -9800.0
        assert state.ac_measure.terminals["L1"].power_w == -3200.0
        assert state.energy.energy_out_wh == 150_000.0
        assert state.storage is UNSET

    with_device(published(), story)
