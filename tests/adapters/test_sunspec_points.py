"""Registers into values: nothing that is not implemented, not a number or out of its range becomes one."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.peer import sunspec, words

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.points import Model

WORD = st.integers(0, 0xFFFF)
NUMBERS = {
    "int16": (-0x7FFF, 0x7FFF),
    "uint16": (0, 0xFFFE),
    "count": (0, 0xFFFE),
    "enum16": (0, 0xFFFE),
    "bitfield16": (0, 0x7FFF),
    "int32": (-0x7FFFFFFF, 0x7FFFFFFF),
    "uint32": (0, 0xFFFFFFFE),
    "bitfield32": (0, 0x7FFFFFFF),
    "acc32": (1, 0xFFFFFFFF),
    "uint64": (0, 2**64 - 2),
    "sunssf": (-10, 10),
}


def blank(number: int) -> sunspec.Model:
    """A model of theirs in which nothing is implemented; of 714 they want to know the number of ports."""
    return sunspec.Model(number, data={"NPrt": 0} if number == 714 else None)


def laid_out(number: int, **values: object) -> Model:
    """A model whose registers pysunspec2 has laid out."""
    return Model(definitions()[number], words(sunspec.Model(number, data=values).get_mb()))


@pytest.mark.parametrize("number", sorted(definitions()))
def test_a_definition_has_the_size_that_its_publisher_gives_it(number: int) -> None:
    assert definitions()[number].size == blank(number).len


@pytest.mark.parametrize("number", sorted(definitions()))
def test_a_model_of_which_nothing_is_implemented_says_nothing(number: int) -> None:
    theirs = blank(number)
    ours = Model(definitions()[number], words(theirs.get_mb()))
    for name, point in definitions()[number].points.items():
        if name not in {"ID", "L", "NPrt"}:
            assert ours.number(name) is None, name
            assert ours.text(name) is None, name
            if point.symbols:
                assert ours.symbol(name) is None, name
                assert ours.bits(name) is None, name


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_pysunspec2_writes_we_read(data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(definitions())))
    theirs = blank(number)
    drawn = {}
    for name, point in definitions()[number].points.items():
        if point.type in NUMBERS and name not in {"ID", "L"}:
            drawn[name] = data.draw(st.none() | st.integers(*NUMBERS[point.type]))
            theirs.points[name].set_value(drawn[name])
    ours = Model(definitions()[number], words(theirs.get_mb()))
    for name, raw in drawn.items():
        assert ours.whole(name) == raw, name
        sf = definitions()[number].points[name].sf
        value = ours.number(name)
        if raw is None or (sf and drawn[sf] is None):
            assert value is None, name
        else:
            assert value == pytest.approx(raw * 10.0 ** (drawn[sf] if sf else 0)), name


@pytest.mark.parametrize(("raw", "scale", "value"), [(2301, -1, 230.1), (5001, -2, 50.01), (3, 3, 3000.0)])
def test_a_scale_factor_rounds_once(raw: int, scale: int, value: float) -> None:
    assert laid_out(203, PhVphA=raw, V_SF=scale).number("PhVphA") == value


@pytest.mark.parametrize("scale", [-32_768, -11, 11, 32_767])
def test_a_point_whose_scale_factor_makes_no_sense_is_unknown(scale: int) -> None:
    assert laid_out(203, W=100, W_SF=scale).number("W") is None


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7F800000, 0xFF800000])
def test_what_is_no_number_never_becomes_one(bits: int) -> None:
    registers = words(sunspec.Model(213).get_mb())
    at = definitions()[213].points["W"].at
    registers[at : at + 2] = [bits >> 16, bits & 0xFFFF]
    assert Model(definitions()[213], registers).number("W") is None


def test_a_float_is_read_with_its_high_word_first() -> None:
    model = laid_out(213, W=-1234.5)
    assert model.number("W") == -1234.5
    at = definitions()[213].points["W"].at
    high, low = words(struct.pack(">f", -1234.5))
    assert words(sunspec.Model(213, data={"W": -1234.5}).get_mb())[at : at + 2] == [high, low]
    assert model.number("Hz") is None


def test_a_string_ends_where_its_filling_begins() -> None:
    model = laid_out(1, Mn="Voltarn  ", Md="", SN="V\x07-1")
    assert (model.text("Mn"), model.text("Md"), model.text("SN")) == ("Voltarn", None, "V-1")


def test_a_bit_that_only_the_maker_knows_has_its_number() -> None:
    assert laid_out(103, Evt1=1 << 7 | 1 << 30).bits("Evt1") == {"OVER_TEMP", "bit_30"}


def test_an_enum_that_nobody_knows_has_no_name() -> None:
    assert laid_out(103, St=4).symbol("St") == "MPPT"
    assert laid_out(103, St=400).symbol("St") is None


def test_a_string_inverter_tells_as_many_strings_as_are_there() -> None:
    strings = [{"ID": 1, "DCW": 15}, {"ID": 2, "DCW": 25}]
    registers = words(sunspec.Model(160, data={"N": 2, "DCW_SF": 2, "module": strings}).get_mb())
    definition = definitions()[160]
    assert [one.number("DCW") for one in Model(definition, registers).members("module")] == [1500.0, 2500.0]
    assert len(Model(definition, registers[:-1]).members("module")) == 1
    registers[definition.points["N"].at] = 9000
    assert len(Model(definition, registers).members("module")) == 2


@given(st.sampled_from(sorted(definitions())), st.data())
@settings(max_examples=400, deadline=None)
def test_no_registers_whatever_make_a_value_that_is_out_of_its_range(
    number: int, data: st.DataObject
) -> None:
    definition = definitions()[number]
    registers = data.draw(st.lists(WORD, max_size=definition.size + 40))
    model = Model(definition, registers)
    members = [
        (one, group)
        for group in definition.groups
        if group.repeats is not None
        for one in model.members(group.name)
    ]
    for values, group in [(model, definition), *members]:
        for name, point in group.points.items():
            value = values.number(name)
            assert value is None or math.isfinite(value)
            whole = values.whole(name) if point.type != "float32" else None
            if whole is not None:
                low, high = NUMBERS[point.type]
                assert low <= whole <= high
            values.text(name)
            values.bits(name) if point.type.startswith("bitfield") else values.symbol(name)
