"""What the measurement of Modbus rests on: devices that move, and a delay that does not go unseen."""

from __future__ import annotations

import struct

from bench.bench_modbus import compared
from bench.modbus_devices import Held

QUIET = {port: [0.001] * 100 for port in range(3)}


def ask(function: int, at: int, count: int) -> bytes:
    return struct.pack(">HHBBHH", 0, 6, 1, function, at, count)


def words(answer: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{(len(answer) - 7) // 2}H", answer[7:])


def test_what_moves_is_another_in_each_answer_and_the_rest_stays() -> None:
    held = Held({3: {10: 2300, 12: 7}}, {(3, 10)})
    answers = [words(held.answer(ask(3, 10, 3))) for _ in range(3)]
    assert answers[0] == answers[2] != answers[1]
    assert {one[0] for one in answers} == {2300, 2301}
    assert {one[1:] for one in answers} == {(0, 7)}


def test_what_a_device_does_not_have_it_refuses() -> None:
    held = Held({3: {10: 1}}, set())
    assert held.answer(ask(3, 9, 2))[5:] == bytes([0x83, 2])
    assert held.answer(ask(4, 10, 1))[5:] == bytes([0x84, 2])


def test_windows_that_are_all_alike_hold() -> None:
    assert compared({"without": [QUIET] * 3, "with": [QUIET] * 3, "without_again": [QUIET] * 3})["holds"]


def test_a_delay_of_few_rounds_is_seen_where_it_comes_with_those_that_hang() -> None:
    late = {port: [0.001] * 95 + [0.02] * 5 for port in range(3)}
    found = compared({"without": [QUIET] * 3, "with": [late] * 3, "without_again": [QUIET] * 3})
    assert not found["holds"]
    assert found["added_p50_us"] == 0.0
    assert found["added_p99_us"] == 19_000.0


def test_a_delay_of_one_device_is_told() -> None:
    late = QUIET | {2: [0.004] * 100}
    found = compared({"without": [QUIET] * 3, "with": [late] * 3, "without_again": [QUIET] * 3})
    assert found["added_to_worst_device_us"] == 3000.0
    assert found["noise_of_worst_device_us"] == 0.0
