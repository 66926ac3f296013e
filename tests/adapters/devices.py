"""Devices that behave: registers laid out by pysunspec2, and a little physics behind them.

`python -m tests.adapters.devices NAME` serves one until it is ended, and prints its port.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from tests.adapters.peer import Peer, served

STEP_S = 0.1
METER = {
    "W": 1500, "W_SF": 0, "WphA": 400, "WphB": 500, "WphC": 600,
    "A": 66, "AphA": 17, "AphB": 22, "AphC": 27, "A_SF": -1,
    "PhV": 2302, "PhVphA": 2301, "PhVphB": 2302, "PhVphC": 2303, "V_SF": -1,
    "Hz": 5001, "Hz_SF": -2,
    "TotWhImp": 12_345_678, "TotWhExp": 654_321, "TotWh_SF": 0,
}  # fmt: skip


def meter() -> tuple[Peer, Callable[[float], None]]:
    """A meter through which a little more and a little less flows."""
    peer = Peer((203, METER))
    wh = 0.0
    now = 0.0

    def step(dt_s: float) -> None:
        nonlocal wh, now
        now += dt_s
        watts = [400 + round(20 * ((now + at) % 3)) for at in range(3)]
        wh += sum(watts) * dt_s / 3600
        peer.set(
            203,
            **dict(zip(("W", "WphA", "WphB", "WphC"), [sum(watts), *watts], strict=True)),
            **dict(zip(("AphA", "AphB", "AphC"), [round(one / 23.02) for one in watts], strict=True)),
            TotWhImp=METER["TotWhImp"] + int(wh),
        )

    return peer, step


DEVICES = {"meter": meter}


async def main(arguments: Sequence[str]) -> None:
    peer, step = DEVICES[arguments[0]]()
    async with served(peer, port=int(arguments[1]) if len(arguments) > 1 else 0) as port:
        print(port, flush=True)
        while True:
            await asyncio.sleep(STEP_S)
            step(STEP_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
