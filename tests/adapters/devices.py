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


class Timer:
    """A control of 704 with its reversion timer: it begins anew when it is written."""

    def __init__(self, peer: Peer, model: int, enable: str, timer: str, left: str = "") -> None:
        self.peer, self.model, self.enable, self.timer, self.left = peer, model, enable, timer, left
        self.left_s = 0.0

    def written(self) -> None:
        if self.peer.get(self.model, self.enable) == 1:
            self.left_s = float(self.peer.get(self.model, self.timer) or 0) or float("inf")

    def pass_(self, dt_s: float) -> bool:
        """Whether it has run out now."""
        if self.peer.get(self.model, self.enable) != 1:
            self.left_s = 0.0
            return False
        self.left_s -= dt_s
        if self.left:
            self.peer.set(self.model, **{self.left: max(0, int(min(self.left_s, 1e6)))})
        if self.left_s > 0:
            return False
        self.peer.set(self.model, **{self.enable: 0})
        return True


BATTERY = (
    (701, {
        "ACType": 0, "St": 1, "InvSt": 3, "ConnSt": 1, "Alrm": 0, "DERMode": 1, "W": 0, "VA": 0, "Var": 0,
        "A": 0, "LNV": 2300, "Hz": 5000, "TotWhInj": 100_000, "TotWhAbs": 120_000, "WL1": 0, "AL1": 0,
        "VL1": 2300, "A_SF": -1, "V_SF": -1, "Hz_SF": -2, "W_SF": 0, "VA_SF": 0, "Var_SF": 0, "TotWh_SF": 0,
    }),
    (702, {
        "WMaxRtg": 5000, "WMax": 5000, "WChaRteMaxRtg": 5000, "WDisChaRteMaxRtg": 5000, "WChaRteMax": 4800,
        "WDisChaRteMax": 5000, "W_SF": 0, "CtrlModes": 3,
    }),
    (704, {
        "WMaxLimPctEna": 0, "WMaxLimPct": 1000, "WMaxLimPctRvrt": 1000, "WMaxLimPctEnaRvrt": 0,
        "WMaxLimPctRvrtTms": 0, "WMaxLimPctRvrtRem": 0, "WSetEna": 0, "WSetMod": 0, "WSet": 0, "WSetRvrt": 0,
        "WSetEnaRvrt": 0, "WSetRvrtTms": 0, "WSetRvrtRem": 0, "WMaxLimPct_SF": -1, "WSet_SF": 0,
    }),
    (713, {"WHRtg": 10_000, "SoC": 500, "SoH": 980, "Sta": 0, "WH_SF": 0, "Pct_SF": -1}),
)  # fmt: skip
RAMP_W_PER_S = 10_000.0


def battery() -> tuple[Peer, Callable[[float], None]]:
    """An AC battery that follows its set-point until the timer ends it; alone it rests."""
    peer = Peer(*BATTERY)
    timer = Timer(peer, 704, "WSetEna", "WSetRvrtTms", "WSetRvrtRem")
    peer.on_write = timer.written
    at = {"w": 0.0, "inj": 100_000.0, "abs": 120_000.0, "soc": 50.0}

    def step(dt_s: float) -> None:
        timer.pass_(dt_s)
        wanted = float(peer.get(704, "WSet")) if peer.get(704, "WSetEna") == 1 else 0.0
        wanted = min(max(wanted, -4800.0), 5000.0)
        at["w"] += min(max(wanted - at["w"], -RAMP_W_PER_S * dt_s), RAMP_W_PER_S * dt_s)
        wh = at["w"] * dt_s / 3600
        at["inj" if wh > 0 else "abs"] += abs(wh)
        at["soc"] = min(100.0, max(0.0, at["soc"] - 100 * wh / 10_000))
        w = round(at["w"])
        peer.set(
            701, W=w, WL1=w, VA=abs(w), A=round(abs(w) / 23), AL1=round(abs(w) / 23),
            TotWhInj=int(at["inj"]), TotWhAbs=int(at["abs"]),
        )  # fmt: skip
        peer.set(713, SoC=round(at["soc"] * 10))

    return peer, step


INVERTER = (
    (103, {
        "A": 130, "AphA": 43, "AphB": 43, "AphC": 44, "A_SF": -1, "PhVphA": 2301, "PhVphB": 2302,
        "PhVphC": 2303, "V_SF": -1, "W": 3000, "W_SF": 0, "Hz": 5001, "Hz_SF": -2, "WH": 7_000_000,
        "WH_SF": 0, "DCW": 3100,
        "DCW_SF": 0, "TmpCab": 40, "Tmp_SF": 0, "St": 4, "Evt1": 0, "Evt2": 0,
    }),
    (120, {"DERTyp": 4, "WRtg": 8000, "WRtg_SF": 0}),
    (121, {"WMax": 8000, "WMax_SF": 0}),
    (123, {
        "Conn": 1, "WMaxLimPct": 1000, "WMaxLimPct_WinTms": 0, "WMaxLimPct_RvrtTms": 0,
        "WMaxLimPct_RmpTms": 0, "WMaxLim_Ena": 0, "WMaxLimPct_SF": -1, "OutPFSet_Ena": 0, "VArPct_Ena": 0,
    }),
    (160, {
        "DCA_SF": -1, "DCV_SF": -1, "DCW_SF": 0, "DCWH_SF": 0, "N": 2, "module": [
            {"ID": 1, "IDStr": "MPPT 1", "DCA": 40, "DCV": 4500, "DCW": 1800, "DCWH": 4_000_000, "DCSt": 4},
            {"ID": 2, "IDStr": "MPPT 2", "DCA": 30, "DCV": 4400, "DCW": 1300, "DCWH": 3_000_000, "DCSt": 4},
        ],
    }),
)  # fmt: skip


def inverter() -> tuple[Peer, Callable[[float], None]]:
    """A string inverter under a steady sun, that can be limited."""
    peer = Peer(*INVERTER)
    return peer, _limited(peer)


def _limited(peer: Peer) -> Callable[[float], None]:
    timer = Timer(peer, 123, "WMaxLim_Ena", "WMaxLimPct_RvrtTms")
    peer.on_write = timer.written
    at = {"w": 3000.0, "wh": 7_000_000.0}

    def step(dt_s: float) -> None:
        timer.pass_(dt_s)
        limited = peer.get(123, "WMaxLim_Ena") == 1
        most = 8000.0 * float(peer.get(123, "WMaxLimPct")) / 1000 if limited else 8000.0
        wanted = min(3000.0, most)
        at["w"] += min(max(wanted - at["w"], -RAMP_W_PER_S * dt_s), RAMP_W_PER_S * dt_s)
        at["wh"] += at["w"] * dt_s / 3600
        w = round(at["w"])
        amps = round(w / 3 / 23.02)
        peer.set(
            103, W=w, A=3 * amps, AphA=amps, AphB=amps, AphC=amps, DCW=w, WH=int(at["wh"]),
            St=5 if most < 3000 else 4,
        )  # fmt: skip

    return step


HYBRID = (
    *INVERTER[:-1],
    (124, {
        "WChaMax": 5000, "WChaGra": 100, "WDisChaGra": 100, "StorCtl_Mod": 0, "MinRsvPct": 10,
        "ChaState": 655,
        "ChaSt": 4, "WChaMax_SF": 0, "WChaDisChaGra_SF": 0, "MinRsvPct_SF": 0, "ChaState_SF": -1,
    }),
    (160, {
        "DCW_SF": 1, "DCV_SF": -1, "N": 3, "module": [
            {"ID": 1, "IDStr": "MPPT 1", "DCW": 500, "DCV": 4500, "DCSt": 4},
            {"ID": 2, "IDStr": "StCha 2", "DCW": 200, "DCV": 4000},
            {"ID": 3, "IDStr": "StDisCha 3", "DCW": 0, "DCV": 4000},
        ],
    }),
)  # fmt: skip


def hybrid() -> tuple[Peer, Callable[[float], None]]:
    """A hybrid whose battery charges from its strings, and whose AC side can be limited."""
    peer = Peer(*HYBRID)
    return peer, _limited(peer)


DEVICES = {"meter": meter, "battery": battery, "inverter": inverter, "hybrid": hybrid}


async def main(arguments: Sequence[str]) -> None:
    peer, step = DEVICES[arguments[0]]()
    async with served(peer, port=int(arguments[1]) if len(arguments) > 1 else 0) as port:
        print(port, flush=True)
        while True:
            await asyncio.sleep(STEP_S)
            step(STEP_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
