"""Where in a payload a value is: the few forms that devices use, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ores.adapters.mqtt.template import MISSING, Payload, number, path, template
from ores.link.errors import PeerError

TASMOTA = '{"Time":"2026-01-01T00:00:00","ENERGY":{"Power":142,"Total":12.5,"Factor":[0.9,1]},"state":"ON"}'


@pytest.mark.parametrize(
    ("text", "payload", "value"),
    [
        ("", "12.5", "12.5"),
        ("{{ value }}", "12.5", "12.5"),
        ("{{ value | float / 1000 }}", "12.5", 0.0125),
        ("{{value_json.ENERGY.Power}}", TASMOTA, 142),
        ("{{ value_json['ENERGY']['Power'] | round(1) }}", TASMOTA, 142.0),
        ('{{ value_json["ENERGY"].Total * 1000 }}', TASMOTA, 12500.0),
        ("{{ value_json.ENERGY.Factor[0] }}", TASMOTA, 0.9),
        ("{{ value_json.state }}", TASMOTA, "ON"),
        ("{{- value_json.state | lower -}}", TASMOTA, "on"),
        ("{{ 'online' if value_json.state == 'ON' else 'offline' }}", TASMOTA, "online"),
        ("{{ -value_json.ENERGY.Power }}", TASMOTA, -142.0),
        ("{{ (value | int + 1) * 2 - 3 }}", "4", 7.0),
        ("{{ value_json | is_defined }}", "4", 4),
        ("{{ value_json.nothing }}", TASMOTA, MISSING),
        ("{{ value_json.nothing | default(0) | float(0) }}", TASMOTA, MISSING),
        ("{{ value_json.a | float(0) }}", '{"a": null}', None),
        ("{{ value_json.a }}", "no json", MISSING),
        ("{{ value | float / 0 }}", "1", None),
    ],
)
def test_a_value_is_found(text: str, payload: str, value: object) -> None:
    assert template(text)(Payload(payload)) == value


@pytest.mark.parametrize(
    "text",
    [
        "{% if value %}1{% endif %}",
        "{{ states('sensor.x') }}",
        "{{ value.__class__ }} {{ value }}",
        "{{ value | eval }}",
        "{{ range(10) }}",
        "{{ value_json[value] }}",
        "{{ value",
        "{{ }}",
        "text",
        "{{ " + "(" * 100 + "value" + ")" * 100 + " }}",
        "{{ " + "-" * 500 + "1 }}",
        "{{ value " + "| float " * 500 + " }}",
    ],
)
def test_what_is_no_such_form_is_refused(text: str) -> None:
    with pytest.raises(PeerError, match="is not understood"):
        template(text)


def test_a_path_is_a_place_in_json() -> None:
    assert path("ENERGY.Power")(Payload(TASMOTA)) == 142
    assert path("[1].w")(Payload('[{"w": 1}, {"w": 2}]')) == 2


@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", "1e999", True, False, None, MISSING, "", [], {}, "ON"]
)
def test_what_is_no_finite_number_is_none(value: object) -> None:
    assert number(value) is None


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_template_and_no_payload_breaks_the_reader(text: str, payload: str) -> None:
    try:
        evaluate = template("{{ " + text + " }}")
    except PeerError:
        return
    number(evaluate(Payload(payload)))
