"""Ten thousand devices that lie: none ends the adapter, and no state of theirs is one that cannot be."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from msgspec import UNSET

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.image import Image, Options
from ores.adapters.sunspec.mapping import about, mapped
from ores.adapters.sunspec.walk import MODELS_MAX, NotSunSpec, Placed, requests, walk
from ores.link.errors import ConfigError, PeerError
from ores.module.description import check_elements
from ores.module.reading import is_sound

IMAGES = 10_000
EDGES = (0, 1, 2, 9, 10, 11, 0x7F80, 0x7FC0, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFF5, 0xFFF6, 0xFFFE, 0xFFFF)
IDS = sorted(definitions())


def registers(draw: random.Random, count: int) -> list[int]:
    """Of three kinds: edges, noise, and numbers as devices have them."""
    kinds = (lambda: draw.choice(EDGES), lambda: draw.randrange(0x10000), lambda: draw.randrange(6000))
    return [draw.choice(kinds)() for _ in range(count)]


def chain(draw: random.Random) -> tuple[list[Placed], dict[int, list[int]]]:
    """Some models with nothing sensible in them; some longer or shorter than they should be."""
    placed, held, address = [], {}, 40_002
    for number in [1, *draw.sample(IDS, draw.randint(1, 6))]:
        size = max(2, definitions()[number].size + draw.choice((0, 0, 0, 20, 40, -1, -10)))
        held[address] = [number, size - 2, *registers(draw, size - 2)]
        placed.append(Placed(number, address, size))
        address += size
    return placed, held


@pytest.mark.parametrize(
    "images", [IMAGES, pytest.param(100 * IMAGES, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_no_device_however_it_lies_makes_a_state_that_cannot_be(images: int) -> None:
    draw = random.Random(images)
    shown = 0
    for _ in range(images):
        placed, held = chain(draw)
        options = Options(control=draw.random() < 0.3, turned=draw.random() < 0.3)
        try:
            it = mapped(Image(placed, held), options)
        except ConfigError:
            continue
        shown += 1
        about(Image(placed, held), "", it.profiles)
        elements = [view.element for view in it.views]
        check_elements(elements)
        assert requests(placed)
        later = {at: [*words[:2], *registers(draw, len(words) - 2)] for at, words in held.items()}
        for image in (Image(placed, held, 1.0), Image(placed, later, 2.0)):
            for view in it.views:
                state = view.read(image)
                assert is_sound(state), (placed, image, state)
                told = [name for name in state.__struct_fields__ if getattr(state, name) is not UNSET]
                allowed = {*view.element.capabilities.__struct_fields__, "quality", "fault"}
                assert set(told) <= allowed
    assert shown > images / 3


@dataclass
class Noise:
    """Registers that answer every question, with nonsense."""

    draw: random.Random
    head: list[int]
    asked: int = 0

    async def read(self, address: int, count: int) -> list[int]:
        self.asked += 1
        assert address >= 0
        assert address + count <= 65_536
        return self.head if count == 2 and self.asked == 1 else registers(self.draw, count)

    async def write(self, address: int, values: object) -> None:
        raise AssertionError("nothing is written while a device is looked at")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(200))
async def test_a_walk_through_nonsense_ends(seed: int) -> None:
    noise = Noise(random.Random(seed), [0x5375, 0x6E53])
    try:
        placed = await walk(noise)
    except NotSunSpec:
        placed = []
    except PeerError as error:
        pytest.fail(f"{error!r} is not said as what it is")
    assert noise.asked <= MODELS_MAX + 3
    assert all(one.address + one.size <= 65_536 for one in placed)


async def test_a_chain_that_never_ends_is_left() -> None:
    noise = Noise(random.Random(0), [0x5375, 0x6E53])

    async def endless(_address: int, _count: int) -> list[int]:
        noise.asked += 1
        return [0x5375, 0x6E53] if noise.asked == 1 else [1, 0]

    noise.read = endless
    with pytest.raises(NotSunSpec, match="after 100 models"):
        await walk(noise)
