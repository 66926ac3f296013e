"""The planner's process: reads questions from its input and writes answers to its output until that ends."""

from __future__ import annotations

import math
import os
import sys
from typing import BinaryIO

import msgspec
import numpy as np

from ores.ems.standing import Standing
from ores.hub.plan.drawing import battery, drawn
from ores.hub.plan.messages import LENGTH_BYTES, Ask, Past, Told, told
from ores.hub.plan.tariff_file import chosen


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions until there are no more."""
    standing: Standing | None = None
    while (frame := _frame(questions)) is not None:
        try:
            ask = msgspec.msgpack.decode(frame, type=Ask)
            if standing is None:
                one = chosen(ask.tariff_json, ask.tariff_id)
                standing = Standing(one, battery(ask.stores), sells=ask.sells)
            _observe(standing, ask.past)
            picture = None if ask.stored_kwh is None else drawn(standing, ask, ask.stored_kwh)
            answer = told(standing.slots(ask.start_s, ask.count), picture)
        except Exception as error:  # noqa: BLE001  whatever it is, the hub tells a person, and starts anew
            answer = Told(error=f"{type(error).__name__}: {error}")
        body = msgspec.msgpack.encode(answer)
        answers.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        answers.flush()


def _observe(standing: Standing, past: Past) -> None:
    def known(values: list[float | None]) -> list[float]:
        return [math.nan if value is None else value for value in values]

    start_s = np.array(past.start_s, dtype=np.int64)
    net, bought, pv = (np.array(known(one)) for one in (past.net_kwh, past.bought_kwh, past.pv_kwh))
    standing.observe(start_s, net, bought, pv)


def _frame(questions: BinaryIO) -> bytes | None:
    head = questions.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    body = questions.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, prints where a person reads
    serve(sys.stdin.buffer, output)
