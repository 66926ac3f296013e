"""A template that is not right is told where; its questions are a form; its sums are nothing but sums."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ores.adapters.templates import parse
from ores.adapters.templates.answers import form, known, of_form, parsed
from ores.adapters.templates.expression import Expression
from ores.adapters.templates.page import page
from ores.adapters.templates.parse import names, shipped
from ores.link.errors import ConfigError

SOURCE = """
name: lamp
title: A lamp
maker: Voltarn
models: [L1]
tried_on_hardware: false
sources: [{title: Its manual}]
transport: {over: [tcp], unit: 1}
questions:
  rated_w: {ask: "How much does it take?", type: number, unit: W, least: 1, most: 100}
  dimmed: {ask: "Can it be dimmed?", type: yes_no, default: false}
points:
  power: {at: 10, scale: 0.1, unit: W}
  level: {at: 20, unit: "%"}
  name: {at: 30, type: text, registers: 4, static: true}
detect: [{point: name, matches: ^LAMP}]
elements:
  - id: lamp
    kind: load
    ac_measure: {power_w: power}
    rating: {consume_max_w: rated_w, produce_max_w: 0}
commands:
  - element: lamp
    limit: [consume]
    amount: consume_max_w
    cases: [{write: [{level: 100 * amount / rated_w}]}]
    watchdog: {none: "It stays as it is."}
"""


def changed(change: str) -> str:
    """The lamp with one thing otherwise: `path = value`, both YAML; without a value it is taken out."""
    tree = yaml.safe_load(SOURCE)
    path, _, value = change.partition(" = ")
    *way, last = path.split(".")
    node = tree
    for step in way:
        node = node[int(step) if step.isdigit() else step]
    if value:
        node[last] = yaml.safe_load(value)
    else:
        del node[last]
    return yaml.safe_dump(tree)


def test_the_lamp_itself_is_right() -> None:
    assert parse.parsed(SOURCE, "lamp.yaml", "lamp").points["power"].scale == 0.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("transport", "lamp.yaml: the whole file: found 'no transport'"),
        ("name = torch", "lamp.yaml: name: found 'torch', allowed is lamp, as the file is called"),
        (
            "tried_on_hardware = perhaps",
            "lamp.yaml: tried_on_hardware: found 'perhaps', allowed is of type boolean",
        ),
        (
            "points.power.type = int24",
            "lamp.yaml: points.power.type: found 'int24', allowed is one of int16, uint16",
        ),
        ("points.power.at = 70000", "lamp.yaml: points.power.at: found '70000', allowed is at most 65535"),
        ("points.power.sacle = 2", "lamp.yaml: points.power: found 'sacle', allowed is at, table"),
        (
            "points.power.scale = 0",
            "lamp.yaml: points.power.scale: found 0.0, allowed is another number than 0",
        ),
        ("points.name.registers", "lamp.yaml: points.name.registers: found 'none'"),
        ("points.rated_w = {at: 1}", "lamp.yaml: points.rated_w: found 'rated_w'"),
        ("elements.0.ac_measure.power_w = powr", "lamp.yaml: elements[0].ac_measure.power_w: found 'powr'"),
        (
            "elements.0.ac_measure.power_w = power +",
            "lamp.yaml: elements[0].ac_measure.power_w: found 'power +'",
        ),
        ("elements.0.ac_measure.power_w = open('x')", "allowed is a sum: of functions there are"),
        ("elements.0.rating.consume_max_w = power", "a description does not change"),
        (
            "elements.0.upstream = wall",
            "lamp.yaml: elements[0].upstream: found 'wall', allowed is one of lamp",
        ),
        ("detect = []", "lamp.yaml: detect"),
        ("detect = [{point: name}]", "lamp.yaml: detect[0].matches: found 'none'"),
        ("detect = [{point: name, matches: '('}]", "lamp.yaml: detect[0].matches: found '('"),
        ("detect = [{point: powr, is: [1]}]", "lamp.yaml: detect[0].point: found 'powr'"),
        ("commands.0.element = torch", "lamp.yaml: commands[0].element: found 'torch'"),
        ("commands.0.watchdog", "lamp.yaml: commands[0]: found 'no watchdog'"),
        ("commands.0.cases = [{below: 5, write: [{level: 1}]}]", "a last case for all that is left"),
        ("commands.0.cases = [{write: [{nevel: 1}]}]", "lamp.yaml: commands[0].cases: found 'nevel'"),
        ("points.level.table = input", "a number in a holding register"),
        ("questions.rated_w.least = low", "lamp.yaml: questions.rated_w.least: found 'low'"),
        (
            "identity = {serial: power}",
            "lamp.yaml: identity.serial: found 'power', allowed is a static point",
        ),
    ],
)
def test_what_is_not_right_is_told_with_file_and_field(change: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse.parsed(changed(change), "lamp.yaml", "lamp")
    assert said in error.value.detail


def test_a_set_point_that_never_ends_is_refused() -> None:
    tree = yaml.safe_load(SOURCE)
    command = tree["commands"][0]
    del command["limit"]
    command["setpoint"] = {"consume_max_w": 1, "produce_max_w": 0, "response_s": 1}
    with pytest.raises(ConfigError, match="MAP-004"):
        parse.parsed(yaml.safe_dump(tree), "lamp.yaml", "lamp")


def test_what_wears_out_is_not_renewed() -> None:
    tree = yaml.safe_load(SOURCE)
    tree["points"]["level"]["flash"] = {"writes_per_day": 5}
    tree["commands"][0]["watchdog"] = {"timeout_s": 60, "then": "It goes out."}
    with pytest.raises(ConfigError, match="flash"):
        parse.parsed(yaml.safe_dump(tree), "lamp.yaml", "lamp")


def test_what_is_no_yaml_is_told() -> None:
    with pytest.raises(ConfigError, match=r"lamp\.yaml: found .* allowed is YAML"):
        parse.parsed("a: [", "lamp.yaml", "lamp")


def test_a_point_that_is_there_twice_is_told() -> None:
    twice = SOURCE.replace("  level:", "  power:")
    with pytest.raises(ConfigError, match="power twice, line"):
        parse.parsed(twice, "lamp.yaml", "lamp")


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "points", "at", "elements", "detect", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_other_file_is_refused_and_nothing_else_happens(tree: object) -> None:
    with pytest.raises(ConfigError):
        parse.parsed(yaml.safe_dump(tree), "lamp.yaml", "lamp")


def test_a_template_of_ones_own_is_read_from_its_file(tmp_path) -> None:
    path = tmp_path / "lamp.yaml"
    path.write_text(SOURCE)
    assert parse.load(str(path)).name == "lamp"
    with pytest.raises(ConfigError, match="one of alfen-eve"):
        parse.load("lamp")


@pytest.mark.parametrize("name", names())
def test_a_shipped_template_says_where_it_is_from_and_has_not_been_tried(name: str) -> None:
    template = shipped(name)
    assert template.sources
    assert template.tried_on_hardware is False
    assert "Not yet tried on hardware" in page(template)
    Draft202012Validator.check_schema(form(template))


def test_fifteen_devices_of_ten_makers_are_shipped() -> None:
    assert len(names()) >= 15
    assert len({shipped(name).maker for name in names()}) >= 10


def test_an_answer_is_checked_against_its_question() -> None:
    lamp = parse.parsed(SOURCE, "lamp.yaml", "lamp")
    assert parsed(lamp, ["rated_w=60", "dimmed=yes"]) == {"rated_w": 60.0, "dimmed": 1.0}
    for wrong in ("rated_w=600", "rated_w=much", "rated_w=nan", "dimmed=2", "colour=red", "rated_w"):
        with pytest.raises(ConfigError):
            parsed(lamp, [wrong])
    with pytest.raises(ConfigError, match=r"--set rated_w=a number in W"):
        known(lamp, {})
    assert known(lamp, {"rated_w": 60.0}) == {"rated_w": 60.0, "dimmed": 0.0}


def test_questions_are_a_form() -> None:
    told = form(parse.parsed(SOURCE, "lamp.yaml", "lamp"))
    assert told["required"] == ["rated_w"]
    Draft202012Validator(told).validate({"rated_w": 60, "dimmed": True})
    assert not Draft202012Validator(told).is_valid({"rated_w": 600})
    lamp = parse.parsed(SOURCE, "lamp.yaml", "lamp")
    assert of_form(lamp, {"rated_w": 60, "dimmed": True}) == {"rated_w": 60.0, "dimmed": 1.0}
    with pytest.raises(ConfigError, match="rated_w"):
        of_form(lamp, {"rated_w": True})


@pytest.mark.parametrize(
    ("text", "values", "comes_to"),
    [
        ("a - b", {"a": 5.0, "b": 3.0}, 2.0),
        ("-a", {"a": 5.0}, -5.0),
        ("a - b", {"a": 5.0, "b": None}, None),
        ("a / b", {"a": 5.0, "b": 0.0}, None),
        ("bit(a, 3)", {"a": 8.0}, 1.0),
        ("a in (1, 2)", {"a": 2.0}, 1.0),
        ("a if b == 1 else unknown", {"a": 2.0, "b": 0.0}, None),
        ("first(a, b)", {"a": None, "b": 7.0}, 7.0),
        ("min(a, b / 10)", {"a": float("inf"), "b": 50.0}, 5.0),
        ("a // 256 == 0x42", {"a": float(0x4231)}, 1.0),
        ("not a and b", {"a": 0.0, "b": 1.0}, 1.0),
        (230, {}, 230.0),
    ],
)
def test_sums_come_to_what_they_say(
    text: str, values: dict[str, float | None], comes_to: float | None
) -> None:
    assert Expression(text)(values) == comes_to


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "a.b", "a[0]", "lambda: 1", "[1]", "a ** a", "'x'", "a < b < c", "min()", "True", "",
     "f(a)", "a if b", "x" * 500, "(" * 200 + ")" * 200, "-" * 99 + "a", "a := 1", "1j", "a << 9"],
)  # fmt: skip
def test_what_is_no_sum_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Expression(text)


def test_the_format_is_a_schema() -> None:
    Draft202012Validator.check_schema(msgspec.json.decode((parse._TREE / "format.json").read_bytes()))


def test_the_template_of_the_guide_is_one() -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "templates.md").read_text()
    whole, command = (part.split("```")[0] for part in guide.split("```yaml\n")[1:3])
    meter = parse.parsed(whole, "my-meter.yaml", "my-meter")
    assert meter.elements[0].id == "meter"
    own = shipped("alfen-eve").commands[0]
    assert yaml.safe_load(command)["commands"][0]["amount"] == own.amount.text
