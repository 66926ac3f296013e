"""The hub's side of `ores.control`: it freezes what is known, asks, and keeps what the next cycle needs.

The deciding itself is pure and lives there; the memory lives here, and losing it only narrows what is
allowed.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from math import inf

import msgspec
from msgspec import UNSET

from ores.control.decide import Decided, decide
from ores.control.flow import flow
from ores.control.memory import Memory
from ores.control.snapshot import ModuleSnapshot, Snapshot
from ores.control.topology import Topology, compile_topology
from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.hub.preferences import PreferencesStore
from ores.hub.proposals import Proposals
from ores.hub.shares import Divider, tell_of_what_is_not_kept
from ores.link.clock import Clock
from ores.model import Failsafe, Flow, Preferences

TRY_ALL_AGAIN_S = 60.0
"""A module that was left out may have been mended, or may have said it only once."""

STALE_SOON_S = 0.001
"""This long before a module goes stale all are looked at in each cycle, so that it is seen at the moment."""

_log = logging.getLogger(__name__)


class Arbiter:
    """Asks for decisions.

    Args:
        clock: Process time.
        federation: Whose states are read.
        preferences: What the owner wants.
        proposals: What everybody wants.
        notices: Learn of a module that cannot be decided on.
    """

    def __init__(
        self,
        clock: Clock,
        federation: Federation,
        preferences: PreferencesStore,
        proposals: Proposals,
        notices: Notices,
    ) -> None:
        self._notices = notices
        self._divider = Divider()
        self._left_out: set[str] = set()
        self._complained_of: set[str] = set()
        self._try_all_at_s = 0.0
        self._clock = clock
        self._federation = federation
        self._preferences = preferences
        self._proposals = proposals
        self._memory = Memory()
        self._topology: Topology = compile_topology(())
        self._described: list[ModuleLink] = []
        self._frozen: dict[str, ModuleSnapshot] = {}
        self._heard: list[ModuleLink] = []
        self._frozen_until_s = -inf
        self._steered: frozenset[str] | None = None
        self.meter = ""
        self._seen = self._freeze(0.0)
        self._flow = flow(self._seen)
        self._flow_at_s: float | None = None
        self.decided = Decided(commands={}, decisions=[], rulings={}, memory=self._memory)

    def heard(self, link: ModuleLink) -> None:
        """A module has said something new."""
        self._heard.append(link)

    def modules_changed(self) -> None:
        """A module came, went, or describes itself anew."""
        self._left_out.clear()
        self._try_all_at_s = 0.0
        self._compile()

    def _compile(self) -> None:
        self._described = [
            link
            for link in self._federation.links.values()
            if link.description is not None and link.id not in self._left_out
        ]
        self._frozen_until_s = -inf
        self._topology = compile_topology(
            link.description for link in self._described if link.description is not None
        )
        self.meter = "" if self._topology.meter is None else self._topology.meter.module_id
        self._judge_connection_point()
        self.preferences_changed()

    def _judge_connection_point(self) -> None:
        """Two meters that both claim the grid connection point make two truths [BUS-003]."""
        topology = self._topology
        if topology.meter is None or not topology.rivals:
            self._notices.clear("connection_points")
            return
        claims = ", ".join(place.key for place in (topology.meter, *topology.rivals))
        self._notices.raise_(
            "connection_points",
            f"{claims} all claim to be the grid connection point: what flows there is not known until one is "
            "left; remove the others, or set them up as plain meters",
            level="error",
        )

    def preferences_changed(self) -> None:
        """What modules keep for themselves follows what the owner wants."""
        preferences = self._preferences.get()
        links = self._federation.links.values()
        shares = self._divider.divide((link.persistent for link in links), preferences)
        follower = self._follower(preferences)
        for link in links:
            keeper = link.persistent
            keeper.on_changed = self.preferences_changed
            if (failsafe := shares.limits.get(link.id)) is None:
                continue
            tell_of_what_is_not_kept(keeper, failsafe, self._notices)
            link.leases.set_short(short=_shares_export(failsafe))
            wanted = replace(
                keeper.wanted,
                failsafe=failsafe if _limits(link) else None,
                narrow_only=shares.narrow_only,
            )
            if link in self._described:
                policy = _policy(link, follower)
                wanted = replace(wanted, policy=policy, reserve_pct=preferences.reserve_pct)
            keeper.want(wanted)

    def tell_again(self, module_id: str) -> None:
        """What holds for this module is worth recording anew: it was told in other circumstances."""
        told = {key: t for key, t in self._memory.told.items() if not key.startswith(f"{module_id}/")}
        self._memory = msgspec.structs.replace(self._memory, told=told)

    def decide(self, now_s: float) -> Decided:
        """One decision on all that is known now; the modules' newest commands are in it, complete.

        Where what one module says cannot be decided on, the others are decided on without it: it is told
        nothing, so its failsafe limits hold, and it is tried again later.
        """
        again = now_s >= self._try_all_at_s
        if self._left_out and again:
            self.modules_changed()
        try:
            decided = self._decide(now_s)
        except Exception as error:
            if not again:
                raise
            self._try_all_at_s = now_s + TRY_ALL_AGAIN_S
            if not self._leave_one_out(now_s, f"{type(error).__name__}: {error}"):
                raise
            decided = self.decided
        for module_id in self._complained_of - self._left_out:
            self._complained_of.discard(module_id)
            self._notices.clear("module_left_out", module_id)
        return decided

    def _leave_one_out(self, now_s: float, why: str) -> bool:
        """Find the module without which the others can be decided on; the meter is suspected last."""
        for module_id in sorted((link.id for link in self._described), key=self.meter.__eq__):
            self._left_out.add(module_id)
            self._compile()
            try:
                self._decide(now_s)
            except Exception:  # noqa: BLE001  it was not this one, or not alone
                self._left_out.discard(module_id)
                continue
            text = f"what it describes or reports cannot be decided on ({why}); it is on its own meanwhile"
            if self._notices.raise_("module_left_out", text, level="error", module=module_id):
                _log.exception("module %s is left out", module_id)
            self._complained_of.add(module_id)
            return True
        self._compile()
        return False

    def _decide(self, now_s: float) -> Decided:
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

    @property
    def seen(self) -> Snapshot:
        """The house, as the newest decision saw it."""
        return self._seen

    @property
    def rest_w(self) -> float | None:
        """What the house draws without its batteries and with all its sun; None is unknown."""
        return self._memory.rest_w

    def why(self, module_id: str) -> str | None:
        """The reason of what a module is told now; of several elements the one that is told most."""
        of_module = [ruling for ruling in self.decided.rulings.values() if ruling.module_id == module_id]
        return max(of_module, key=lambda ruling: abs(ruling.number)).reason if of_module else None

    def _freeze(self, now_s: float) -> Snapshot:
        """All modules when one of them may have gone stale, else those that have spoken since."""
        heard, self._heard = self._heard, []
        if now_s >= self._frozen_until_s:
            before, self._frozen = self._frozen, {}
            self._frozen_until_s, self._steered = inf, None
            for link in self._described:
                self._freeze_link(link, now_s, before.get(link.id))
        else:
            for link in heard:
                if link.id in self._frozen and self._federation.links.get(link.id) is link:
                    self._freeze_link(link, now_s, None)
                    steers = self._frozen[link.id].steers()
                    if self._steered is not None and (link.id in self._steered) is not steers:
                        self._steered = None
        snapshot = Snapshot(
            modules=dict(self._frozen),
            preferences=self._preferences.get(),
            topology=self._topology,
            steered=self._steered,
        )
        self._steered = snapshot.steers()
        return snapshot

    def _freeze_link(self, link: ModuleLink, now_s: float, before: ModuleSnapshot | None) -> None:
        fresh, description = link.is_fresh(now_s), link.known_description
        if fresh:
            self._frozen_until_s = min(self._frozen_until_s, link.fresh_until_s - STALE_SOON_S)
        if (
            before is None
            or before.state is not link.state
            or before.fresh is not fresh
            or before.description is not description
            or before.controllable is link.watch_only
        ):
            before = ModuleSnapshot(
                description=description, state=link.state, fresh=fresh, controllable=not link.watch_only
            )
        self._frozen[link.id] = before

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
    description = link.persistent.promise.description
    return description is not None and any(
        element.capabilities.limit is not UNSET for element in description.elements
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
