"""The models of a house, filled with what is known of it now. Pure.

Signs are SunSpec's: a DER counts what it gives as positive, a meter what it takes from the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import hypot
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from ores.adapters.sunspec.definitions import definitions
from ores.control.topology import CONDUCTORS, Place
from ores.hub.doors.mqtt_entities import power_of
from ores.hub.doors.sunspec_registers import Sheet
from ores.hub.doors.sunspec_shape import EXPORTED, GIVEN, IMPORTED, TAKEN, Shape, summed
from ores.model import AcMeasure, AcTerminal, ElementState, Flow

States = Mapping[str, ElementState]

FINE_MAX_W: Final = 32_000.0
"""Up to here watts are told one by one in 16 bits; beyond, by ten."""
HOUSEHOLD_W: Final = 16_000.0
"""What flows through one conductor at most where nobody says: 63 A."""
REST_W: Final = 20.0
"""Below this an inverter does nothing."""
PHASES: Final = ("A", "B", "C")
FULL_PCT: Final = 99.5
EMPTY_PCT: Final = 0.5
PERCENT_SCALE: Final = -2

_AC: Final = {"A_SF": -2, "V_SF": -1, "Hz_SF": -2}
_CONNECTED, _DISCONNECTED = 1, 0
_GRID_LOST: Final = 1 << 4
_MAKERS_ALARM: Final = 1 << 16
_FOLLOWING, _FORMING = 1 << 0, 1 << 1
_MAX_W: Final = 1 << 0
_PV, _PV_AND_STORE = 4, 82


class Limit(Struct, frozen=True):
    """What is held of the DER on somebody's behalf.

    Attributes:
        percent: Of what it can give.
        enabled: Whether it holds.
        timer_s: After which it ends, as was written; 0 leaves that to the hub.
        remains_s: Until it ends.
        after_percent: What was written for afterwards; never in force.
    """

    percent: float = 100.0
    enabled: bool = False
    timer_s: int = 0
    remains_s: int = 0
    after_percent: float = 100.0


class Now(Struct, frozen=True):
    """What is known now.

    Attributes:
        states: By `module/element`; what is not known now is absent.
        flow: Of the house.
        energy_wh: By counter, and by `module/element/energy_out_kwh`.
        reserve_pct: Kept in the stores.
        limit: None where no client may set one.
    """

    states: States
    flow: Flow
    energy_wh: Mapping[str, float]
    reserve_pct: float
    limit: Limit | None = None


class Identity(Struct, frozen=True):
    """Model 1."""

    name: str
    serial: str
    version: str
    unit: int


class _Phase(Struct, frozen=True):
    power_w: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None


def sheets(identity: Identity, shape: Shape, now: Now) -> list[Sheet]:
    """All models, in the order in which they stand; what may come late stands last."""
    found = [_common(identity)]
    if shape.members:
        found += [*_der(shape, now)]
    if shape.meter is not None:
        found += [*_meter(shape, now, shape.meter)]
    if shape.stores:
        found += [_storage(shape, now), _capacity(shape, now)]
    if shape.lines:
        found.append(_strings(shape, now))
    return found


def _sheet(model: int, scales: Mapping[str, int] | None = None, members: int = 0) -> Sheet:
    return Sheet(definitions()[model], scales or {}, members)


def _common(identity: Identity) -> Sheet:
    sheet = _sheet(1)
    sheet.put_text(Mn="ORES", Md="hub", Opt=identity.name, Vr=identity.version, SN=identity.serial)
    sheet.put(DA=identity.unit)
    return sheet


# The DER


class _Der(Struct, frozen=True):
    power_w: float | None
    var: float | None
    va: float | None
    hz: float | None
    phases: Sequence[_Phase]
    faulty: bool | None
    island: bool

    @property
    def current_a(self) -> float | None:
        """Of all conductors that there are."""
        return summed([phase.current_a for phase in self.phases])

    @property
    def voltage_v(self) -> float | None:
        known = [phase.voltage_v for phase in self.phases if phase.voltage_v is not None]
        return sum(known) / len(known) if known else None


def _der(shape: Shape, now: Now) -> Iterable[Sheet]:
    seen = _seen(shape, now)
    watts = watt_scale(shape.gives_max_w, shape.conductors)
    yield _inverter(shape, now, seen, watts)
    yield from _ratings(shape, watts)
    yield _controls(now.limit)
    yield _measured(shape, now, seen, watts)
    yield _der_ratings(shape, now, watts)
    yield _der_controls(now.limit)


def _seen(shape: Shape, now: Now) -> _Der:
    places = [member.place for member in shape.members]
    states = [now.states.get(place.key) for place in places]
    measured = [_ac(state) for state in states]
    into_w = summed([None if one is None else one.power_w for one in measured])
    into_var = summed([None if one is None else _or_none(one.reactive_power_var) for one in measured])
    meter = None if shape.meter is None else _ac(now.states.get(shape.meter.key))
    hz = next(
        (hz for one in (*measured, meter) if one is not None and (hz := _or_none(one.frequency_hz))), None
    )
    phases = [
        _of_all(places, measured, line, None if meter is None else _phase(meter, line, shape.meter).voltage_v)
        for line in CONDUCTORS[: shape.conductors]
    ]
    faulty = any(state is not None and state.fault is not UNSET and state.fault.codes for state in states)
    return _Der(
        power_w=None if into_w is None else 0.0 - into_w,
        var=None if into_var is None else 0.0 - into_var,
        va=None if into_w is None or into_var is None else hypot(into_w, into_var),
        hz=hz,
        phases=phases,
        faulty=True if faulty else None if None in states else False,
        island=False if now.flow.island is UNSET else now.flow.island,
    )


def _of_all(
    places: Sequence[Place], measured: Sequence[AcMeasure | None], line: str, meter_v: float | None
) -> _Phase:
    """One conductor of the DER: powers add up, and so do currents, each by the sign of its power.

    Where one member does not tell its own, nobody knows the sum.
    """
    phases = [
        _Phase() if one is None else _phase(one, line, place)
        for place, one in zip(places, measured, strict=True)
        if line in place.conductors or not place.conductors
    ]
    into_w = summed([phase.power_w for phase in phases])
    amps = summed([_signed(phase) for phase in phases]) if len(phases) > 1 else None
    if len(phases) == 1:
        amps = phases[0].current_a
    voltages = [meter_v, *(phase.voltage_v for phase in phases)]
    return _Phase(
        power_w=None if into_w is None else 0.0 - into_w,
        current_a=None if amps is None else abs(amps) if phases else 0.0,
        voltage_v=next((voltage for voltage in voltages if voltage is not None), None),
    )


def _signed(phase: _Phase) -> float | None:
    if phase.current_a is None or phase.power_w is None:
        return None
    return phase.current_a if phase.power_w >= 0 else -phase.current_a


def _phase(measured: AcMeasure, line: str, place: Place | None) -> _Phase:
    """A conductor as an element tells it; an element with a single one has all its power there."""
    terminals = {} if measured.terminals is UNSET else measured.terminals
    one = terminals.get(line) or AcTerminal()
    power_w = _or_none(one.power_w)
    if power_w is None and place is not None and place.conductors == (line,):
        power_w = measured.power_w
    current_a = _or_none(one.current_a)
    return _Phase(power_w, None if current_a is None else abs(current_a), _or_none(one.voltage_v))


def _inverter(shape: Shape, now: Now, seen: _Der, watts: int) -> Sheet:
    scales = {**_AC, "W_SF": watts, "VA_SF": watts, "VAr_SF": watts, "WH_SF": 0, "Tmp_SF": 0}
    sheet = _sheet(100 + shape.conductors, scales)
    sheet.put(
        A=seen.current_a,
        W=seen.power_w,
        Hz=seen.hz,
        VA=seen.va,
        VAr=seen.var,
        WH=now.energy_wh.get(GIVEN),
        St=_by_state(now, seen, fault=7, throttled=5, running=4, standby=8),
        Evt1=None if seen.faulty is None else _GRID_LOST if seen.island else 0,
        Evt2=0,
        EvtVnd1=None if seen.faulty is None else int(seen.faulty),
    )
    for phase, one in zip(PHASES, seen.phases, strict=False):
        sheet.put(**{f"Aph{phase}": one.current_a, f"PhVph{phase}": one.voltage_v})
    return sheet


def _by_state(now: Now, seen: _Der, *, fault: int, throttled: int, running: int, standby: int) -> int | None:
    if seen.faulty:
        return fault
    if seen.power_w is None:
        return None
    if abs(seen.power_w) < REST_W:
        return standby
    return throttled if now.limit is not None and now.limit.enabled else running


def _ratings(shape: Shape, watts: int) -> Iterable[Sheet]:
    gives_w = shape.gives_max_w
    sheet = _sheet(120, {"WRtg_SF": watts, "WHRtg_SF": _energy_scale(shape), **_rates(watts)})
    sheet.put(DERTyp=_PV_AND_STORE if shape.stores else _PV, WRtg=gives_w)
    if shape.stores:
        sheet.put(WHRtg=shape.capacity_wh, MaxChaRte=shape.charge_max_w, MaxDisChaRte=shape.discharge_max_w)
    yield sheet
    settings = _sheet(121, {"WMax_SF": watts})
    settings.put(WMax=gives_w)
    yield settings


def _rates(watts: int) -> dict[str, int]:
    return {"MaxChaRte_SF": watts, "MaxDisChaRte_SF": watts}


def _controls(limit: Limit | None) -> Sheet:
    """123. Those that it demands stand there in any case: nothing is limited, and it is connected."""
    sheet = _sheet(123, {"WMaxLimPct_SF": PERCENT_SCALE})
    held = limit or Limit()
    sheet.put(
        Conn=_CONNECTED, WMaxLimPct=held.percent, WMaxLim_Ena=int(held.enabled), OutPFSet_Ena=0, VArPct_Ena=0
    )
    if limit is not None:
        sheet.put(WMaxLimPct_WinTms=0, WMaxLimPct_RvrtTms=limit.timer_s, WMaxLimPct_RmpTms=0)
    return sheet


def _measured(shape: Shape, now: Now, seen: _Der, watts: int) -> Sheet:
    scales = {**_AC, "W_SF": watts, "VA_SF": watts, "Var_SF": watts, "TotWh_SF": 0}
    sheet = _sheet(701, scales)
    alarms = (_MAKERS_ALARM if seen.faulty else 0) | (_GRID_LOST if seen.island else 0)
    running = None if seen.power_w is None else 1
    sheet.put(
        ACType=shape.conductors - 1,
        St=running,
        InvSt=_by_state(now, seen, fault=6, throttled=4, running=3, standby=7),
        ConnSt=running and (_DISCONNECTED if seen.island else _CONNECTED),
        Alrm=None if seen.faulty is None else alarms,
        DERMode=running and (_FORMING if seen.island else _FOLLOWING),
        W=seen.power_w,
        VA=seen.va,
        Var=seen.var,
        A=seen.current_a,
        LNV=seen.voltage_v,
        Hz=seen.hz,
        TotWhInj=now.energy_wh.get(GIVEN),
        TotWhAbs=now.energy_wh.get(TAKEN),
    )
    for at, one in enumerate(seen.phases, 1):
        sheet.put(**{f"WL{at}": one.power_w, f"AL{at}": one.current_a, f"VL{at}": one.voltage_v})
    if now.limit is not None and now.limit.enabled:
        sheet.put(ThrotPct=now.limit.percent, ThrotSrc=_MAX_W)
    return sheet


def _der_ratings(shape: Shape, now: Now, watts: int) -> Sheet:
    sheet = _sheet(702, {"W_SF": watts})
    gives_w = shape.gives_max_w
    sheet.put(WMaxRtg=gives_w, WMax=gives_w, CtrlModes=0 if now.limit is None else _MAX_W)
    if shape.stores:
        sheet.put(WChaRteMaxRtg=shape.charge_max_w, WDisChaRteMaxRtg=shape.discharge_max_w)
    return sheet


def _der_controls(limit: Limit | None) -> Sheet:
    sheet = _sheet(704, {"WMaxLimPct_SF": PERCENT_SCALE})
    if limit is not None:
        sheet.put(
            WMaxLimPctEna=int(limit.enabled),
            WMaxLimPct=limit.percent,
            WMaxLimPctRvrt=limit.after_percent,
            WMaxLimPctEnaRvrt=0,
            WMaxLimPctRvrtTms=limit.timer_s,
            WMaxLimPctRvrtRem=limit.remains_s,
        )
    return sheet


# The meter


def _meter(shape: Shape, now: Now, meter: Place) -> Iterable[Sheet]:
    measured = _ac(now.states.get(meter.key))
    rating_w = min(meter.consume_max_w, meter.current_max_a * meter.watt_per_a)
    watts = watt_scale(rating_w if rating_w < float("inf") else None, shape.conductors)
    whole = {**_AC, "W_SF": watts, "VAR_SF": watts, "TotWh_SF": 0}
    for model, scales in ((200, whole), (210, {})):
        sheet = _sheet(model + shape.conductors, scales)
        sheet.put(TotWhImp=now.energy_wh.get(IMPORTED), TotWhExp=now.energy_wh.get(EXPORTED), Evt=0)
        if measured is not None:
            _put_meter(sheet, measured, meter, shape.conductors)
        yield sheet


def _put_meter(sheet: Sheet, measured: AcMeasure, meter: Place, conductors: int) -> None:
    phases = [_phase(measured, line, meter) for line in CONDUCTORS[:conductors]]
    voltages = [phase.voltage_v for phase in phases]
    total_v = summed(voltages)
    sheet.put(
        A=summed([phase.current_a for phase in phases]),
        PhV=None if total_v is None else total_v / len(voltages),
        Hz=_or_none(measured.frequency_hz),
        W=measured.power_w,
        VAR=_or_none(measured.reactive_power_var),
    )
    for letter, one in zip(PHASES, phases, strict=False):
        sheet.put(
            **{f"Aph{letter}": one.current_a, f"PhVph{letter}": one.voltage_v, f"Wph{letter}": one.power_w}
        )


# Stores and strings


def _storage(shape: Shape, now: Now) -> Sheet:
    watts = watt_scale(shape.charge_max_w, shape.conductors)
    sheet = _sheet(124, {"WChaMax_SF": watts, "MinRsvPct_SF": -1, "ChaState_SF": -1})
    soc_pct = _or_none(now.flow.soc_pct)
    sheet.put(
        WChaMax=shape.charge_max_w,
        StorCtl_Mod=0,
        MinRsvPct=now.reserve_pct,
        ChaState=soc_pct,
        ChaSt=_charging(soc_pct, now.flow.battery_w),
    )
    return sheet


def _charging(soc_pct: float | None, into_w: float | None) -> int | None:
    if into_w is None or soc_pct is None:
        return None
    if abs(into_w) >= REST_W:
        return 4 if into_w > 0 else 3
    return 5 if soc_pct >= FULL_PCT else 2 if soc_pct <= EMPTY_PCT else 6


def _capacity(shape: Shape, now: Now) -> Sheet:
    sheet = _sheet(713, {"WH_SF": _energy_scale(shape), "Pct_SF": -1})
    soc_pct = _or_none(now.flow.soc_pct)
    sheet.put(
        WHRtg=shape.capacity_wh,
        WHAvail=None if soc_pct is None else shape.capacity_wh * soc_pct / 100.0,
        SoC=soc_pct,
    )
    states = [now.states.get(key) for key in shape.stores]
    if None not in states:
        faulty = any(one is not None and one.fault is not UNSET and one.fault.codes for one in states)
        sheet.put(Sta=2 if faulty else 0)
    return sheet


def _strings(shape: Shape, now: Now) -> Sheet:
    scales = {"DCA_SF": -2, "DCV_SF": -1, "DCW_SF": 0, "DCWH_SF": 0}
    sheet = _sheet(160, scales, len(shape.lines))
    sheet.put(N=len(shape.lines))
    for at, line in enumerate(shape.lines):
        state = now.states.get(line.key)
        measured = None if state is None or state.dc_measure is UNSET else state.dc_measure
        gives_w = None if measured is None or measured.power_w is None else max(0.0, -measured.power_w)
        current_a = None if measured is None else _or_none(measured.current_a)
        sheet.put_member(
            at,
            line.name,
            ID=at + 1,
            DCA=None if current_a is None else abs(current_a),
            DCV=None if measured is None else _or_none(measured.voltage_v),
            DCW=gives_w,
            DCWH=now.energy_wh.get(f"{line.key}/energy_out_kwh"),
            DCSt=None if gives_w is None else 4 if gives_w > 0 else 8,
        )
    return sheet


# Numbers


def watt_scale(most_w: float | None, conductors: int) -> int:
    """A power of ten with which a quarter more than what is rated fits into 16 bits with a sign."""
    most_w = HOUSEHOLD_W * conductors if most_w is None else most_w
    scale = 0
    while 1.25 * most_w > FINE_MAX_W * 10.0**scale:
        scale += 1
    return scale


def _energy_scale(shape: Shape) -> int:
    return 0 if shape.capacity_wh < 65_000 else 1 if shape.capacity_wh < 650_000 else 3


def _ac(state: ElementState | None) -> AcMeasure | None:
    if state is None:
        return None
    if state.ac_measure is not UNSET:
        return state.ac_measure
    power_w = power_of(state)
    return None if power_w is None else AcMeasure(power_w=power_w)


def _or_none(value: float | UnsetType | None) -> float | None:
    return None if isinstance(value, UnsetType) else value
