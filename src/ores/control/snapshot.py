"""What the control cycle sees: a frozen picture of the house, made by the hub."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct, field

from ores.control.topology import Topology
from ores.model import Description, ElementState, Preferences, State


class ModuleSnapshot(Struct, frozen=True, kw_only=True):
    """One module at the moment of the cycle.

    Attributes:
        description: What the module is.
        state: Its newest state, None where none has arrived yet.
        fresh: The hub's verdict: whether the state is younger than three declared periods.
        age_s: Since the state arrived; None where there is none.
        controllable: False in watch mode and for observers: decisions are made, nothing is commanded.
        seen: A shortcut of `house.read`: what follows from this state alone. Between two states of a module
            the cycle is run at each word of the meter.
    """

    description: Description
    state: State | None
    fresh: bool
    age_s: float | None = None
    controllable: bool = True
    seen: dict[str, object] = field(default_factory=dict)

    def steers(self, *, watched: bool = False) -> bool:
        """Whether it is alive, and ours to control or `watched`."""
        return self.fresh and self.state is not None and (watched or self.controllable)


class Snapshot(Struct, frozen=True, kw_only=True):
    """The house at the moment of the cycle.

    Attributes:
        modules: Keyed by module id.
        preferences: What the owner wants.
        topology: Compiled from the descriptions of these modules.
        steered: A shortcut: ids of the modules that are alive and ours to control, where whoever freezes the
            picture knows them already.
    """

    modules: Mapping[str, ModuleSnapshot]
    preferences: Preferences
    topology: Topology
    steered: frozenset[str] | None = None

    def steers(self, *, watched: bool = False) -> frozenset[str]:
        """Ids of the modules that are decided about: those alive, and ours to control or `watched`."""
        if self.steered is not None and not watched:
            return self.steered
        modules = self.modules.items()
        return frozenset(module_id for module_id, module in modules if module.steers(watched=watched))

    def element(self, module_id: str, element_id: str) -> ElementState | None:
        """The state of an element, or None where it is unknown: stale, absent, or of bad quality."""
        module = self.modules.get(module_id)
        if module is None or not module.fresh or module.state is None:
            return None
        state = module.state.elements.get(element_id)
        if state is None or (state.quality is not UNSET and state.quality in {"stale", "bad"}):
            return None
        return state


# An inverter's efficiency where too little passes through it to see it.
_EFFICIENCY = 0.96
_SEEN_FROM_W = 500.0


def at_ac(snapshot: Snapshot, module_id: str, inverter: str) -> tuple[float, dict[str, float]] | None:
    """AC power of the sun behind an inverter, and of each store; None where a part is unknown.

    The sun counts as what it alone would make at AC; a store as what the inverter gives or takes beyond that.
    The efficiency between the two sides is that of the power which now passes.
    """
    behind = snapshot.topology.inverters.get(f"{module_id}/{inverter}")
    ac_w = power_w(snapshot.element(module_id, inverter))
    if behind is None or ac_w is None:
        return None
    suns = [power_w(snapshot.element(module_id, element)) for element in behind[0]]
    stores = {element: power_w(snapshot.element(module_id, element)) for element in behind[1]}
    known = {element: part_w for element, part_w in stores.items() if part_w is not None}
    sun_w = sum(part_w for part_w in suns if part_w is not None)
    if None in suns or len(known) < len(stores):
        return None
    store_w, moved_w = sum(known.values()), sum(abs(part_w) for part_w in known.values())
    if moved_w < 1.0:
        return ac_w, dict.fromkeys(known, 0.0)
    sun_ac_w = sun_w * _efficiency(ac_w, sun_w + store_w)
    part = (ac_w - sun_ac_w - store_w) / moved_w
    return sun_ac_w, {element: part_w + part * abs(part_w) for element, part_w in known.items()}


def _efficiency(ac_w: float, dc_w: float) -> float:
    if abs(dc_w) < _SEEN_FROM_W or ac_w * dc_w <= 0.0:
        return _EFFICIENCY
    seen = ac_w / dc_w if dc_w < 0.0 else dc_w / ac_w
    return min(max(seen, 0.85), 1.0)


def power_w(state: ElementState | None) -> float | None:
    """Power into an element as it measures it, AC before DC; None is unknown."""
    if state is None:
        return None
    if state.ac_measure is not UNSET:
        return state.ac_measure.power_w
    if state.dc_measure is not UNSET:
        return state.dc_measure.power_w
    return None
