"""What answers at an address is recognised by reads alone, and as nothing else than it is."""

from __future__ import annotations

import pytest
from tests.adapters.image import Image, ImageWire, on_a_line, served
from tests.adapters.wire import run

from ores.adapters.scan import UNITS, scan, scan_line
from ores.adapters.templates.parse import names, shipped
from ores.adapters.templates.recognise import TRIES_MAX, candidates, recognise
from ores.link.clock import Clock, RealClock
from ores.link.errors import TimedOut

ABLE = [name for name in names() if shipped(name).detect]


def recognised(image: Image, *, unit: int | None = None) -> str:
    async def main(clock: Clock) -> str:
        known = await recognise(candidates(unit), ImageWire(image, clock), clock)
        return "" if known is None else known[0].name

    return run(main)


@pytest.mark.parametrize("name", ABLE)
def test_a_device_is_recognised_as_what_it_is(name: str) -> None:
    image = Image(name)
    assert recognised(image) == name
    assert recognised(image, unit=image.unit) == name
    assert image.writes == []
    assert len(image.reads) <= 2 * TRIES_MAX


@pytest.mark.parametrize("name", sorted(set(names()) - set(ABLE)))
def test_what_cannot_be_told_from_others_is_not_recognised(name: str) -> None:
    assert recognised(Image(name)) == ""
    assert shipped(name).undetectable


def test_a_silent_unit_is_asked_once() -> None:
    image = Image("eastron-sdm630")
    image.silent = True
    with pytest.raises(TimedOut):
        recognised(image)
    assert image.reads == []


def test_a_device_full_of_zeros_is_none_of_them() -> None:
    image = Image("eastron-sdm630")
    for table in image.tables:
        image.tables[table] = dict.fromkeys(range(65_536), 0)
    assert recognised(image) == ""


async def test_a_device_at_a_serial_line_is_found() -> None:
    image = Image("eastron-sdm630")
    async with on_a_line(image) as path:
        found = await scan_line(path, units=(1,), clock=RealClock())
    assert [(one.host, one.unit, one.template) for one in found] == [(path, 1, "eastron-sdm630")]
    assert image.writes == []


async def test_a_device_in_a_network_is_found_at_the_unit_of_its_template() -> None:
    image = Image("victron-gx")
    async with served(image) as port:
        found = await scan(["127.0.0.1"], port=port, units=UNITS, clock=RealClock())
    assert [(one.unit, one.template, one.note) for one in found] == [
        (100, "victron-gx", "not yet tried on hardware")
    ]
