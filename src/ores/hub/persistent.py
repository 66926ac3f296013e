"""What must outlive the hub in a module: failsafe limits, policy, reserve.

Written only when it differs, and read back. A module keeps these in flash, so nothing is written that it has
already.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from ores.hub.notices import Notices
from ores.hub.reading import ask, ask_for
from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Session
from ores.link.errors import Forbidden, OresError, PeerError
from ores.model import Description, ElementSettings, Failsafe, Limits, Policy, Settings, StorageSettings

DEADLINE_S = 10.0
AGAIN_FIRST_S = 2.0
AGAIN_MAX_S = 300.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a module is to keep.

    Attributes:
        failsafe: Limits without a lease; None leaves them as they are.
        narrow_only: Not all modules are known yet, so that a share may seem too large: nothing is widened.
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
    """

    def __init__(self, module_id: str, clock: Clock, notices: Notices) -> None:
        self.id = module_id
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
        self._changed.set()

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

    async def _bring(self, session: Session) -> None:
        wanted = self.wanted
        failsafe = wanted.failsafe
        if failsafe is not None and self.kept.failsafe_for != (failsafe, wanted.narrow_only):
            await self._bring_failsafe(session, failsafe, narrow_only=wanted.narrow_only)
        if wanted.policy is not None and self.kept.policy != wanted.policy:
            await self._bring_policy(session, wanted.policy)
        reserve_pct = wanted.reserve_pct
        if reserve_pct is not None and any(self.kept.reserves.get(s) != reserve_pct for s in self._stores):
            await self._bring_reserve(session, reserve_pct)

    async def _bring_failsafe(self, session: Session, wanted: Failsafe, *, narrow_only: bool) -> None:
        there = await ask_for(session, self._clock, DEADLINE_S, "/failsafe", Failsafe)
        failsafe = _narrower(there, wanted) if narrow_only else wanted
        if there != failsafe:
            await ask(session, self._clock, DEADLINE_S, ("PUT", "/failsafe"), codec.encode(failsafe))
            there = await ask_for(session, self._clock, DEADLINE_S, "/failsafe", Failsafe)
        if not _binds(there, failsafe):
            raise PeerError("the failsafe limits read back are wider than those that were written")
        self.kept.failsafe_for = (wanted, narrow_only)

    async def _bring_policy(self, session: Session, kind: str) -> None:
        there = await ask_for(session, self._clock, DEADLINE_S, "/policy", Policy)
        if there.kind != kind:
            await ask(session, self._clock, DEADLINE_S, ("PUT", "/policy"), codec.encode(Policy(kind=kind)))
            there = await ask_for(session, self._clock, DEADLINE_S, "/policy", Policy)
        self.kept.policy = there.kind
        if there.kind != kind:
            raise PeerError(f"the policy read back is {there.kind}, written was {kind}")

    async def _bring_reserve(self, session: Session, reserve_pct: float) -> None:
        self.kept.reserves = _reserves(await ask_for(session, self._clock, DEADLINE_S, "/settings", Settings))
        differing = [store for store in self._stores if self.kept.reserves.get(store) != reserve_pct]
        if not differing:
            return
        settings = Settings(
            elements={s: ElementSettings(storage=StorageSettings(reserve_pct=reserve_pct)) for s in differing}
        )
        body = await ask(session, self._clock, DEADLINE_S, ("PUT", "/settings"), codec.encode(settings))
        self.kept.reserves = _reserves(codec.decode(Settings, body))
        if wrong := [s for s in self._stores if self.kept.reserves.get(s) != reserve_pct]:
            raise PeerError(f"the reserve read back of {', '.join(wrong)} is not {reserve_pct:g} %")

    def _complain(self, error: Exception) -> None:
        why = error.detail if isinstance(error, OresError) else f"{type(error).__name__}: {error}"
        text = f"failsafe limits, policy or reserve: {why}"
        new = self._notices.raise_("settings_not_taken", text, level="error", module=self.id)
        if new and not isinstance(error, OresError):
            _log.error("settings of module %s", self.id, exc_info=error)


def _reserves(settings: Settings) -> dict[str, float]:
    return {
        element: of.storage.reserve_pct
        for element, of in settings.elements.items()
        if of.storage is not UNSET
    }


def _narrower(one: Failsafe, other: Failsafe) -> Failsafe:
    """The stricter of two, for each element and limit."""
    merged = dict(one.elements)
    for element, limits in other.elements.items():
        known = merged.get(element, Limits())
        values = {
            name: min(
                (v for v in (getattr(known, name), getattr(limits, name)) if v is not UNSET), default=UNSET
            )
            for name in limits.__struct_fields__
        }
        merged[element] = Limits(**values)
    return Failsafe(elements=merged)


def _binds(there: Failsafe, wanted: Failsafe) -> bool:
    """Whether what is there is at least as strict as what is wanted, for each element and limit."""
    for element, limits in wanted.elements.items():
        kept = there.elements.get(element)
        for name, value in msgspec.structs.asdict(limits).items():
            if value is UNSET:
                continue
            found = UNSET if kept is None else getattr(kept, name)
            if found is UNSET or found > value:
                return False
    return True
