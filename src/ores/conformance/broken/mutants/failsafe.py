"""Modules that do in silence what nobody has agreed to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.link.endpoint import Peer
from ores.module import leases, resources
from ores.module.control import Control
from ores.module.effective import NO_CEILINGS, Ceilings
from ores.module.leases import LeaseBook, WholeRefusal
from ores.module.module import Module
from ores.module.part import Part
from ores.module.policy import Situation
from ores.module.problems import Refusal
from ores.module.resources import Resources


def _lives(seams: Seams, change: Callable[[float], float]) -> None:
    """Change how long a lease is in force; what it says of itself stays true."""
    receive = leases.receive

    def received(*args: Any, **options: Any) -> LeaseBook | WholeRefusal:
        found = receive(*args, **options)
        if isinstance(found, LeaseBook) and found.lease is not None:
            now_s: float = options["now_s"]
            return msgspec.structs.replace(found, expires_at_s=now_s + change(found.lease.ttl_s))
        return found

    seams.attribute(leases, "receive", received)


@broken("lease-expires", also=("expiry-to-failsafe", "module-works-alone", "state-echoes-lease"))
def lets_leases_live_on(seams: Seams) -> None:
    """A lease lasts three seconds longer than it may."""
    _lives(seams, lambda ttl_s: ttl_s + 3)


@broken("lease-expires", variant="early")
def ends_leases_at_once(seams: Seams) -> None:
    """Its seconds are shorter than those of others."""
    _lives(seams, lambda ttl_s: ttl_s * 0.3)


@broken("expiry-to-failsafe")
def keeps_the_last_limit(seams: Seams) -> None:
    """After the end of a lease its limits go on, until there is another one: the last word holds."""
    expire = Control.expire

    def sticky(self: Control, *args: Any, **options: Any) -> Any:
        before = {name: part.leased for name, part in self.parts.items()}
        ended = expire(self, *args, **options)
        if ended:
            for name, leased in before.items():
                if leased is not None:
                    self.parts[name].lease(msgspec.structs.replace(leased, setpoint=msgspec.UNSET))
        return ended

    seams.attribute(Control, "expire", sticky)


@broken("module-works-alone", also=("policy-first-is-default",))
def is_nobody_alone(seams: Seams) -> None:
    """Without a hub it does not say which policy it follows."""

    def state(found: Any) -> Any:
        return {**found, "policy": "unknown"} if "lease" not in found else found

    seams.on_state(state)


@broken("absent-limit-is-failsafe")
def takes_silence_for_unlimited(seams: Seams) -> None:
    """A lease that gives no limit takes away the failsafe limit."""
    lease = Part.lease

    def generous(self: Part, command: Any) -> None:
        lease(self, command)
        if command is not None and command.limit is msgspec.UNSET:
            self.fall_back_to(NO_CEILINGS)

    take = Control.take

    def widening(self: Control, *args: Any, **options: Any) -> Any:
        before = {name: part.failsafe for name, part in self.parts.items()}
        result = take(self, *args, **options)
        if "code" not in msgspec.to_builtins(result):
            for part in self.parts.values():
                if part.leased is None or part.leased.limit is msgspec.UNSET:
                    part.fall_back_to(NO_CEILINGS)
            for part in self.parts.values():
                part.settle(args[2] if len(args) > 2 else options["now_s"])
            for name, part in self.parts.items():
                part.failsafe = before[name]
        return result

    seams.attribute(Part, "lease", generous)
    seams.attribute(Control, "take", widening)


@broken("failsafe-binds-policy", also=("boot-under-failsafe",))
def forgets_failsafe_without_a_lease(seams: Seams) -> None:
    """On its own it is bound by its rating alone: failsafe limits only bind leases."""
    resolve = Part._resolve  # noqa: SLF001 - the mutation's place

    def careless(self: Part) -> Any:
        under_lease = getattr(self, "under_lease", False)
        kept, self.failsafe = self.failsafe, self.failsafe
        if not under_lease and self.element.id == "inverter" and self.failsafe.produce_max_w > 0:
            self.failsafe = Ceilings(kept.consume_max_w, max(kept.produce_max_w, 1900.0), kept.current_max_a)
        try:
            return resolve(self)
        finally:
            self.failsafe = kept

    seams.attribute(Part, "_resolve", careless)


@broken(
    "put-holds-at-once",
    also=("put-reads-back", "policy-first-is-default", "settings-all-or-nothing", "reserve-kept"),
)
def needs_a_moment(seams: Seams) -> None:
    """What was put holds from the next cycle on, and the state says so."""
    seams.attribute(Module, "redecide", lambda self: None)  # noqa: ARG005
    take_over = Module._take_over  # noqa: SLF001

    def later(self: Module, saved: Any) -> None:
        self._clock.call_at(self._clock.now() + 0.4, lambda: take_over(self, saved))

    def first(self: Module, saved: Any) -> None:
        (take_over if not hasattr(self, "_streams") or self._sent_s < 0 else later)(self, saved)

    seams.attribute(Module, "_take_over", first)


@broken("put-reads-back")
def echoes(seams: Seams) -> None:
    """The answer to a PUT is what was sent, and GET says something else."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        if asked.method == "PUT" and asked.path == "/policy" and status == 200:
            return status, {**body, "kind": body["kind"] + "_mode"}
        return None

    seams.answers.append(answer)


@broken("failsafe-replaced-whole")
def takes_what_it_can(seams: Seams) -> None:
    """Of a set of limits it keeps those it likes, and then says that the set is refused."""
    put = Resources._put_failsafe  # noqa: SLF001

    def greedy(self: Resources, peer: Peer, body: bytes) -> object:
        try:
            return put(self, peer, body)
        except Refusal:
            wanted = msgspec.json.decode(body)["elements"]
            known = {name: limits for name, limits in wanted.items() if name in self._module.control.parts}
            if known and len(known) < len(wanted):
                put(self, peer, msgspec.json.encode({"elements": known}))
            raise

    seams.attribute(Resources, "_put_failsafe", greedy)


@broken("failsafe-refused")
def takes_limits_above_the_rating(seams: Seams) -> None:
    """Whatever binds nothing does no harm, it was thought."""
    seams.attribute(resources, "_check_failsafe", lambda part, limits: None)  # noqa: ARG005


@broken("policy-first-is-default", also=("module-works-alone",))
def follows_what_it_does_not_offer(seams: Seams) -> None:
    """What it says it does stands in no list."""

    def change(page: Any) -> Any:
        offered = [kind for kind in page.get("policies", []) if kind != "idle"]
        return {**page, "policies": offered} if offered else page

    seams.on_description(change)


@broken("policy-unknown")
def takes_any_policy(seams: Seams) -> None:
    """A word that it does not know is refused, with a code that says something else."""

    def answer(_asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        if status >= 400 and isinstance(body, dict) and body.get("code") == "unknown_policy":
            return 400, {**body, "status": 400, "code": "invalid_message"}
        return None

    seams.answers.append(answer)


@broken("policy-idles-without-input")
def has_a_schedule_of_its_own(seams: Seams) -> None:
    """Without slots it goes on with what it was made with."""

    def answer(asked: Asked) -> Asked:
        starved = asked.method == "PUT" and asked.path == "/policy" and isinstance(asked.body, dict)
        if starved and asked.body.get("schedule") == []:
            slots = [{"start_s": 0, "power_w": 400}]
            return Asked(asked.peer, asked.method, asked.path, {**asked.body, "schedule": slots})
        return asked

    seams.requests.append(answer)


@broken("policy-schedule")
def begins_each_day_with_nothing(seams: Seams) -> None:
    """The last slot of a day ends at midnight, and until the first of the next there is none."""
    from ores.conformance.broken import run  # noqa: PLC0415 - the policies are made there
    from ores.conformance.broken.whole import elements  # noqa: PLC0415
    from ores.module.policy import idle, schedule  # noqa: PLC0415

    right = schedule("battery")

    def until_midnight(situation: Situation) -> Any:
        slots, utc = situation.chosen.schedule, situation.utc
        if utc is None or isinstance(slots, msgspec.UnsetType):
            return right(situation)
        now_s = utc.hour * 3600 + utc.minute * 60 + utc.second
        return (
            right(situation) if any(slot.start_s <= now_s for slot in slots) else idle(elements())(situation)
        )

    seams.options["policies"] = {**run.policies(), "schedule": until_midnight}


@broken("settings-all-or-nothing")
def sets_what_it_can(seams: Seams) -> None:
    """Of several settings it takes those before the one that it refuses."""
    put = Resources._put_settings  # noqa: SLF001

    def greedy(self: Resources, peer: Peer, body: bytes) -> object:
        try:
            return put(self, peer, body)
        except Refusal:
            wanted = msgspec.json.decode(body)["elements"]
            known = {name: value for name, value in wanted.items() if name in self._module.control.parts}
            if known and len(known) < len(wanted):
                put(self, peer, msgspec.json.encode({"elements": known}))
            raise

    seams.attribute(Resources, "_put_settings", greedy)


@broken("reserve-kept")
def gives_its_reserve_away(seams: Seams) -> None:
    """The reserve is kept as a number, and given as energy."""
    seams.attribute(Part, "at_reserve", lambda self: False)  # noqa: ARG005


@broken("protection-not-settable")
def lets_the_network_set_its_grid_code(seams: Seams) -> None:
    """A setting that belongs to the installer is taken from anybody."""

    def answer(asked: Asked, status: int, _body: Any) -> tuple[int, Any] | None:
        if asked.method == "PUT" and asked.path == "/settings" and status >= 400:
            elements = (asked.body or {}).get("elements", {})
            if any("grid_code" in value for value in elements.values()):
                return 200, {"elements": {}}
        return None

    seams.answers.append(answer)
