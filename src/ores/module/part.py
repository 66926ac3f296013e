"""One element of a running module: its last reading, what holds for it, and what its device answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from math import inf, isfinite
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.model import (
    Element,
    ElementCommand,
    ElementState,
    Energy,
    Fault,
    Hazard,
    Limits,
    LimitState,
    Outcome,
    SetpointState,
    SwitchCommand,
)
from ores.module import reading as readings
from ores.module.device import (
    Answer,
    AnswersLater,
    Clipped,
    Commandable,
    Device,
    KnowsAge,
    Refused,
    SensesHazards,
    TakesFailsafe,
)
from ores.module.effective import (
    FREE,
    ISLAND,
    NO_CEILINGS,
    PROTECTION,
    Ceilings,
    Effective,
    Own,
    Resolved,
    own_of,
    refusal,
    resolve,
    rules_of,
)
from ores.module.hazards import PROTECTED, Hazards, declared
from ores.module.holds import KeptOpen, LeastTimes

_log: Final = logging.getLogger("ores.module")

READ_FAILED: Final = "read_failed"
READ_INVALID: Final = "read_invalid"
APPLY_FAILED: Final = "apply_failed"
HAZARD_UNKNOWN: Final = "hazard_unknown"
HOLD: Final = "hold"
PERIODS_MAX: Final = 3.0
"""A reading that is older is unknown."""
_DUST_S: Final = 1e-6
RESERVE: Final = "reserve"


class Part:
    """What a module knows about one of its elements.

    Args:
        element: Its description.
        device: Read, and told what to do.
        report_period_s: A reading older than this is stale, and unknown beyond three times this.
    """

    def __init__(self, element: Element, device: Device, report_period_s: float = inf) -> None:
        self.element: Final = element
        self.rules: Final = rules_of(element)
        self.reading = readings.unknown(
            element, Energy(energy_in_wh=None, energy_out_wh=None, counter_epoch=0)
        )
        self._raw: ElementState | None = None
        self._nothing: Final = readings.unknown(element, UNSET)
        self.counts_itself: bool | None = None
        self.own = FREE
        self.failsafe = NO_CEILINGS
        self.leased: ElementCommand | None = None
        self.wish: ElementCommand | None = None
        self.answer: Answer = None
        self.reserve_pct = 0.0
        self.holds_island = False
        self._kept_open: Final = KeptOpen()
        self.faults: dict[str, str] = {}
        watched = element.capabilities.hazard
        self._inputs: Final = () if isinstance(watched, UnsetType) else tuple(watched.inputs)
        self.hazards: Final = Hazards(self._inputs) if self._inputs else None
        self._senses: Final = device.active_hazards if isinstance(device, SensesHazards) else None
        self.hazard: Hazard | UnsetType = UNSET if self.hazards is None else Hazard(hazards={})
        self.limit: LimitState | UnsetType = UNSET
        self.setpoint: SetpointState | UnsetType = UNSET
        self._device: Final = device
        self._age: Final = device.measured_at_s if isinstance(device, KnowsAge) else None
        self._period_s: Final = report_period_s
        self._measured_at_s = inf
        self._tell: Final = device.apply if isinstance(device, Commandable) else None
        self._later: Final = device.answered if isinstance(device, AnswersLater) else None
        self._fall: Final = device.fall_back if isinstance(device, TakesFailsafe) else None
        able = element.capabilities.storage
        self.has_storage: Final = not isinstance(able, UnsetType)
        self.has_reserve: Final = not isinstance(able, UnsetType) and able.reserve_setting is True
        self.told_at_s = -inf
        self._applied: Effective | None = None
        self._settled = False
        self._least: Final = LeastTimes(element.capabilities)
        self.due_s = inf
        self.resolved: Resolved = self._resolve()
        self._report()

    def read(self, now_s: float) -> None:
        """Read the device. Whatever goes wrong there makes this element unknown, and nothing else.

        Args:
            now_s: Process time.
        """
        try:
            if self._age is not None:
                self._measured_at_s = _recent(self._age(self.element.id), now_s, PERIODS_MAX * self._period_s)
            reading = self._device.read(self.element.id)
            if reading == self._raw:
                return
            raw = reading
            if type(reading) is not ElementState:
                raise TypeError(f"a reading is an ElementState, not {reading!r}")  # noqa: TRY301
            if readings.is_sound(reading):
                self.clear_fault(READ_INVALID)
            else:
                reading = readings.cleaned(reading)
                self.raise_fault(READ_INVALID, "values that are not finite, or not in their range")
            self.clear_fault(READ_FAILED)
            if self.counts_itself is not True:
                self.counts_itself = reading.energy is not UNSET
            reading = readings.completed(reading, self._nothing)
            if reading.energy is UNSET and self.counts_itself:
                reading = msgspec.structs.replace(reading, energy=self._counters())
            self._raw = raw
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; its element alone pays
            self.raise_fault(READ_FAILED, repr(error))
            reading = readings.unknown(self.element, self._counters())
            self._raw, self._measured_at_s = None, inf
        self.reading = reading

    def look_for_hazards(self, now_s: float) -> bool:
        """Ask what endangers it; whether something has latched that was not before."""
        if self.hazards is None or self._senses is None:
            return False
        active: Collection[str] | None = None
        try:
            active = declared(self._senses(self.element.id), self._inputs)
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; its element alone pays
            self.raise_fault(HAZARD_UNKNOWN, repr(error))
        else:
            self.clear_fault(HAZARD_UNKNOWN)
        latched = self.hazards.look(active, now_s)
        self.hazard = self.hazards.state(now_s)
        return latched

    @property
    def endangered(self) -> bool:
        """Whether a hazard keeps its power at 0 (CAP-022)."""
        return self.hazards is not None and self.hazards.endangered

    def bind(self, own: Own) -> None:
        """What the device allows itself from now on."""
        if own != self.own:
            self.own = own
            self._settled = False

    def hold_island(self, holds: bool) -> None:
        """Whether an island's loads decide what flows here: this element forms it, or feeds what does."""
        if holds != self.holds_island:
            self.holds_island = holds
            self._settled = False

    def look_at_tie(self, tie_closed: bool | None) -> None:
        """Notice what of an island concerns the switch of this element (HOLD-010).

        Args:
            tie_closed: Of the tie above its bus; None where that is not known now.
        """
        leased = None if self.leased is None else self.leased.switch
        switch = self.reading.switch
        before = self._kept_open.now
        self._kept_open.look(
            tie_closed=tie_closed,
            switch_closed=None if isinstance(switch, UnsetType) else switch.closed,
            lease_opens=leased is not None and not isinstance(leased, UnsetType) and not leased.closed,
        )
        if self._kept_open.now != before:
            self._settled = False

    def fall_back_to(self, failsafe: Ceilings) -> None:
        """Limits for when no lease gives one."""
        self.failsafe = failsafe
        self._settled = False
        if self._fall is not None:
            self._fall(self.element.id, failsafe)

    def lease(self, command: ElementCommand | None) -> None:
        """What the lease in force asks, after `vet`; None without one."""
        if command != self.leased:
            self.leased = command
            self._settled = False
        if command is not None and not isinstance(command.switch, UnsetType):
            self._kept_open.leased(closed=command.switch.closed)

    def want(self, command: ElementCommand) -> None:
        """What the policy asks."""
        if command is not self.wish and command != self.wish:
            self.wish = command
            self._settled = False

    def settle(self, now_s: float, *, ending: bool = False) -> None:
        """Work out what holds now, and tell the device where that has changed.

        Args:
            now_s: Process time.
            ending: Nobody will be there to carry out later what a least time holds back.
        """
        if self._later is not None and self._applied is not None:
            self._hear(self._later)
        if self._least.any:
            self._least.look(self.reading, now_s)
        if self._settled and now_s < self.due_s and not ending:
            return
        self.resolved = self._resolve()
        self.due_s = inf
        if self._least.any and not (ending or self.endangered):
            self._hold_back(now_s)
        if self.rules.commandable and self.resolved.effective != self._applied:
            self._apply(self.resolved.effective, now_s)
        else:
            self._settled = True
        self._report()

    def outcome_limit(self, asked: ElementCommand) -> Outcome | None:
        """How the limits that a lease asked for ended; None when they hold as asked."""
        limit = asked.limit
        if isinstance(limit, UnsetType):
            return None
        rating = self.rules.rating
        if self.holds_island:
            return self._unbound_limit(limit)
        consume = _beyond(limit.consume_max_w, rating.consume_max_w)
        produce = _beyond(limit.produce_max_w, rating.produce_max_w)
        current = _beyond(limit.current_max_a, rating.current_max_a)
        if consume is UNSET and produce is UNSET and current is UNSET:
            return None
        return Outcome(
            result="clipped",
            limited_by="rating",
            consume_max_w=consume,
            produce_max_w=produce,
            current_max_a=current,
        )

    def outcome_setpoint(self, asked: ElementCommand) -> Outcome | None:
        """How the set-point that a lease asked for ended; None when it holds as asked."""
        if isinstance(asked.setpoint, UnsetType):
            return None
        if self.holds_island:
            return Outcome(result="clipped", limited_by=ISLAND)
        by, power_w = self.resolved.setpoint_by, self.resolved.effective.power_w
        if isinstance(self.answer, Clipped):
            by, power_w = self.answer.limited_by, self.answer.power_w
        if not by:
            return None
        return Outcome(result="clipped", limited_by=by, power_w=UNSET if power_w is None else power_w)

    def _unbound_limit(self, asked: Limits) -> Outcome | None:
        """What holds in place of limits that would put out the lights; None where they bind nothing."""
        now = self.resolved.effective
        consume = _other(asked.consume_max_w, now.consume_max_w)
        produce = _other(asked.produce_max_w, now.produce_max_w)
        current = _other(asked.current_max_a, now.current_max_a)
        if consume is UNSET and produce is UNSET and current is UNSET:
            return None
        return Outcome(
            result="clipped",
            limited_by=ISLAND,
            consume_max_w=consume,
            produce_max_w=produce,
            current_max_a=current,
        )

    def outcome_held(self, asked: ElementCommand) -> dict[str, Outcome]:
        """Which switch or mode a least time holds back, by capability."""
        now = self.resolved.effective
        by = PROTECTION if self.endangered else HOLD
        held: dict[str, Outcome] = {}
        if not isinstance(asked.switch, UnsetType) and now.closed not in {None, asked.switch.closed}:
            held["switch"] = Outcome(result="clipped", limited_by=by)
        if not isinstance(asked.mode, UnsetType) and now.mode not in {None, asked.mode.mode}:
            held["mode"] = Outcome(result="clipped", limited_by=HOLD)
        return held

    def outcome_device(self) -> Outcome | None:
        """The device's own refusal; None when it did as it was told."""
        if APPLY_FAILED in self.faults:
            return refusal("device_failed", f"{self.element.id}: {self.faults[APPLY_FAILED]}")
        if isinstance(self.answer, Refused):
            return refusal(self.answer.code, self.answer.detail)
        return None

    def state(self, counted: Energy | None, now_s: float) -> ElementState:
        """The last reading, with what holds now.

        Args:
            counted: By the module, for a device that counts no energy itself.
            now_s: Process time.
        """
        reading = self._aged(now_s)
        storage = reading.storage
        if self.has_reserve and not isinstance(storage, UnsetType) and storage.reserve_pct is UNSET:
            storage = msgspec.structs.replace(storage, reserve_pct=self.reserve_pct)
        return ElementState(
            ac_measure=reading.ac_measure,
            dc_measure=reading.dc_measure,
            energy=counted if self.counts_itself is False and counted is not None else reading.energy,
            limit=self.limit,
            setpoint=self.setpoint,
            produce=reading.produce,
            storage=storage,
            switch=reading.switch,
            isolate=reading.isolate,
            form_grid=reading.form_grid,
            mode=reading.mode,
            thermal=reading.thermal,
            ev=reading.ev,
            job=reading.job,
            hazard=self.hazard,
            fault=self.fault(),
            quality=reading.quality,
        )

    def fault(self) -> Fault | UnsetType:
        """The device's own faults, and those of driving it; absent when there are none."""
        own = self.reading.fault
        if not self.faults:
            is_one = not isinstance(own, UnsetType) and (own.codes or own.latched is True)
            return own if is_one else UNSET
        codes = [] if isinstance(own, UnsetType) else own.codes
        latched = UNSET if isinstance(own, UnsetType) else own.latched
        return Fault(
            codes=[*codes, *(code for code in self.faults if code not in codes)][:16], latched=latched
        )

    def raise_fault(self, code: str, detail: str) -> None:
        """A fault is active; logged once."""
        if code not in self.faults:
            _log.warning("%s: %s: %s", self.element.id, code, detail)
        self.faults[code] = detail

    def clear_fault(self, code: str) -> None:
        """A fault is over."""
        if self.faults.pop(code, None) is not None:
            _log.info("%s: %s is over", self.element.id, code)

    def keep_reserve(self, *, islanded: bool) -> None:
        """Take over what the device allows itself; above the reserve alone may a store be emptied.

        An unknown state of charge may be below it. On an island the reserve is there to be used.
        """
        if self.endangered:
            self.bind(PROTECTED)
            return
        own = own_of(self.reading)
        if not (islanded or self.holds_island) and self.at_reserve():
            ceilings = msgspec.structs.replace(own.ceilings, produce_max_w=0.0)
            own = Own(ceilings, own.range, own.limited_by, RESERVE)
        self.bind(own)

    def at_reserve(self) -> bool:
        """Whether this is a store that must not be emptied further, or may be one."""
        if self.reserve_pct <= 0 or not self.has_reserve:
            return False
        storage = self.reading.storage
        soc_pct = None if isinstance(storage, UnsetType) else storage.soc_pct
        return soc_pct is None or soc_pct <= self.reserve_pct

    def give_no_more_than(self, produce_w: float) -> None:
        """Behind this element is a store at its reserve: what it gives beyond the sun comes from there."""
        own = own_of(self.reading)
        if not self.endangered and produce_w < own.ceilings.produce_max_w:
            ceilings = msgspec.structs.replace(own.ceilings, produce_max_w=produce_w)
            self.bind(Own(ceilings, own.range, own.limited_by, RESERVE))

    def _aged(self, now_s: float) -> ElementState:
        """The reading, as old as it is by now (FRESH-004)."""
        age_s = now_s - self._measured_at_s
        if age_s <= self._period_s + _DUST_S:
            return self.reading
        if age_s > PERIODS_MAX * self._period_s + _DUST_S:
            return readings.unknown(self.element, self._counters())
        is_bad = self.reading.quality == "bad"
        return self.reading if is_bad else msgspec.structs.replace(self.reading, quality="stale")

    def _counters(self) -> Energy | UnsetType:
        """Unknown counters of a device that counts itself; of the same epoch, not begun anew."""
        last = self.reading.energy
        if self.counts_itself is False or isinstance(last, UnsetType):
            return UNSET
        return Energy(energy_in_wh=None, energy_out_wh=None, counter_epoch=last.counter_epoch)

    def _resolve(self) -> Resolved:
        wish = self.wish
        if self._kept_open.now and wish is not None:
            wish = msgspec.structs.replace(wish, switch=SwitchCommand(closed=False))
        resolved = resolve(
            self.rules,
            failsafe=self.failsafe,
            leased=self.leased,
            wish=wish,
            own=self.own,
            holds_island=self.holds_island,
        )
        if self.endangered and self.rules.has_switch:
            opened = msgspec.structs.replace(resolved.effective, closed=False)
            return msgspec.structs.replace(resolved, effective=opened)
        return resolved

    def _hold_back(self, now_s: float) -> None:
        """Take out of what is to be done what a least time does not allow yet."""
        asked = self.resolved.effective
        may, self.due_s = self._least.hold(asked, now_s, free=self.holds_island)
        if may is not asked:
            by = self.resolved.setpoint_by if may.power_w == asked.power_w else HOLD
            self.resolved = msgspec.structs.replace(self.resolved, effective=may, setpoint_by=by)

    def _apply(self, effective: Effective, now_s: float) -> None:
        if self._tell is None:
            return  # a module refuses such a device when it is made
        self.told_at_s = now_s
        try:
            self.answer = _checked(self._tell(self.element.id, effective))
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; its element alone pays
            self.answer = None
            self._applied = None  # it may have been done in part: even what held before must be told again
            self._least.told(effective, now_s)
            self.raise_fault(APPLY_FAILED, repr(error))
            return  # not settled: the next period tries again
        self.clear_fault(APPLY_FAILED)
        # a device that refuses does what it did before; nobody else would ever end that, so it is asked again
        done = not isinstance(self.answer, Refused)
        if done:
            self._least.told(effective, now_s)
        self._applied = effective if done else None
        self._settled = done

    def _hear(self, later: Callable[[str], Answer]) -> None:
        """What has become of what the device took: it may turn out that it does not do it after all."""
        try:
            answer = _checked(later(self.element.id))
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; its element alone pays
            answer = Refused(repr(error)[:512])
        if answer is None or answer == self.answer:
            return
        self.answer = answer
        if isinstance(answer, Refused):
            self._applied = None
            self._settled = False
        self._report()

    def _report(self) -> None:
        effective, own, able = self.resolved.effective, self.own, self.rules.setpoint
        if self.rules.limit is not None:
            self.limit = LimitState(
                consume_max_w=_or_unset(effective.consume_max_w),
                produce_max_w=_or_unset(effective.produce_max_w),
                current_max_a=_or_unset(effective.current_max_a),
                limited_by=self.resolved.limited_by,
            )
        if able is not None:
            power_w = effective.power_w
            if isinstance(self.answer, Clipped):
                power_w = self.answer.power_w
            elif isinstance(self.answer, Refused) or APPLY_FAILED in self.faults:
                power_w = None
            self.setpoint = SetpointState(
                power_w=power_w,
                consume_max_w=min(effective.consume_max_w, able.consume_max_w, own.range.consume_max_w),
                produce_max_w=min(effective.produce_max_w, able.produce_max_w, own.range.produce_max_w),
            )


def _recent(at_s: float | None, now_s: float, most_s: float) -> float:
    """When a reading was measured, if that is recent enough to be told at all.

    Raises:
        ValueError: It is no time, too long ago, or has never happened.
    """
    if at_s is None:
        raise ValueError("nothing has been measured yet")
    if not isfinite(at_s):
        raise ValueError(f"it was measured at {at_s}")
    if now_s - at_s > most_s + _DUST_S:
        raise ValueError(f"the newest reading is {now_s - at_s:.0f} s old")
    return at_s


def _checked(answer: object) -> Answer:
    """An answer that a result can carry."""
    if answer is not None and not isinstance(answer, Clipped | Refused):
        raise TypeError(f"apply answers None, Clipped or Refused, not {answer!r}")
    if isinstance(answer, Clipped) and answer.power_w is not None and not isfinite(answer.power_w):
        raise ValueError(f"it clipped to {answer.power_w}")
    return answer


def _or_unset(limit: float) -> float | UnsetType:
    return limit if isfinite(limit) else UNSET


def _other(asked: float | UnsetType, now: float) -> float | UnsetType:
    return UNSET if isinstance(asked, UnsetType) or asked == now else now


def _beyond(asked: float | UnsetType, most: float) -> float | UnsetType:
    return most if not isinstance(asked, UnsetType) and asked > most else UNSET
