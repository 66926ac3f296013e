"""The hub's side of `ores.control`: it freezes what is known, asks, and keeps what the next cycle needs.

The deciding itself is pure and lives there; the memory lives here, and losing it only narrows what is
allowed.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from ores.control.decide import Decided, decide
from ores.control.failsafe import failsafe_limits
from ores.control.flow import flow
from ores.control.memory import Memory
from ores.control.snapshot import ModuleSnapshot, Snapshot
from ores.control.topology import Topology, compile_topology
from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.persistent import Wanted
from ores.hub.preferences import PreferencesStore
from ores.hub.proposals import Proposals
from ores.link.clock import Clock
from ores.model import Failsafe, Flow, Preferences


class Arbiter:
    """Asks for decisions.

    Args:
        clock: Process time.
        federation: Whose states are read.
        preferences: What the owner wants.
        proposals: What everybody wants.
    """

    def __init__(
        self, clock: Clock, federation: Federation, preferences: PreferencesStore, proposals: Proposals
    ) -> None:
        self._clock = clock
        self._federation = federation
        self._preferences = preferences
        self._proposals = proposals
        self._memory = Memory()
        self._topology: Topology = compile_topology(())
        self._described: list[ModuleLink] = []
        self._frozen: dict[str, ModuleSnapshot] = {}
        self.meter = ""
        self._seen = self._freeze(0.0)
        self._flow = flow(self._seen)
        self._flow_at_s: float | None = None
        self.decided = Decided(commands={}, decisions=[], rulings={}, memory=self._memory)

    def modules_changed(self) -> None:
        """A module came, went, or describes itself anew."""
        self._described = [link for link in self._federation.links.values() if link.description is not None]
        self._frozen.clear()
        self._topology = compile_topology(
            link.description for link in self._described if link.description is not None
        )
        self.meter = "" if self._topology.meter is None else self._topology.meter.module_id
        self.preferences_changed()

    def preferences_changed(self) -> None:
        """What modules keep for themselves follows what the owner wants."""
        preferences = self._preferences.get()
        limits = failsafe_limits(self._topology, preferences)
        complete = len(self._described) == len(self._federation.links)
        follower = self._follower(preferences)
        for link in self._described:
            failsafe = limits.get(link.id, Failsafe(elements={}))
            link.leases.set_short(short=_shares_export(failsafe))
            link.persistent.want(
                Wanted(
                    failsafe=failsafe if _limits(link) else None,
                    narrow_only=not complete,
                    policy=_policy(link, follower),
                    reserve_pct=preferences.reserve_pct,
                )
            )

    def tell_again(self, module_id: str) -> None:
        """What holds for this module is worth recording anew: it was told in other circumstances."""
        told = {key: t for key, t in self._memory.told.items() if not key.startswith(f"{module_id}/")}
        self._memory = msgspec.structs.replace(self._memory, told=told)

    def decide(self, now_s: float) -> Decided:
        """One decision on all that is known now; the modules' newest commands are in it, complete."""
        offers = [held.offer for held in self._proposals.held()]
        self._seen = self._freeze(now_s)
        self._flow_at_s = None
        self.decided = decide(self._seen, offers, self._memory, now_s)
        self._memory = self.decided.memory
        return self.decided

    def flow(self, now_s: float) -> Flow:
        """Power through the house; within a cycle, as its decision saw it."""
        if self._flow_at_s != now_s:
            self._flow_at_s = now_s
            self._flow = flow(self._freeze(now_s))
        return self._flow

    def why(self, module_id: str) -> str | None:
        """The reason of what a module is told now; of several elements the one that is told most."""
        of_module = [ruling for ruling in self.decided.rulings.values() if ruling.module_id == module_id]
        return max(of_module, key=lambda ruling: abs(ruling.number)).reason if of_module else None

    def _freeze(self, now_s: float) -> Snapshot:
        modules: dict[str, ModuleSnapshot] = {}
        frozen = self._frozen
        for link in self._described:
            fresh, controllable = link.is_fresh(now_s), not link.watch_only
            known = frozen.get(link.id)
            if known is None or known.state is not link.state or known.fresh is not fresh:
                known = frozen[link.id] = ModuleSnapshot(
                    description=link.known_description,
                    state=link.state,
                    fresh=fresh,
                    controllable=controllable,
                )
            modules[link.id] = known
        return Snapshot(modules=modules, preferences=self._preferences.get(), topology=self._topology)

    def _follower(self, preferences: Preferences) -> str:
        """The one store that follows the house by itself when the hub is dead; two would fight."""
        if not preferences.self_consumption:
            return ""
        able = [link.id for link in self._described if _stores(link) and _offers(link, "self_consumption")]
        return min(able, default="")


def _policy(link: ModuleLink, follower: str) -> str | None:
    """What a store does on its own; other modules keep the policy they have."""
    if not _stores(link):
        return None
    if link.id == follower:
        return "self_consumption"
    return "idle" if _offers(link, "idle") else None


def _limits(link: ModuleLink) -> bool:
    return link.description is not None and any(
        element.capabilities.limit is not UNSET for element in link.description.elements
    )


def _shares_export(failsafe: Failsafe) -> bool:
    return any(limits.produce_max_w is not UNSET for limits in failsafe.elements.values())


def _stores(link: ModuleLink) -> bool:
    return link.description is not None and any(
        element.capabilities.storage is not UNSET and element.capabilities.setpoint is not UNSET
        for element in link.description.elements
    )


def _offers(link: ModuleLink, kind: str) -> bool:
    return link.description is not None and kind in link.description.policies
