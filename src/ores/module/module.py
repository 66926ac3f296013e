"""A device as an ORES module: periods, streams, and what holds when nobody speaks.

The module is an `Endpoint`; it knows no transport. Everything happens on one thread: a period begins by
reading every element, asks the policy, tells the devices what has changed, and sends one state to all who
listen. A lease is acted on in the call that brings it. One timer per period, and one for the end of the lease
at its exact time.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.link.clock import Clock, Handle
from ores.link.endpoint import Peer, Reply
from ores.link.errors import ConfigError, Forbidden
from ores.model import (
    ElementCommand,
    ElementSettings,
    ElementState,
    Energy,
    FromModule,
    Lease,
    LeaseInForce,
    LeaseResult,
    State,
    StorageSettings,
)
from ores.module import problems
from ores.module.control import Control
from ores.module.counters import EnergyCounters
from ores.module.description import (
    STATE_MAX_BYTES,
    About,
    check_elements,
    description_pages,
    public_description,
    telling_faults,
)
from ores.module.device import (
    Commandable,
    DecidesItself,
    Device,
    HasNews,
    Refused,
    SensesHazards,
    TakesSettings,
)
from ores.module.effective import PROTECTION
from ores.module.leases import LeaseBook, in_force
from ores.module.part import Part
from ores.module.policy import PolicyFunction, free, idle
from ores.module.reading import is_notable, power_w, unknown
from ores.module.resources import RESTART, Resources
from ores.module.store import MemoryStore, Saved, Store
from ores.module.stream import ModuleStream

_log: Final = logging.getLogger("ores.module")

PUSH_MIN_S: Final = 0.1
"""Shortest time between two states, however lively the device."""
PUSHES_MAX: Final = 10
"""In any second, whatever the reason (STREAM-004)."""
RETRY_S: Final = 10.0
"""Between two tries to write to a store that has failed."""
SAVE_COUNTERS_S: Final = 900.0
"""Flash wears out: 100 writes a day are harmless for decades."""

_DUST_S: Final = 1e-6
"""Timers fire when they fire."""
_WRAPPING_BYTES: Final = len('{"state":}')
TAKEN_OVER: Final = ("local", "protection")
READ_INVALID_SOURCE: Final = "control_source_invalid"
STATE_TOO_LARGE: Final = "state_too_large"
STORE_LOST: Final = "store_lost"
STORE_FAILED: Final = "store_failed"


class Module:
    """One module.

    Args:
        device: What is read and told what to do.
        about: For its description.
        module_id: Derived from its key (`Identity.id`).
        clock: Process time.
        policies: What it can do on its own, by kind; the first is followed until another is chosen. `idle`
            and `free` when none are given.
        defaults: What switches and modes do where no policy says otherwise: closed, and the mode `normal` or
            the first declared.
        store: Where failsafe limits, policy, settings and counters are kept.
        report_period_s: Between two states.
        notable_w: A change of power that is worth telling at once; see `changed`.
        utc: Wall time for stamps and schedules, aware, UTC; None while it is not synchronised.
        boot_id: 8 to 32 hex digits; drawn at random when not given.
        restart: Called when a hub asks for a restart: it ends this module a little later, when the answer is
            out, and makes another with the same store. Without one no restart is offered.

    Raises:
        ConfigError: The description or a setting makes no sense; says which.
    """

    def __init__(
        self,
        device: Device,
        about: About,
        *,
        module_id: str,
        clock: Clock,
        policies: Mapping[str, PolicyFunction] | None = None,
        defaults: Mapping[str, ElementCommand] | None = None,
        store: Store | None = None,
        report_period_s: float = 1.0,
        notable_w: float = 50.0,
        utc: Callable[[], datetime | None] | None = None,
        boot_id: str | None = None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        elements = [telling_faults(element) for element in device.elements]
        check_elements(elements)
        offered = dict(policies or {"idle": idle(elements), "free": free})
        self.pages: Final = description_pages(
            about,
            module_id,
            elements,
            report_period_s=report_period_s,
            policies=list(offered),
            requests=() if restart is None else (RESTART,),
        )
        self.restart: Final = restart
        self.public_page: Final = public_description(about, module_id)
        self.device: Final = device
        self.parts: Final = [Part(element, device, report_period_s) for element in elements]
        if not isinstance(device, Commandable) and any(part.rules.commandable for part in self.parts):
            raise ConfigError("device", found="no `apply`", allowed="one: its description promises commands")
        watching = [part.element.id for part in self.parts if part.hazards is not None]
        if watching and not isinstance(device, SensesHazards):
            raise ConfigError("device", found="no `active_hazards`", allowed=f"one: {watching[0]} has hazard")
        self._clock: Final = clock
        self._store: Final = MemoryStore() if store is None else store
        self._utc: Final = clock.utc if utc is None else utc
        self._period_s: Final = report_period_s
        self._notable_w: Final = notable_w
        self._boot_id: Final = secrets.token_hex(8) if boot_id is None else boot_id
        self._booted_s = clock.now()
        self.saved: Saved = self._store.load()
        for part in self.parts:
            if part.hazards is not None:
                part.hazards.latched = frozenset(self.saved.latched.get(part.element.id, ()))
        book = LeaseBook(self._boot_id, self.saved.controller, self.saved.epoch)
        self.control: Final = Control(self.parts, book, offered, defaults or {})
        self._counters: Final = EnergyCounters(
            [part.element.id for part in self.parts if part.element.capabilities.energy is not UNSET],
            self.saved.counters_wh,
            # counters that were not stopped in order may be behind what has been reported
            self.saved.counter_epoch + (0 if self.saved.clean else 1),
        )
        self._saved_at_s = self._booted_s
        self._resources: Final = Resources(self)
        self._streams: list[ModuleStream] = []
        self._energies: dict[str, Energy] = {}
        self._sent_s = float("-inf")
        self._sent: list[_Sent] = []
        self._taken_over = self._told_over = ""
        self._pushed_s: deque[float] = deque(maxlen=PUSHES_MAX)
        self._next_s = 0.0
        self._timers: dict[str, Handle] = {}
        self._stopped = False
        self._lease_timer_s = float("inf")
        self._held_until_s = float("inf")
        self._take_over(self.saved)  # failsafe limits hold before anybody can speak

    def start(self) -> None:
        """Boot: failsafe limits and policy hold from here on, and a state is sent each period."""
        for name, settings in self.saved.settings.items():
            if name in self.control.parts and (refused := self.configure(name, settings)) is not None:
                _log.warning("%s: its settings are refused: %s", name, refused.detail)
        self.keep(
            msgspec.structs.replace(self.saved, clean=False, counter_epoch=self._counters.counter_epoch)
        )
        self._stopped = False
        if isinstance(self.device, HasNews):
            self.device.tell(self.changed)
        self._next_s = self._clock.now()
        self._tick()

    def stop(self) -> None:
        """End in order: the lease ends, timers stop, and the counters are kept exactly.

        Nobody will be there to end the lease later, so the device is left with what the policy wants.
        """
        if self.control.expire(float("inf")) or self.control.due_s() < float("inf"):
            self.control.decide(self._clock.now(), self._utc(), ending=True)
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._lease_timer_s = self._held_until_s = float("inf")
        self.keep(msgspec.structs.replace(self.saved, counters_wh=self._counters.totals_wh(), clean=True))

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped and not been started again."""
        return self._stopped

    def changed(self) -> None:
        """The device has news: read it now, and tell at once what is notable, at most ten times a second."""
        if self._stopped or not self._sent:
            return  # the device may outlive its module; the first state, which is about to come, tells all
        wait_s = self._sent_s + PUSH_MIN_S - self._clock.now()
        if wait_s > 0:
            if "look" not in self._timers:
                self._timers["look"] = self._clock.call_at(self._clock.now() + wait_s, self._look)
            return
        self._look()

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        """Answer a resource below `/ores/v1`."""
        return self._resources.answer(peer, method, path, body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> ModuleStream:
        """Begin a stream with the state of now.

        Raises:
            Forbidden: A stranger asks.
        """
        if peer.role not in {"controller", "observer"}:
            raise Forbidden(f"a {peer.role} may not open the stream: pair first")
        stream = ModuleStream(self, peer, send)
        self._streams.append(stream)
        send(self.state_frame())
        return stream

    def forget(self, stream: ModuleStream) -> None:
        """A stream has closed."""
        if stream in self._streams:
            self._streams.remove(stream)

    def take_lease(self, peer: Peer, lease: Lease) -> LeaseResult:
        """Act on a lease of the controller; the answer says what became of it."""
        now_s = self._clock.now()
        self._expire_due(now_s)  # a lease may come in the very moment in which the one before ends
        result = self.control.take(
            peer.id,
            lease,
            now_s=now_s,
            uptime_ms=self._uptime_ms(now_s),
            keep_epoch=self._keep_epoch,
        )
        if result.code is UNSET:
            self._watch_lease()
            self._watch_holds()
            self._look_after(now_s)
        return result

    def controlled_by(self, controller: str | None) -> None:
        """The pins have changed: of a hub that no longer controls us nothing is left (LIFE-005, PAIR-028).

        Its lease ends at once, and its epoch is forgotten; limits, policy and settings stay.

        Args:
            controller: Id of the hub that controls it now; None where none does.
        """
        if self.control.book.controller in {"", controller}:
            return
        ended = self.control.expire(float("inf"))
        self.control.book = LeaseBook(self._boot_id)
        saved = msgspec.structs.replace(self.saved, controller="", epoch=0)
        if not self.keep(saved):
            self.saved = saved  # it is kept with whatever is kept next
        if ended:
            self.redecide()

    def state(self) -> State:
        """What the module measures and does now, of the last reading."""
        now_s = self._clock.now()
        book = self.control.book
        lease: LeaseInForce | UnsetType = UNSET
        if in_force(book, now_s):
            lease = LeaseInForce(epoch=book.epoch, seq=book.seq, expires_in_s=book.expires_at_s - now_s)
        utc = self._utc()
        return State(
            boot_id=self._boot_id,
            uptime_ms=self._uptime_ms(now_s),
            control_source=self._taken_over or ("policy" if lease is UNSET else "lease"),
            elements={
                part.element.id: part.state(self._energies.get(part.element.id), now_s) for part in self.parts
            },
            time=UNSET
            if utc is None
            else utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
            policy=self.control.policy.kind,
            lease=lease,
        )

    def state_frame(self) -> bytes:
        """The state as a frame; every reading in it has been checked when it was read."""
        frame = _encoder.encode(FromModule(state=self.state()))
        if len(frame) > STATE_MAX_BYTES or STATE_TOO_LARGE in self.parts[0].faults:
            frame = _encoder.encode(FromModule(state=self.fitting_state()))
        return frame

    def fitting_state(self) -> State:
        """The state, if it fits a message; else what it says of the elements is unknown, with a fault.

        Numbers with many digits can make a state larger than was foreseen at the maker's desk. That must
        neither end the streams nor keep a lease from ending.
        """
        state = self.state()
        if len(_encoder.encode(state)) <= STATE_MAX_BYTES - _WRAPPING_BYTES:
            self.parts[0].clear_fault(STATE_TOO_LARGE)
            return state
        self.parts[0].raise_fault(STATE_TOO_LARGE, f"more than {STATE_MAX_BYTES} bytes; nothing is told")
        first = self.parts[0].element
        nothing = msgspec.structs.replace(
            unknown(first, UNSET), fault=self.parts[0].fault(), hazard=self.parts[0].hazard
        )
        return msgspec.structs.replace(state, elements={first.id: nothing})

    def push(self) -> None:
        """Send the state to all who listen, at most ten times a second."""
        now_s = self._clock.now()
        if len(self._pushed_s) == PUSHES_MAX and now_s - self._pushed_s[0] < 1.0 - _DUST_S:
            if "push" not in self._timers:
                self._timers["push"] = self._clock.call_at(self._pushed_s[0] + 1.0, self._push_due)
            return
        self._sent_s = now_s
        self._pushed_s.append(now_s)
        self._told_over = self._taken_over
        self._sent = [
            (part.reading, tuple(part.faults), part.hazards and part.hazards.seen) for part in self.parts
        ]
        if self._streams:
            frame = self.state_frame()
            for stream in tuple(self._streams):
                stream.send(frame)

    def _push_due(self) -> None:
        self._timers.pop("push", None)
        self.push()

    def redecide(self) -> None:
        """Something persistent has changed: act on it, and tell."""
        self._decide()
        self.push()

    def keep(self, saved: Saved) -> bool:
        """Keep this in the store; a store that does not take it is a fault, and the module lives on.

        Returns:
            Whether it is safe.
        """
        try:
            self._store.save(saved)
        except ConfigError as error:
            if STORE_FAILED not in self.parts[0].faults:
                _log.warning("not kept: %s", error.detail)
            # the hub is told why; where a file lies in the module is not its business
            self.parts[0].raise_fault(STORE_FAILED, str(error.found))
            return False
        self.parts[0].clear_fault(STORE_FAILED)
        self.saved = saved
        return True

    def configure(self, element: str, settings: ElementSettings) -> Refused | None:
        """Tell a device that wants to know; None when it accepts, or does not care."""
        if not isinstance(self.device, TakesSettings):
            return None
        try:
            return self.device.configure(element, settings)
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; nobody else pays
            return Refused(repr(error), "device_failed")

    def keep_and_use(self, saved: Saved) -> None:
        """Keep failsafe limits, policy and settings, and only then act on them.

        Raises:
            Refusal: They cannot be kept; what was there before still holds.
        """
        if not self.keep(saved):
            detail = self.parts[0].faults[STORE_FAILED]
            raise problems.Refusal("storage_failed", f"nothing has been changed: {detail}")
        self._take_over(saved)
        self.redecide()

    def factory_reset(self) -> None:
        """End the lease, and go back to policy, settings and failsafe limits of the factory (LIFE-002).

        Energy counters go on: they are the device's, and tell nothing of whoever had it.

        Raises:
            ConfigError: It cannot be kept. The lease has ended; policy, settings and limits still hold.
        """
        self.control.expire(float("inf"))
        factory = Saved(
            counters_wh=self._counters.totals_wh(),
            counter_epoch=self._counters.counter_epoch,
            latched=self.saved.latched,
            clean=False,
        )
        if not self.keep(factory):
            self.redecide()
            detail = self.parts[0].faults[STORE_FAILED]
            raise ConfigError("factory reset", found=detail, allowed="a store that can be written")
        self.control.forget()
        for part in self.parts:
            if part.has_reserve:
                part.reserve_pct = 0.0
                settings = ElementSettings(storage=StorageSettings(reserve_pct=0.0))
                if (refused := self.configure(part.element.id, settings)) is not None:
                    _log.warning("%s: its settings are refused: %s", part.element.id, refused.detail)
        self._take_over(factory)
        self.redecide()

    def reset_on_site(self) -> dict[str, list[str]]:
        """Somebody at the device has looked: hazards that are over are latched no more (CAP-023).

        Never to be called because of a message.

        Returns:
            Inputs that are still active, by element; they stay latched.

        Raises:
            ConfigError: It cannot be kept; all stays latched.
        """
        self._cycle(self._clock.now())
        left = self.control.latched(after_reset=True)
        if not self.keep(msgspec.structs.replace(self.saved, latched=left)):
            detail = self.parts[0].faults[STORE_FAILED]
            raise ConfigError("reset", found=detail, allowed="a store that can be written")
        for part in self.parts:
            if part.hazards is not None:
                part.hazards.reset()
        self._cycle(self._clock.now())
        self.push()
        return left

    def _take_over(self, saved: Saved) -> None:
        self.control.set_failsafe(saved.failsafe, strict=saved.strict)
        first = self.parts[0]  # where faults of the module as a whole stand (CAP-024)
        if saved.strict:
            first.raise_fault(
                STORE_LOST, "what was kept is lost: all failsafe limits are 0 until they are set"
            )
        else:
            first.clear_fault(STORE_LOST)
        if saved.policy is not None and saved.policy.kind in self.control.policies:
            self.control.policy = saved.policy
        for name, settings in saved.settings.items():
            if name in self.control.parts and not isinstance(settings.storage, UnsetType):
                self.control.parts[name].reserve_pct = settings.storage.reserve_pct

    def _keep_epoch(self, controller: str, epoch: int) -> str:
        """Keep a new epoch; says why where it cannot (LEASE-026), empty where it has been."""
        faults = self.parts[0].faults
        if (
            STORE_FAILED not in faults
        ):  # else it is tried again soon, and not with each lease of a patient hub
            self.keep(msgspec.structs.replace(self.saved, controller=controller, epoch=epoch))
        return faults.get(STORE_FAILED, "")

    def _tick(self) -> None:
        now_s = self._clock.now()
        # a period that was missed is not made up for; the rhythm stays
        missed = max(0, int((now_s - self._next_s) / self._period_s))
        self._next_s += (missed + 1) * self._period_s
        self._timers["tick"] = self._clock.call_at(self._next_s, self._tick)
        self._cycle(now_s)
        self.push()
        failing = STORE_FAILED in self.parts[0].faults
        if (failing or self._counters) and now_s - self._saved_at_s >= (
            RETRY_S if failing else SAVE_COUNTERS_S
        ):
            self._saved_at_s = now_s
            self.keep(msgspec.structs.replace(self.saved, counters_wh=self._counters.totals_wh()))

    def _look_after(self, now_s: float) -> None:
        """Soon after a device was told something, see what it made of it, where it will not say so itself."""
        told = any(part.told_at_s == now_s for part in self.parts)
        if told and "look" not in self._timers and not isinstance(self.device, HasNews):
            self._timers["look"] = self._clock.call_at(now_s + PUSH_MIN_S, self._look)

    def _look(self) -> None:
        self._timers.pop("look", None)
        self._cycle(self._clock.now())
        if self._is_notable():
            self.push()

    def _cycle(self, now_s: float) -> None:
        self._expire_due(now_s)
        self.control.read(now_s)
        latched = self.control.look_for_hazards(now_s)
        says = self._who_decides()
        self._taken_over = PROTECTION if self.control.endangered() else says
        if self._counters:
            self._count(now_s)
        self._decide()
        if latched:  # the power is gone; now that it stays away after a power cut, too
            saved = msgspec.structs.replace(self.saved, latched=self.control.latched())
            if not self.keep(saved):
                self.saved = saved  # it is kept with whatever is kept next

    def _who_decides(self) -> str:
        """What has taken over at the device; empty where the module decides (STREAM-010)."""
        if not isinstance(self.device, DecidesItself):
            return ""
        try:
            says: object = self.device.taken_over()
        except Exception as error:  # noqa: BLE001  a driver may fail in any way; nobody else pays
            says = repr(error)
        sound = says in (None, *TAKEN_OVER)  # a tuple: what cannot be hashed may be said, too
        if sound:
            self.parts[0].clear_fault(READ_INVALID_SOURCE)
        else:
            self.parts[0].raise_fault(READ_INVALID_SOURCE, f"who decides: {says!r}")
        return str(says) if sound and says else ""

    def _count(self, now_s: float) -> None:
        for part in self.parts:
            name, reading = part.element.id, part.reading
            if part.counts_itself is False and part.element.capabilities.energy is not UNSET:
                self._energies[name] = self._counters.count(name, power_w(reading), now_s)

    def _watch_lease(self) -> None:
        """See to it that the lease's end is met; a timer that is early enough is left as it is."""
        ends_s = self.control.book.expires_at_s
        if ends_s < self._lease_timer_s:
            if (timer := self._timers.pop("lease", None)) is not None:
                timer.cancel()
            self._lease_timer_s = ends_s
            self._timers["lease"] = self._clock.call_at(ends_s, self._lease_due)

    def _lease_due(self) -> None:
        self._timers.pop("lease", None)
        self._lease_timer_s = float("inf")
        if in_force(self.control.book, self._clock.now()):
            self._watch_lease()  # it has been renewed
        elif self._expire_due(self._clock.now()):
            self.push()

    def _expire_due(self, now_s: float) -> bool:
        if not self.control.expire(now_s):
            return False
        self._decide()
        return True

    def _decide(self) -> None:
        self.control.decide(self._clock.now(), self._utc())
        self._watch_holds()

    def _watch_holds(self) -> None:
        """See to it that what a least time holds back is done when it is over (HOLD-007)."""
        due_s = self.control.due_s()
        if due_s == self._held_until_s:
            return
        if (timer := self._timers.pop("held", None)) is not None:
            timer.cancel()
        self._held_until_s = due_s
        if due_s < float("inf"):
            self._timers["held"] = self._clock.call_at(due_s, self._held_due)

    def _held_due(self) -> None:
        self._timers.pop("held", None)
        self._held_until_s = float("inf")
        self.redecide()

    def _is_notable(self) -> bool:
        return self._taken_over != self._told_over or any(
            (tuple(part.faults), part.hazards and part.hazards.seen) != (faults, hazards)
            or is_notable(part.reading, reading, self._notable_w)
            for part, (reading, faults, hazards) in zip(self.parts, self._sent, strict=True)
        )

    def _uptime_ms(self, now_s: float) -> int:
        return int((now_s - self._booted_s) * 1000)


_encoder: Final = msgspec.json.Encoder()
_Sent = tuple[ElementState, tuple[str, ...], object]
"""What was told last of one element: its reading, its faults, and what endangers it."""
