"""The hub as one thing: its parts, and what an app may ask of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

import ores
from ores.hub.arbiter import Arbiter
from ores.hub.config import HubConfig
from ores.hub.cycle import Cycle
from ores.hub.decisions import Decisions
from ores.hub.fanout import Fanout
from ores.hub.federation import Federation
from ores.hub.flexibility import of_house, of_module
from ores.hub.history import History
from ores.hub.live import DecisionFrame, LiveFrame, NoticeFrame, Picture, frame
from ores.hub.membership import Membership
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.hub.owner import Owner
from ores.hub.people import People
from ores.hub.preferences import PreferencesStore
from ores.hub.proposals import Proposals
from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.model import Decision, HouseFlexibility, HubStatus, Live, ModuleInfo, Notice

ORES_VERSION = "1.0"


@dataclass(slots=True)
class Hub:
    """All parts of a running hub; made by `run_hub`."""

    config: HubConfig
    clock: Clock
    id: str
    notices: Notices
    preferences: PreferencesStore
    proposals: Proposals
    decisions: Decisions
    federation: Federation
    membership: Membership
    arbiter: Arbiter
    cycle: Cycle
    picture: Picture
    fanout: Fanout
    history: History
    owner: Owner
    people: People
    owner_created: Callable[[], Awaitable[None]]
    plan: Callable[[], object] | None = None
    """The newest plan, as apps get it; None where nothing is planned by."""

    def status(self) -> HubStatus:
        """The hub itself."""
        return HubStatus(
            ores=ORES_VERSION,
            id=self.id,
            name=self.config.name,
            version=ores.__version__,
            owner=self.owner.exists,
            time=rfc3339(self.clock.utc()),
            cycles=self.cycle.cycles,
            missed_cycles=self.cycle.missed,
            epoch=self.federation.epoch,
            simulated=self.config.simulated,
            speed=UNSET if self.config.speed is None else self.config.speed,
        )

    def live(self) -> Live:
        """The house now."""
        return self.picture.live(self.cycle.cycles)

    def flexibility(self) -> HouseFlexibility:
        """What the house could do; of a module that is not online nothing is known."""
        now_s = self.clock.now()
        known = {}
        for module_id, link in self.federation.links.items():
            description, state, age_s = link.description, link.state, link.age_s(now_s)
            if description is not None and state is not None and age_s is not None and link.is_fresh(now_s):
                told = link.flexibility.told(state, now_s)
                known[module_id] = of_module(description, state, age_s, told)
        return of_house(known, self.clock)

    def modules(self) -> list[ModuleInfo]:
        """Those that are paired, then those that were found, each by id."""
        paired = [self.info(link) for link in self.federation.links.values()]
        found = [
            ModuleInfo(id=module_id, status="found", paired=False, address=self.membership.found[module_id])
            for module_id in sorted(self.membership.found)
            if module_id not in self.federation.links
        ]
        return paired + found

    def module(self, module_id: str) -> ModuleInfo | None:
        """One of them."""
        return next((info for info in self.modules() if info.id == module_id), None)

    def info(self, link: ModuleLink) -> ModuleInfo:
        """A paired module."""
        address = self.membership.address(link.id)
        return ModuleInfo(
            id=link.id,
            status=link.status(self.clock.now()),
            paired=True,
            watch_only=link.watch_only,
            address=address or UNSET,
            description=UNSET if link.description is None else link.description,
        )

    def show_live(self) -> None:
        """A cycle is done: show it to open pages."""
        self.fanout.show(lambda: frame(LiveFrame(live=self.live())))

    def show_decision(self, decision: Decision) -> None:
        """A decision has begun."""
        if len(self.fanout):
            self.fanout.tell(frame(DecisionFrame(decision=decision)))

    def show_notice(self, notice: Notice) -> None:
        """A notice has begun, was acknowledged, or has ended."""
        if len(self.fanout):
            self.fanout.tell(frame(NoticeFrame(notice=notice)))

    def summary(self) -> Summary:
        """Numbers for the end of a run."""
        counts = self.federation.counts
        return Summary(
            cycles=self.cycle.cycles,
            missed_cycles=self.cycle.missed,
            decisions=self.decisions.count,
            leases_sent=counts.sent,
            leases_applied=counts.applied,
            leases_clipped=counts.clipped,
            leases_refused=counts.refused,
            leases_expired=counts.expired,
        )


class Summary(msgspec.Struct, frozen=True):
    """How a run went.

    Attributes:
        cycles: Done.
        missed_cycles: Whose time passed without one.
        decisions: Begun.
        leases_sent: To all modules.
        leases_applied: Answered so.
        leases_clipped: Answered so.
        leases_refused: Answered so.
        leases_expired: That ran out on the module's side while the hub wanted them.
    """

    cycles: int
    missed_cycles: int
    decisions: int
    leases_sent: int
    leases_applied: int
    leases_clipped: int
    leases_refused: int
    leases_expired: int
