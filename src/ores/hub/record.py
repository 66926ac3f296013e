"""States as rows of history."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ores.hub.arbiter import Arbiter
from ores.hub.federation import Federation
from ores.hub.history import History
from ores.hub.notices import Notices
from ores.link.clock import Clock
from ores.model import ElementState, Flow, State

HOUSE = "flow"
"""The history's name for the whole house."""

_WORDS = frozenset({"mode", "phase", "limited_by", "island_state", "quality", "codes"})
"""Points that are not numbers."""

Value = float | None


class Flattener:
    """Turns the states of one module into rows; the names stay the same object while the layout does."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._names: tuple[str, ...] = ()
        self._of: State | None = None
        self._values: list[Value] = []

    def row(self, state: State) -> tuple[tuple[str, ...], list[Value]]:
        """Names such as `battery.ac_measure.power_w` and their values; None is unknown, true is 1."""
        if state is not self._of:
            keys: list[str] = []
            values: list[Value] = []
            _walk_elements(state.elements, keys, values)
            if keys != self._keys:
                self._keys = keys
                self._names = tuple(map(".".join, zip(keys[::3], keys[1::3], keys[2::3], strict=True)))
            self._values = values
            self._of = state
        return self._names, self._values


def _walk_elements(elements: Mapping[str, ElementState], keys: list[str], values: list[Value]) -> None:
    for element in sorted(elements):
        capabilities: dict[str, object] = msgspec.to_builtins(elements[element])
        for capability, points in capabilities.items():
            if isinstance(points, dict):
                _walk_points(element, capability, points, keys, values)


def _walk_points(
    element: str, capability: str, points: Mapping[str, object], keys: list[str], values: list[Value]
) -> None:
    for point, value in points.items():
        if point in _WORDS:
            continue
        if value is None or isinstance(value, int | float):
            keys += (element, capability, point)
            values.append(None if value is None else float(value))
        elif isinstance(value, dict):  # terminals: the conductor becomes part of the point's name
            for conductor, of_conductor in value.items():
                named = {f"{conductor.lower()}_{name}": number for name, number in of_conductor.items()}
                _walk_points(element, capability, named, keys, values)


_FLOW_NAMES = ("grid_w", "pv_w", "battery_w", "ev_w", "heat_w", "load_w", "unmetered_w", "soc_pct")


def flow_row(flow: Flow) -> tuple[tuple[str, ...], list[Value]]:
    """The flow of the whole house as a row; what is unsupported is unknown in the history."""
    values = [getattr(flow, name) for name in _FLOW_NAMES]
    return _FLOW_NAMES, [None if value is msgspec.UNSET else value for value in values]


class Recorder:
    """Writes one row per module and cycle, and one for the house, into the history.

    Args:
        clock: Dates them.
        history: Takes them, in memory first.
        federation: Whose states.
        arbiter: Knows the flow.
        notices: Learn of what cannot be written.
    """

    def __init__(
        self, clock: Clock, history: History, federation: Federation, arbiter: Arbiter, notices: Notices
    ) -> None:
        self._notices = notices
        self._clock = clock
        self._history = history
        self._federation = federation
        self._arbiter = arbiter
        self._flatteners: dict[str, Flattener] = {}

    def record(self) -> None:
        """A cycle is done: a module that is not online leaves a gap, which is not a 0."""
        now_s = self._clock.now()
        at_s = self._clock.utc().timestamp()
        links = self._federation.links
        for module_id, link in links.items():
            if link.state is not None and link.status(now_s) == "online":
                flattener = self._flatteners.setdefault(module_id, Flattener())
                self._record(module_id, at_s, *flattener.row(link.state))
        self._history.record(HOUSE, at_s, *flow_row(self._arbiter.flow(now_s)))
        if len(self._flatteners) > len(links):
            self._flatteners = {m: f for m, f in self._flatteners.items() if m in links}

    def _record(self, module_id: str, at_s: float, names: tuple[str, ...], values: list[Value]) -> None:
        try:
            self._history.record(module_id, at_s, names, values)
        except (
            ValueError
        ) as error:  # a name that no history can hold costs this module its row, nobody else's
            self._notices.raise_("row_refused", str(error), module=module_id)
