"""A device of an image as a module with a hub, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.adapters.image import LIVING, Image, ImageWire
from tests.adapters.physics import __doc__ as _living  # noqa: F401  it says what moves in which image
from tests.adapters.wire import House, run, told

from ores.adapters.templates.answers import Answers, parsed
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.form import Template
from ores.adapters.templates.found import find, find_or_remember
from ores.adapters.templates.parse import shipped
from ores.link.clock import Clock
from ores.module import Saved


def with_template(
    image: Image,
    story: Callable[[House], Awaitable[None]],
    *,
    template: Template | None = None,
    control: bool = True,
    directory: Path | None = None,
    saved: Saved | None = None,
    living: bool = True,
) -> House:
    """Find a device, show it as a module, and tell a story of it."""
    known = template or shipped(image.name)

    async def main(clock: Clock) -> House:
        wire = ImageWire(image, clock)
        answers = Answers(control=control, given=parsed(known, image.answers))
        if directory is None:
            found = await find(known, wire, clock)
        else:
            found = await find_or_remember(known, wire, clock, directory)
        device = TemplateDevice(known, found, wire, clock, answers=answers, directory=directory)
        step = LIVING[image.name](image) if living and image.name in LIVING else None
        return await told(House(device, wire, clock, saved), story, step)

    return run(main)
