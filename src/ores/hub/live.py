"""The house as it is now, for people: a picture made of what the cycle knows."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from ores.hub.arbiter import Arbiter
from ores.hub.decisions import Decisions
from ores.hub.doing import module_doing
from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.model import Decision, Live, ModuleLive, Notice

_encoder = msgspec.json.Encoder()


class LiveFrame(msgspec.Struct, frozen=True):
    """The frame of a cycle on the stream to pages."""

    live: Live


class DecisionFrame(msgspec.Struct, frozen=True):
    """The frame of a new decision."""

    decision: Decision


class NoticeFrame(msgspec.Struct, frozen=True):
    """The frame of a new notice."""

    notice: Notice


def frame(message: LiveFrame | DecisionFrame | NoticeFrame) -> bytes:
    """JSON text; our own numbers, so they are not read back to check them."""
    return _encoder.encode(message)


class Picture:
    """Draws `Live`.

    Args:
        clock: Dates it.
        federation: Whose states are shown.
        arbiter: Knows the flow and what each module is doing.
        decisions: Know why.
        notices: Those that hold.
    """

    def __init__(
        self, clock: Clock, federation: Federation, arbiter: Arbiter, decisions: Decisions, notices: Notices
    ) -> None:
        self._clock = clock
        self._federation = federation
        self._arbiter = arbiter
        self._decisions = decisions
        self._notices = notices

    def live(self, cycle: int) -> Live:
        """The house now; what is stale is unknown."""
        now_s = self._clock.now()
        return Live(
            time=rfc3339(self._clock.utc()),
            cycle=cycle,
            flow=self._arbiter.flow(now_s),
            modules={
                module_id: self._module(link, now_s) for module_id, link in self._federation.links.items()
            },
            notices=self._notices.active(),
        )

    def _module(self, link: ModuleLink, now_s: float) -> ModuleLive:
        status = link.status(now_s)
        age_s = link.age_s(now_s)
        if status != "online" or link.state is None:
            return ModuleLive(status=status, elements={}, age_s=age_s)
        why = self._arbiter.why(link.id)
        return ModuleLive(
            status=status,
            elements=link.state.elements,
            age_s=age_s,
            control_source=link.state.control_source,
            doing=UNSET if link.description is None else module_doing(link.description, link.state),
            why=UNSET if why is None else why,
        )
