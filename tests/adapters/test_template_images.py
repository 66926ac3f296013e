"""Each template shows the device of its image as what it is."""

from __future__ import annotations

import msgspec
import pytest
from tests.adapters.image import FOLDER, Image, ImageWire
from tests.adapters.wire import run

from ores.adapters.templates.answers import Answers, parsed
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.found import find
from ores.adapters.templates.parse import names, shipped
from ores.link.clock import Clock
from ores.module.description import check_elements
from ores.module.reading import is_sound


def test_each_template_has_an_image() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == names()


@pytest.mark.parametrize("name", names())
def test_the_device_of_an_image_is_shown_as_what_it_is(name: str) -> None:
    image, template = Image(name), shipped(name)

    async def main(clock: Clock) -> dict[str, object]:
        wire = ImageWire(image, clock)
        answers = Answers(given=parsed(template, image.answers))
        device = TemplateDevice(template, await find(template, wire, clock), wire, clock, answers=answers)
        check_elements(device.elements)
        await device.start()
        states = {one.id: device.read(one.id) for one in device.elements}
        await device.stop()
        assert all(is_sound(state) for state in states.values())
        return {
            **{f"about.{key}": it for key, it in msgspec.to_builtins(device.about).items()},
            **_flat(msgspec.to_builtins({one.id: one.capabilities for one in device.elements}), "can."),
            **_flat(msgspec.to_builtins(states), ""),
        }

    shown = run(main)
    assert {key: shown.get(key, "missing") for key in image.expect} == {
        key: pytest.approx(it, rel=1e-6) if isinstance(it, float | int) and not isinstance(it, bool) else it
        for key, it in image.expect.items()
    }
    assert image.writes == []


def _flat(tree: object, path: str) -> dict[str, object]:
    if not isinstance(tree, dict):
        return {path.rstrip("."): tree}
    return {key: it for name, one in tree.items() for key, it in _flat(one, f"{path}{name}.").items()}
