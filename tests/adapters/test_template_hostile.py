"""Ten thousand devices that lie: none ends the adapter, and no state of theirs is one that cannot be."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ores.adapters.templates.answers import Answers, known
from ores.adapters.templates.form import Template
from ores.adapters.templates.parse import names, shipped
from ores.adapters.templates.points import SIZES, Point, agrees, number, registers_of, text
from ores.adapters.templates.reader import requests, values_of
from ores.adapters.templates.steering import Steering
from ores.adapters.templates.views import views
from ores.link.errors import ConfigError
from ores.module import Ceilings, Effective
from ores.module.description import check_elements
from ores.module.reading import is_sound

IMAGES = 10_000
EACH = 10
"""Images of one device, one after the other."""
EDGES = (0, 1, 2, 9, 10, 0xFF, 0x100, 0x7F7F, 0x7F80, 0x7FC0, 0x7FFF, 0x8000, 0x8001, 0xFF80, 0xFFFE, 0xFFFF)
NUMBERS = [kind for kind in SIZES if kind != "text"]


def words(draw: random.Random, count: int) -> list[int]:
    """Of three kinds: edges, noise, and numbers as devices have them."""
    kind = draw.randrange(3)
    if kind == 0:
        return [draw.choice(EDGES) for _ in range(count)]
    return [draw.randrange(0x10000 if kind == 1 else 6000) for _ in range(count)]


def lies(draw: random.Random, template: Template, *, static: bool) -> dict[str, float | None]:
    held = {
        name: None if draw.random() < 0.05 else words(draw, point.size)
        for name, point in template.points.items()
        if point.static is static
    }
    return values_of(template, held)


def given_answers(draw: random.Random, template: Template) -> dict[str, float]:
    found = {}
    for name, one in template.questions.items():
        if not one.optional or draw.random() < 0.5:
            low, high = one.least or 0.0, one.most or 1.0
            found[name] = draw.choice(one.choices) if one.choices else draw.choice((low, high))
    return found


@pytest.mark.parametrize(
    "images", [IMAGES, pytest.param(100 * IMAGES, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_no_device_however_it_lies_makes_a_state_that_cannot_be(images: int) -> None:
    draw = random.Random(images)
    templates = [shipped(name) for name in names()]
    shown = 0
    for at in range(images // EACH):
        template = templates[at % len(templates)]
        told = {**known(template, given_answers(draw, template)), **lies(draw, template, static=True)}
        answers = Answers(control=bool(template.commands), turned=draw.random() < 0.2, conductor="L2")
        try:
            them = views(template, told, answers)
            check_elements([view.element for view in them])
        except ConfigError:
            continue  # told to the person who sets it up, and nothing is shown
        for second in range(EACH):
            values = {**told, **lies(draw, template, static=False)}
            for view in them:
                state = view.read(values, float(second), curtailed=False)
                assert is_sound(state), (template.name, values, state)
                said = {name for name in state.__struct_fields__ if getattr(state, name) is not UNSET}
                assert said <= {*view.element.capabilities.__struct_fields__, "quality", "fault"}
                shown += 1
            for command in template.commands:
                try:
                    wanted = Steering(template, command, Ceilings(1e4, 1e4, 16.0)).wanted(
                        values, an_order(draw), Ceilings()
                    )
                except ValueError:
                    continue  # answered as a refusal
                for write in wanted.writes:
                    assert len(write.registers) == template.points[write.name].size
                    assert all(0 <= word <= 0xFFFF for word in write.registers)
    assert shown > images


def an_order(draw: random.Random) -> Effective:
    limit = draw.choice((0.0, 1.0, 1380.0, 99_999.0))
    power_w = draw.choice((None, 0.0, 5.5, -5000.0, 1e6))
    return Effective(power_w=power_w, consume_max_w=limit, produce_max_w=limit, current_max_a=limit)


points = st.builds(
    Point,
    at=st.just(0),
    type=st.sampled_from(NUMBERS),
    words=st.sampled_from(["high_first", "low_first"]),
    bytes=st.sampled_from(["high_first", "low_first"]),
    scale=st.sampled_from([1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0]),
)


@settings(max_examples=200, deadline=None)
@given(points, st.data())
def test_a_value_that_was_read_can_be_written_and_stands_there(point: Point, data: st.DataObject) -> None:
    registers = data.draw(st.lists(st.integers(0, 0xFFFF), min_size=point.size, max_size=point.size))
    value = number(point, registers)
    if value is not None and abs(value) < 2**50:
        back = number(point, registers_of(point, value))
        assert back == pytest.approx(value, rel=1e-6, abs=1e-30)
        assert agrees(point, registers_of(point, value), registers_of(point, value))


@settings(max_examples=200, deadline=None)
@given(points, st.floats(allow_nan=True, allow_infinity=True))
def test_a_written_value_never_asks_for_more(point: Point, value: float) -> None:
    try:
        registers = registers_of(point, value)
    except ValueError:
        return
    found = number(point, registers)
    assert found is not None
    assert abs(found) <= abs(value) * (1 + 1e-6) + 1e-9 * point.scale


@given(st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_a_text_is_one_that_can_be_shown(registers: list[int]) -> None:
    found = text(Point(at=0, type="text", registers=4), registers)
    assert found is None or (found == found.strip() and found.isprintable() and 0 < len(found) <= 64)


@pytest.mark.parametrize(
    ("kind", "order", "registers", "value"),
    [
        ("int16", "high_first", [0xFF38], -200),
        ("uint32", "high_first", [1, 2], 65_538),
        ("uint32", "low_first", [2, 1], 65_538),
        ("int32", "low_first", [0xFFFF, 0xFFFF], -1),
        ("float32", "high_first", list(struct.unpack(">HH", struct.pack(">f", 230.5))), 230.5),
        ("float32", "high_first", [0x7FC0, 0], None),
        ("float64", "high_first", list(struct.unpack(">HHHH", struct.pack(">d", 1e9))), 1e9),
    ],
)
def test_registers_are_read_as_the_types_say(
    kind: str, order: str, registers: list[int], value: float | None
) -> None:
    assert number(Point(at=0, type=kind, words=order), registers) == value


@pytest.mark.parametrize("kind", NUMBERS)
def test_registers_kept_for_a_point_of_another_size_are_no_value(kind: str) -> None:
    point = Point(at=0, type=kind)
    assert number(point, [1] * (point.size + 1)) is None
    assert number(point, [1] * (point.size - 1)) is None


def test_a_tenth_is_a_tenth() -> None:
    assert number(Point(at=0, scale=0.1, unit="V"), [2301]) == 230.1
    assert number(Point(at=0, scale=0.1, unit="V", none=(0xFFFF,)), [0xFFFF]) is None
    assert number(Point(at=0, scale=0.01, unit="Hz"), [0]) is None
    assert number(Point(at=0, values={1: -1.0}), [1]) == -1.0
    assert number(Point(at=0, values={1: -1.0}), [2]) is None


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 300), max_size=20),
    st.integers(4, 125),
    st.integers(0, 50),
)
def test_requests_cover_all_points_and_none_is_too_long(
    at: dict[str, int], registers_max: int, gap_max: int
) -> None:
    points = {name: Point(at=address, type="uint32") for name, address in at.items()}
    plan = requests(points, registers_max=registers_max, gap_max=gap_max)
    assert sorted(name for one in plan for name in one.points) == sorted(points)
    for one in plan:
        assert one.count <= registers_max
        for name in one.points:
            assert one.address <= points[name].at
            assert points[name].at + 2 <= one.address + one.count
