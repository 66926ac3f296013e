"""What must outlive the hub in a module: failsafe limits, policy, reserve.

Written only when it differs, and read back. A module keeps these in flash, so nothing is written that it has
already. Failsafe limits of somebody else are never widened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from ores.hub.notices import Notices
from ores.hub.promises import NONE, Promise, Promises, all_zero, binds, narrower, same
from ores.hub.reading import ask, ask_for
from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Session
from ores.link.errors import Forbidden, OresError, PeerError
from ores.model import Description, ElementSettings, Failsafe, Policy, Settings, State, StorageSettings

DEADLINE_S = 10.0
AGAIN_FIRST_S = 2.0
AGAIN_MAX_S = 300.0
BODY_MAX_BYTES = 4096

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a module is to keep.

    Attributes:
        failsafe: Limits without a lease; None leaves them as they are.
        narrow_only: Others are not known yet or keep more than their share still: nothing is widened.
        policy: Kind; None leaves it as it is.
        reserve_pct: Of each store that takes one; None leaves it as it is.
    """

    failsafe: Failsafe | None = None
    narrow_only: bool = False
    policy: str | None = None
    reserve_pct: float | None = None


@dataclass(slots=True)
class Kept:
    """What a module was last read to keep; of failsafe limits, the wish that they were brought to."""

    failsafe_for: tuple[Failsafe, bool] | None = None
    policy: str | None = None
    reserves: dict[str, float] = field(default_factory=dict)


class PersistentKeeper:
    """Brings one module's persistent settings to what is wanted.

    Args:
        module_id: Whose.
        clock: Process time.
        notices: Learns when a module does not take them.
        promises: Remember what it keeps, for when it is away.
        epoch: Of this start of the hub.

    Attributes:
        on_changed: Called when what it keeps, or whether it can be told, may be another than before.
        watch_only: It may be read, and is not written in this session.
        is_read: Whether its failsafe limits were read in this session.
    """

    def __init__(
        self,
        module_id: str,
        clock: Clock,
        notices: Notices,
        promises: Promises | None = None,
        *,
        epoch: int = 0,
    ) -> None:
        self._epoch = epoch
        self.id = module_id
        self.on_changed: Callable[[], None] = _nothing
        self.watch_only = False
        self.is_read = False
        self._in_session = False
        self._failed = False
        self._promises = promises or Promises(None, notices)
        self.promise = self._promises.load(module_id)
        self.wanted = Wanted()
        self.kept = Kept()
        self._stores: tuple[str, ...] = ()
        self._clock = clock
        self._notices = notices
        self._changed = asyncio.Event()

    def describe(self, description: Description) -> None:
        """Learn which elements take a reserve."""
        self._stores = tuple(
            element.id
            for element in description.elements
            if element.capabilities.storage is not UNSET
            and element.capabilities.storage.reserve_setting is True
        )
        self._remember(msgspec.structs.replace(self.promise, description=description))
        self._changed.set()

    @property
    def can_be_told(self) -> bool:
        """Whether failsafe limits reach it now, as far as we know."""
        return self._in_session and not self._failed and not self.watch_only

    def begin(self, *, watch_only: bool) -> None:
        """There is a session; what the module keeps may have been changed by somebody meanwhile."""
        self._in_session, self._failed, self.is_read, self.watch_only = True, False, False, watch_only
        self._tell()

    def end(self) -> None:
        """The session is over."""
        self._in_session = self.is_read = False
        self._tell()

    def want(self, wanted: Wanted) -> None:
        """From now on; written soon where it differs."""
        if wanted != self.wanted:
            self.wanted = wanted
            self._changed.set()

    async def keep(self, session: Session) -> None:
        """Read what the module keeps, then write whatever differs, for as long as the session lasts."""
        again_s = AGAIN_FIRST_S
        self._changed.set()
        self.kept = Kept()  # somebody else may have changed it meanwhile
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._bring(session)
            except Forbidden as error:
                self._complain(error)  # asking again would not help; a change of wish or a new session may
            except Exception as error:  # noqa: BLE001  a defect met here must not leave the limits unwritten for ever
                self._complain(error)
                self._clock.call_at(self._clock.now() + again_s, self._changed.set)
                again_s = min(AGAIN_MAX_S, again_s * 2.0)
            else:
                again_s = AGAIN_FIRST_S
                self._notices.clear("settings_not_taken", self.id)
            self._judge()

    def _judge(self) -> None:
        """After each try: others need not wait for a module that does not take its limits."""
        wanted = self.wanted
        settled = wanted.failsafe is None or self.kept.failsafe_for == (wanted.failsafe, wanted.narrow_only)
        self._failed = not settled and not self._changed.is_set()
        self._tell()

    def _tell(self) -> None:
        try:
            self.on_changed()
        except Exception as error:  # noqa: BLE001  what others make of it must not end this session's work
            if self._notices.raise_("internal", f"{type(error).__name__}: {error}", level="error"):
                _log.exception("failsafe limits could not be divided anew")

    async def _bring(self, session: Session) -> None:
        wanted = self.wanted
        failsafe = wanted.failsafe
        if failsafe is not None and self.kept.failsafe_for != (failsafe, wanted.narrow_only):
            await self._bring_failsafe(session, failsafe, narrow_only=wanted.narrow_only)
        if self.watch_only:
            return
        if wanted.policy is not None and self.kept.policy != wanted.policy:
            await self._bring_policy(session, wanted.policy)
        reserve_pct = wanted.reserve_pct
        if reserve_pct is not None and any(self.kept.reserves.get(s) != reserve_pct for s in self._stores):
            await self._bring_reserve(session, reserve_pct)

    async def _bring_failsafe(self, session: Session, wanted: Failsafe, *, narrow_only: bool) -> None:
        there = await ask_for(session, self._clock, DEADLINE_S, "/failsafe", Failsafe)
        lost = all_zero(there) and await self._has_lost_its_store(session)
        promise = self.promise.lost(there) if lost else self.promise.read(there)
        self._remember(promise)
        self.is_read = True
        if (self.wanted.failsafe, self.wanted.narrow_only) != (wanted, narrow_only):
            return  # others may reckon with the newer wish already
        failsafe = narrower(promise.theirs, wanted)
        if narrow_only:
            failsafe = narrower(there, failsafe)
        silent = lost and not promise.known and same(failsafe, NONE)  # nobody has said what it is to keep
        if not self.watch_only and not silent and not same(there, failsafe):
            self._remember(self.promise.about_to_write(failsafe))
            await ask(session, self._clock, DEADLINE_S, ("PUT", "/failsafe"), self._written(failsafe))
            there = await ask_for(session, self._clock, DEADLINE_S, "/failsafe", Failsafe)
            self._remember(self.promise.wrote(there))
            if not binds(there, failsafe):
                raise PeerError("the failsafe limits read back are wider than those that were written")
        self.kept.failsafe_for = (wanted, narrow_only)

    def _written(self, command: Failsafe | Policy | Settings) -> bytes:
        """As it goes to the module: with our epoch, so that a copy of this hub is known (LEASE-028)."""
        return codec.encode(msgspec.structs.replace(command, epoch=self._epoch))

    async def _has_lost_its_store(self, session: Session) -> bool:
        state = await ask_for(session, self._clock, DEADLINE_S, "/state", State)
        faults = [element.fault for element in state.elements.values() if element.fault is not UNSET]
        return any("store_lost" in fault.codes for fault in faults)

    def _remember(self, promise: Promise) -> None:
        if promise != self.promise:
            self.promise = promise
            self._promises.save(self.id, promise)

    async def _bring_policy(self, session: Session, kind: str) -> None:
        there = await ask_for(session, self._clock, DEADLINE_S, "/policy", Policy)
        if there.kind != kind:
            await ask(session, self._clock, DEADLINE_S, ("PUT", "/policy"), self._written(Policy(kind=kind)))
            there = await ask_for(session, self._clock, DEADLINE_S, "/policy", Policy)
        self.kept.policy = there.kind
        if there.kind != kind:
            raise PeerError(f"the policy read back is {there.kind}, written was {kind}")

    async def _bring_reserve(self, session: Session, reserve_pct: float) -> None:
        self.kept.reserves = _reserves(await ask_for(session, self._clock, DEADLINE_S, "/settings", Settings))
        differing = [store for store in self._stores if self.kept.reserves.get(store) != reserve_pct]
        if not differing:
            return
        for body in self._in_portions(differing, reserve_pct):
            answer = await ask(session, self._clock, DEADLINE_S, ("PUT", "/settings"), body)
            self.kept.reserves = _reserves(codec.decode(Settings, answer))
        if wrong := [s for s in self._stores if self.kept.reserves.get(s) != reserve_pct]:
            raise PeerError(f"the reserve read back of {', '.join(wrong)} is not {reserve_pct:g} %")

    def _in_portions(self, stores: list[str], reserve_pct: float) -> Iterator[bytes]:
        """The reserve of many stores in as many messages as small modules can take (HTTP-006)."""
        reserve = ElementSettings(storage=StorageSettings(reserve_pct=reserve_pct))
        portion = stores
        while stores:
            body = self._written(Settings(elements=dict.fromkeys(portion, reserve)))
            if len(body) > BODY_MAX_BYTES and len(portion) > 1:
                portion = portion[: max(1, min(len(portion) - 1, len(portion) * BODY_MAX_BYTES // len(body)))]
                continue
            yield body
            stores = portion = stores[len(portion) :]

    def _complain(self, error: Exception) -> None:
        why = error.detail if isinstance(error, OresError) else f"{type(error).__name__}: {error}"
        text = f"failsafe limits, policy or reserve: {why}"
        new = self._notices.raise_("settings_not_taken", text, level="error", module=self.id)
        if new and not isinstance(error, OresError):
            _log.error("settings of module %s", self.id, exc_info=error)


def _nothing() -> None:
    """Nobody listens."""


def _reserves(settings: Settings) -> dict[str, float]:
    return {
        element: of.storage.reserve_pct
        for element, of in settings.elements.items()
        if of.storage is not UNSET
    }
