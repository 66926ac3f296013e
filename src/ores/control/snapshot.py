"""What the control cycle sees: a frozen picture of the house, made by the hub."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, Struct

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
    """

    description: Description
    state: State | None
    fresh: bool
    age_s: float | None = None
    controllable: bool = True


class Snapshot(Struct, frozen=True, kw_only=True):
    """The house at the moment of the cycle.

    Attributes:
        modules: Keyed by module id.
        preferences: What the owner wants.
        topology: Compiled from the descriptions of these modules.
    """

    modules: Mapping[str, ModuleSnapshot]
    preferences: Preferences
    topology: Topology

    def element(self, module_id: str, element_id: str) -> ElementState | None:
        """The state of an element, or None where it is unknown: stale, absent, or of bad quality."""
        module = self.modules.get(module_id)
        if module is None or not module.fresh or module.state is None:
            return None
        state = module.state.elements.get(element_id)
        if state is None or (state.quality is not UNSET and state.quality in {"stale", "bad"}):
            return None
        return state


def power_w(state: ElementState | None) -> float | None:
    """Power into an element as it measures it, AC before DC; None is unknown."""
    if state is None:
        return None
    if state.ac_measure is not UNSET:
        return state.ac_measure.power_w
    if state.dc_measure is not UNSET:
        return state.dc_measure.power_w
    return None
