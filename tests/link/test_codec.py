"""What goes out is finite and in range; what comes in is refused with field, found and allowed."""

from __future__ import annotations

import json
import time
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.link.codec import decode, encode
from ores.link.errors import InvalidMessage
from ores.model import FromModule

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Storage(msgspec.Struct, frozen=True, omit_defaults=True):
    soc_pct: Percent | None
    power_w: float = 0.0
    cells_v: tuple[float, ...] = ()


class Report(msgspec.Struct, frozen=True):
    elements: dict[str, Storage]
    seq: int = 0


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    power_w: float


def refusal(message: msgspec.Struct) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        encode(message)
    return caught.value


def unreadable(type_: type, data: bytes, **options: bool | int) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        decode(type_, data, **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_never_goes_out(bad: float) -> None:
    error = refusal(Report({"battery": Storage(soc_pct=50), "spare": Storage(soc_pct=50, power_w=bad)}))
    assert error.field == "$.elements.spare.power_w"
    assert error.found == repr(bad)
    assert error.allowed is not None
    assert "finite" in error.allowed


def test_nan_does_not_slip_out_as_unknown() -> None:
    """msgspec alone writes null here, which its reader accepts."""
    silent = msgspec.json.encode(Storage(soc_pct=float("nan")))
    assert msgspec.json.decode(silent, type=Storage).soc_pct is None
    assert refusal(Storage(soc_pct=float("nan"))).field == "$.soc_pct"


def test_a_number_out_of_range_never_goes_out() -> None:
    error = refusal(Report({"battery": Storage(soc_pct=50), "spare": Storage(soc_pct=120.5)}))
    assert (error.field, error.found) == ("$.elements.spare.soc_pct", "120.5")
    assert error.allowed is not None
    assert "<= 100" in error.allowed


def test_nan_deep_in_a_list_is_found() -> None:
    assert refusal(Storage(soc_pct=1, cells_v=(3.2, float("nan")))).field == "$.cells_v[1]"


def test_a_value_of_another_type_never_goes_out() -> None:
    error = refusal(Command(power_w="500"))  # type: ignore[arg-type]
    assert (error.field, error.found, error.allowed) == ("$.power_w", '"500"', "float")


def test_a_value_that_reads_back_differently_never_goes_out() -> None:
    listed = Storage(soc_pct=1, cells_v=[1.0])  # type: ignore[arg-type]
    assert "reads back" in str(refusal(listed).allowed)


def test_a_value_that_json_cannot_carry_never_goes_out() -> None:
    assert "JSON" in refusal(Command(power_w=object())).detail  # type: ignore[arg-type]


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.builds(
            Storage,
            soc_pct=st.none() | st.floats(0, 100),
            power_w=st.floats(allow_nan=False, allow_infinity=False),
            cells_v=st.lists(st.floats(0, 5), max_size=3).map(tuple),
        ),
        max_size=4,
    ),
    st.integers(-(2**53), 2**53),
)
def test_what_goes_out_comes_in_the_same(elements: dict[str, Storage], seq: int) -> None:
    report = Report(elements, seq)
    assert decode(Report, encode(report)) == report


@given(st.floats())
def test_exactly_the_percentages_go_out(value: float) -> None:
    message = Storage(soc_pct=value)
    if 0 <= value <= 100:
        assert json.loads(encode(message))["soc_pct"] == value
    else:
        assert refusal(message).field == "$.soc_pct"


def test_an_unreadable_field_is_named() -> None:
    error = unreadable(Report, b'{"elements":{"a":{"soc_pct":1},"b":{"soc_pct":101}}}')
    assert (error.field, error.found) == ("$.elements.b.soc_pct", "101")


def test_a_missing_field_is_named() -> None:
    error = unreadable(Report, b'{"elements":{"a":{}}}')
    assert (error.field, error.found, error.allowed) == (
        "$.elements.a.soc_pct",
        "nothing",
        "this field is required",
    )


def test_an_unknown_field_in_a_command_is_named() -> None:
    error = unreadable(Command, b'{"power_w":1,"force":true}')
    assert (error.field, error.found) == ("$.force", "true")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b'{"power_w":NaN}', b'{"power_w":1}x', b"\xff", b'{"a":"\xff"}']
)
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    assert unreadable(Command, text).code == "invalid_message"


def test_what_is_too_large_is_refused_unread() -> None:
    error = unreadable(Command, b"[" * 10_000_000, limit_bytes=4096)
    assert error.code == "too_large"
    assert error.allowed == "at most 4096 bytes"


@pytest.mark.parametrize(
    "data", [b'{"x":' + b"[" * n + b"]" * n + b',"power_w":1}' for n in (64, 900, 100_000)]
)
def test_deep_json_is_refused_and_does_not_exhaust_the_stack(data: bytes) -> None:
    assert "64" in unreadable(Storage, data).detail


def test_sixty_four_levels_are_allowed() -> None:
    data = b'{"soc_pct":1,"x":' + b"[" * 63 + b"]" * 63 + b"}"
    assert decode(Storage, data).soc_pct == 1


def test_brackets_in_text_are_not_depth() -> None:
    data = json.dumps({"soc_pct": 1, "x": '[{"\\' * 100}).encode()
    assert decode(Storage, data).soc_pct == 1


def test_closing_brackets_in_text_do_not_hide_depth() -> None:
    data = b'{"soc_pct":1,"x":' + b'["]",' * 70 + b"1" + b"]" * 70 + b"}"
    assert "64" in unreadable(Storage, data).detail


def test_open_ends_are_malformed_not_deep() -> None:
    assert "not JSON" in unreadable(Storage, b"[]" * 70).detail


def test_a_key_that_appears_twice_is_refused_in_a_command() -> None:
    data = b'{"power_w":1,"power_w":2}'
    assert decode(Command, data) == Command(2.0)
    assert unreadable(Command, data, unique_keys=True).field == "power_w"
    assert decode(Command, b'{"power_w":1}', unique_keys=True) == Command(1.0)


HOSTILE = {
    "quotes that never end": b"[" * 70 + b'"' + b'\\"' * 32_000,
    "escapes that never end": b"[" * 70 + b'"\\' * 32_000,
    "brackets": b"[" * 32_000 + b"{" * 32_000,
    "the last of many keys": b'{"state":{"boot_id":"00000001","uptime_ms":1,'
    b'"control_source":"policy","elements":{'
    + b",".join(b'"e%d":{}' % n for n in range(5500))
    + b',"z":{"ac_measure":{"power_w":"x"}}}}}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_frame_takes_the_time_of_many(data: bytes) -> None:
    began_s = time.process_time()
    with pytest.raises(InvalidMessage):
        decode(FromModule, data, limit_bytes=65_600)
    assert time.process_time() - began_s < 0.1
