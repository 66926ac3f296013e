"""The hub's part of planning: it asks slot by slot, and proposes second by second while values hold."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from ores.control.drawn import Foresight
from ores.control.planned import Moment, Wanted, wanted
from ores.control.stores import Stores, charge_kwh, dealt_w, stored_kwh, stores
from ores.ems.standing import SLOT_S, Slot
from ores.hub.hub import Hub
from ores.hub.plan import messages, shown
from ores.hub.plan.drawing import battery
from ores.hub.plan.past import DAYS, past
from ores.hub.plan.process import COMMAND, DEADLINE_S, Planner, PlannerFailed, planner
from ores.hub.plan.tariff_file import chosen, read
from ores.link.errors import OresError
from ores.model import Proposal, Subject, Wish

SOURCE: Final = "planner"
NOTICE: Final = "no_plan"
SLOTS: Final = 2
"""Asked for: the one that runs, and the next, for while the planner thinks about it."""
TTL_S: Final = 10.0
"""Of a proposal; one that nobody renews ends."""
AGAIN_S: Final = 4.0
"""After this a proposal is made again, though nothing has changed."""
STEP_S: Final = 1.0
AFTER_S: Final = 2.0
"""So long into a slot the planner is asked: then the history knows the one before."""
LOOK_S: Final = 5.0
"""Between two looks at whether there is something to plan for."""
PATIENCE_S: Final = 60.0
"""Without anything to plan for; at the start, modules are still being reached."""
BACK_OFF_S: Final = (5.0, 900.0)
"""After the first failure, and at most; it doubles."""
_SMOOTH_S: Final = 60.0
_MOVED_W: Final = 20.0
_LEAST_LEFT_H: Final = 5.0 / 3600.0

_log = logging.getLogger(__name__)


class _Running(msgspec.Struct):
    """The slot that runs, as far as it has been seen."""

    start_s: int
    at_s: float
    usual_kw: float
    passed_kwh: float
    bought_kwh: float


class Planning:
    """Plans for one house.

    Args:
        hub: Whose house is seen, whose history is read, who takes proposals and notices.
        tariff: Text of a tariff file, and the id of one in it.
        command: Runs the planner.
        deadline_s: Of the wall, for each of its answers.
    """

    def __init__(
        self,
        hub: Hub,
        tariff: tuple[str, str],
        *,
        command: Sequence[str] = COMMAND,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._clock = hub.clock
        self._arbiter = hub.arbiter
        self._proposals = hub.proposals
        self._notices = hub.notices
        self._preferences = hub.preferences
        self._history = hub.history
        self._tariff = tariff
        one = chosen(*tariff)
        self._currency, self._zone = one.currency, ZoneInfo(one.time_zone)
        self._head = shown.Head(
            by=SOURCE,
            forecast_by="habits",
            tariff=tariff[1],
            currency=one.currency,
            time_zone=one.time_zone,
            slot_s=SLOT_S,
        )
        self._command = command
        self._deadline_s = deadline_s
        self._wait_s = BACK_OFF_S[0]
        self._slots: list[Slot] = []
        self._facts: Stores | None = None
        self._made: shown.Made | None = None
        self._foresights: dict[int, Foresight] = {}
        self._why_none = "the first one is being made"
        self._running: _Running | None = None
        self._said: dict[str, tuple[Proposal, float]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._keep_planning(), name="planner")
                both.create_task(self._keep_acting(), name="plan")
        finally:
            self._proposals.remove_source(SOURCE)

    def plan(self) -> shown.Plan:
        """The newest plan, as it is shown.

        Raises:
            Unavailable: There is none; says why.
        """
        if self._made is None:
            raise shown.none_yet(self._why_none)
        return shown.shown(self._head, self._made)

    # -- asking, once a slot

    async def _keep_planning(self) -> None:
        while True:
            try:
                facts = await self._something_to_plan_for()
                async with planner(self._clock, command=self._command, deadline_s=self._deadline_s) as one:
                    await self._plan(one, facts)
            except OresError as error:
                why = str(error)
            except Exception as error:  # noqa: BLE001  no defect here may end planning for good
                why = f"{type(error).__name__}: {error}"
                _log.exception("planning failed")
            else:
                self._forget()
                continue
            self._forget()
            self._missing(f"{why}; it is started again in {self._wait_s:.0f} s")
            await self._clock.sleep(self._wait_s)
            self._wait_s = min(2.0 * self._wait_s, BACK_OFF_S[1])

    async def _something_to_plan_for(self) -> Stores:
        since_s = self._clock.now()
        while (facts := self._stores()) is None or self._arbiter.rest_w is None:
            if self._clock.now() - since_s >= PATIENCE_S:
                unknown = "no store can be told a power" if facts is None else "it is not known what is used"
                self._missing(f"there is nothing to plan for: {unknown}")
            await self._clock.sleep(LOOK_S)
        return facts

    async def _plan(self, one: Planner, facts: Stores) -> None:
        """Ask slot by slot, for as long as the facts of the stores stay."""
        sells, text = self._sells(), self._tariff[0]
        since_s = self._slot_start_s() - DAYS * 86_400
        while True:
            start_s = self._slot_start_s()
            stored, charge = stored_kwh(self._arbiter.seen), charge_kwh(self._arbiter.seen)
            made = self._clock.utc()
            question = messages.Ask(
                tariff_json=text,
                tariff_id=self._tariff[1],
                stores=facts,
                sells=sells,
                past=await self._past(since_s, start_s),
                start_s=start_s,
                count=SLOTS,
                stored_kwh=stored,
            )
            answer = await one.ask(question)
            try:
                slots, picture = messages.slots(answer, start_s), messages.picture(answer, start_s)
            except ValueError as error:
                raise PlannerFailed(f"the planner's answer cannot be used: {error}") from None
            self._slots, self._facts = slots, facts
            self._made, self._why_none = None, "the charge of a store is not known"
            if picture is not None and stored is not None and charge is not None:
                self._made = shown.Made(
                    picture=picture,
                    made=made,
                    stored_kwh=stored,
                    charge_kwh=charge[0],
                    capacity_kwh=charge[1],
                )
            foresights = () if picture is None else picture.foresights
            self._foresights = {
                start_s + number * SLOT_S: one_slot for number, one_slot in enumerate(foresights)
            }
            self._wait_s = BACK_OFF_S[0]
            self._notices.clear(NOTICE)
            text, since_s = "", start_s
            while self._utc_s() < start_s + SLOT_S + AFTER_S:
                if self._stores() != facts or self._sells() != sells:
                    return
                left_s = start_s + SLOT_S + AFTER_S - self._utc_s()
                await self._clock.sleep(min(LOOK_S, left_s))

    async def _past(self, since_s: int, until_s: int) -> messages.Past:
        with self._clock.hold():
            return await asyncio.to_thread(past, self._history, since_s, until_s)

    def _missing(self, why: str) -> None:
        self._why_none = why
        self._notices.raise_(NOTICE, f"there is no plan, the house runs on its rules: {why}")

    def _forget(self) -> None:
        self._slots = []
        self._made, self._why_none = None, "it is being made anew"
        self._withdraw()

    def _stores(self) -> Stores | None:
        return stores(self._arbiter.seen)

    def _sells(self) -> bool:
        most_w = self._preferences.get().export_max_w
        return most_w is UNSET or most_w > 0.0

    # -- proposing, once a second

    async def _keep_acting(self) -> None:
        while True:
            await self._clock.sleep(STEP_S)
            try:
                self._act()
            except Exception as error:  # noqa: BLE001  a defect here costs the plan, not the hub
                self._forget()
                self._missing(f"{type(error).__name__}: {error}")
                _log.exception("acting on a plan failed")

    def _act(self) -> None:
        now_s, net_w = self._utc_s(), self._arbiter.rest_w
        slot = next((one for one in self._slots if one.start_s <= now_s < one.start_s + SLOT_S), None)
        flow = self._arbiter.flow(self._clock.now())
        if slot is None or self._facts is None or net_w is None or flow.island is True:
            self._running = None
            self._withdraw()
            return
        seen = self._arbiter.seen
        kwh = stored_kwh(seen)
        moment = self._moment(slot, now_s, net_w / 1000.0, (flow.grid_w or 0.0) / 1000.0)
        if kwh is None:
            self._withdraw()
            return
        soc_pct = min(100.0, kwh / self._facts.capacity_kwh * 100.0)
        foresight = self._foresights.get(slot.start_s)
        want = wanted(slot.kept, moment, battery(self._facts, soc_pct), foresight)
        self._propose(self._proposals_of(want))

    def _moment(self, slot: Slot, now_s: float, net_kw: float, grid_kw: float) -> Moment:
        """What has been seen of the slot; what passed before it was looked at was as it is now."""
        running = self._running
        if running is None or running.start_s != slot.start_s:
            before_h = (now_s - slot.start_s) / 3600.0
            usual_kw = net_kw if running is None else running.usual_kw
            bought_kwh = max(0.0, grid_kw) * before_h
            running = _Running(slot.start_s, now_s, usual_kw, net_kw * before_h, bought_kwh)
            self._running = running
        step_s = max(0.0, now_s - running.at_s)
        running.at_s = now_s
        running.usual_kw += (net_kw - running.usual_kw) * min(1.0, step_s / _SMOOTH_S)
        running.passed_kwh += net_kw * step_s / 3600.0
        running.bought_kwh += max(0.0, grid_kw) * step_s / 3600.0
        until = ""
        if slot.same_until_s is not None and slot.same_until_s - now_s < 86_400:
            until = f"{datetime.fromtimestamp(slot.same_until_s, self._zone):%H:%M}"
        return Moment(
            net_kw=net_kw,
            usual_kw=running.usual_kw,
            passed_kwh=running.passed_kwh,
            bought_kwh=running.bought_kwh,
            left_h=max(_LEAST_LEFT_H, (slot.start_s + SLOT_S - now_s) / 3600.0),
            slot_h=SLOT_S / 3600.0,
            until=until,
            currency=self._currency,
        )

    def _proposals_of(self, want: Wanted) -> list[Proposal]:
        if want.power_w is None:
            at_w = (
                self._preferences.get().grid_target_w
            )  # what its owner keeps away from the limit, the plan keeps
            grid_w = want.grid_w if want.grid_w or at_w is UNSET else at_w
            return [_proposal("grid", Subject(kind="connection"), grid_w, want.reason)]
        dealt = dealt_w(self._arbiter.seen, want.power_w)
        return [
            _proposal(
                f"store{number}",
                Subject(kind="element", module=place[0], element=place[1]),
                power_w,
                want.reason,
            )
            for number, (place, power_w) in enumerate(sorted((dealt or {}).items()))
        ]

    def _propose(self, proposals: list[Proposal]) -> None:
        """Only what is new, or would end: whoever watches proposals is not told each second."""
        now_s = self._clock.now()
        ids = {str(proposal.id) for proposal in proposals}
        for old in [one for one in self._said if one not in ids]:
            del self._said[old]
            self._proposals.remove(SOURCE, old)
        for proposal in proposals:
            said = self._said.get(str(proposal.id))
            if said is None or now_s - said[1] >= AGAIN_S or _differ(said[0], proposal):
                self._proposals.put(proposal)
                self._said[str(proposal.id)] = proposal, now_s

    def _withdraw(self) -> None:
        if self._said:
            self._said.clear()
            self._proposals.remove_source(SOURCE)

    def _utc_s(self) -> float:
        return self._clock.utc().timestamp()

    def _slot_start_s(self) -> int:
        return int(self._utc_s()) // SLOT_S * SLOT_S


def _proposal(name: str, subject: Subject, power_w: float, reason: str) -> Proposal:
    return Proposal(
        id=name,
        subject=subject,
        rank="plan",
        source=SOURCE,
        reason=reason,
        ttl_s=TTL_S,
        wish=Wish(power_w=power_w),
    )


def _differ(before: Proposal, now: Proposal) -> bool:
    if before.subject != now.subject or before.wish is UNSET or now.wish is UNSET:
        return True
    powers = before.wish.power_w, now.wish.power_w
    if powers[0] is UNSET or powers[1] is UNSET:
        return True
    return abs(powers[0] - powers[1]) > _MOVED_W or (powers[0] == 0.0) != (powers[1] == 0.0)


def planning_of(hub: Hub, spec: str) -> Planning:
    """That of a hub, which shows its plan from now on.

    Raises:
        ConfigError: The tariff cannot be planned by; says why.
    """
    made = Planning(hub, read(spec))
    hub.plan = made.plan
    return made
