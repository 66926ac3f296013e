"""What the house could do: asked of the modules that tell it, derived for all others.

Each module has a keeper, which asks when a session begins, before what was told ends, and when the state
shows that a vehicle, a mode or a job is another one than before. A module that serves no such resource is
asked once in a session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from math import inf
from typing import Final

from msgspec import UnsetType

from ores.control.flexibility import commander, derive
from ores.control.told import later, taken
from ores.hub.reading import ask_for
from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.link.endpoint import Session
from ores.link.errors import Forbidden, OresError, PeerError
from ores.model import (
    Description,
    ElementFlexibility,
    Flexibility,
    FlexibilityInUse,
    HouseFlexibility,
    ModuleFlexibility,
    State,
)

_log: Final = logging.getLogger(__name__)

DEADLINE_S: Final = 10.0
LEAST_S: Final = 10.0
"""Between two questions to one module (FLEX-019)."""
AGAIN_S: Final = 60.0
"""After a question that was not answered."""


class FlexibilityKeeper:
    """What one module tells, and for how long it holds.

    Args:
        clock: Process time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = asyncio.Event()
        self._told: Flexibility | None = None
        self._received_s = 0.0
        self._asked_s = -inf
        self._seen: object = None

    async def keep(self, session: Session) -> None:
        """Ask, and ask again when it is time, for as long as the session lasts or the module answers."""
        while True:
            soon_s = self._asked_s + LEAST_S - self._clock.now()
            if soon_s > 0.0:
                await self._clock.sleep(soon_s)
            self._due.clear()
            self._asked_s = self._clock.now()
            try:
                told = await ask_for(session, self._clock, DEADLINE_S, "/flexibility", Flexibility)
            except (Forbidden, PeerError):
                self._told = None  # it does not serve it, or not in a way that can be read
                return
            except OresError:
                await self._rest(AGAIN_S)
                continue
            except Exception:  # noqa: BLE001  a defect met here must not be met again each minute of this session
                self._told = None
                _log.exception("its flexibility could not be asked for")
                return
            finally:
                self._asked_s = (
                    self._clock.now()
                )  # it may have waited behind other requests before it was sent
            self._told, self._received_s = told, self._clock.now()
            await self._rest(told.valid_s / 2.0)

    async def _rest(self, seconds: float) -> None:
        """Until it is due: at the latest after so long, earlier when there is news."""
        timer = self._clock.call_at(self._clock.now() + seconds, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()

    def look(self, state: State) -> None:
        """A state has come: news of a vehicle, a mode or a job is a reason to ask again (FLEX-018)."""
        seen = _telling(state)
        if seen != self._seen:
            if self._seen is not None:
                self._due.set()
            self._seen = seen

    def told(self, state: State, now_s: float) -> tuple[Flexibility, float] | None:
        """What holds of what was told, and how long before this state it was drawn up, in s.

        Negative where it is newer than the state. None where nothing holds: too old, or of another boot
        (FLEX-017).
        """
        told = self._told
        if told is None or told.boot_id != state.boot_id or now_s - self._received_s > told.valid_s:
            return None
        return told, (state.uptime_ms - told.uptime_ms) / 1000.0


def of_module(
    description: Description, state: State, age_s: float, told: tuple[Flexibility, float] | None
) -> dict[str, FlexibilityInUse]:
    """One module's flexibility, counted from now.

    Args:
        description: What it is.
        state: Its newest; found fresh.
        age_s: Of the state.
        told: As `FlexibilityKeeper.told` gives it.
    """
    elements = {element.id: element for element in description.elements}
    derived = derive(description, state)
    in_use = {
        name: FlexibilityInUse(source="derived", flexibility=later(one, age_s))
        for name, one in derived.items()
    }
    if told is None:
        return in_use
    message, before_s = told
    for name, word in message.elements.items():
        element = elements.get(name)
        if element is None:
            continue
        at = commander(element, elements, "setpoint") or element
        # both to the moment of the state, and from there to now
        said = later(word, max(0.0, before_s))
        used = taken(said, derived.get(name, ElementFlexibility()), element.capabilities, at.capabilities)
        in_use[name] = FlexibilityInUse(source="told", flexibility=later(used, age_s + min(0.0, before_s)))
    return in_use


def of_house(modules: Mapping[str, dict[str, FlexibilityInUse]], clock: Clock) -> HouseFlexibility:
    """What the whole house could do, counted from now."""
    return HouseFlexibility(
        time=rfc3339(clock.utc()),
        modules={module: ModuleFlexibility(elements=of) for module, of in modules.items()},
    )


def _telling(state: State) -> object:
    """What makes news: whether vehicles are there, the modes, and the phases of jobs."""
    return {
        name: (
            None if isinstance(of.ev, UnsetType) else of.ev.connected,
            None if isinstance(of.mode, UnsetType) else of.mode.mode,
            None if isinstance(of.job, UnsetType) else of.job.phase,
        )
        for name, of in state.elements.items()
    }
