"""Hubs that add up meters, go by names, or treat an island like the grid."""

from __future__ import annotations

from typing import Any

import msgspec

from ores.conformance.broken.hubs.mutants.sending import on_lease
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.control.flow import flow
from ores.control.topology import compile_topology
from ores.hub import arbiter
from ores.model import Flow


def _compiled(tools: Tools, change: Any) -> None:
    """Change what the hub makes of descriptions."""
    right = compile_topology
    tools.attribute(arbiter, "compile_topology", lambda *args: change(right(*args)))


@broken_hub("hub-one-connection-point", also=("hub-flow-adds-up",))
def adds_meters_up(tools: Tools) -> None:
    """Whatever is a meter is added to the grid's power."""
    right = flow

    def summed(snapshot: Any) -> Flow:
        found = right(snapshot)
        more = sum(
            state.ac_measure.power_w or 0.0
            for module in snapshot.modules.values()
            if module.state
            for each in module.description.elements
            if each.kind == "meter" and not each.capabilities.ac_measure.connection_point
            for state in [module.state.elements[each.id]]
        )
        grid_w = found.grid_w
        return msgspec.structs.replace(found, grid_w=None if grid_w is None else grid_w + more)

    tools.attribute(arbiter, "flow", summed)


@broken_hub("hub-two-connection-points")
def takes_the_first_meter(tools: Tools) -> None:
    """The first is the right one."""
    _compiled(tools, lambda found: msgspec.structs.replace(found, rivals=()))


@broken_hub("hub-ignores-kind", also=("unknown-words-kept",))
def knows_batteries_by_name(tools: Tools) -> None:
    """What is not called a battery is none."""

    def named(descriptions: Any) -> Any:
        known = [
            msgspec.structs.replace(
                one,
                elements=[each for each in one.elements if each.kind != "flow_cell"],
            )
            for one in descriptions
        ]
        return right(known)

    right = compile_topology
    tools.attribute(arbiter, "compile_topology", named)


@broken_hub("hub-island-suspends-grid-limits")
def never_forgets_the_grid(tools: Tools) -> None:
    """A limit is a limit, also where there is no grid."""

    def limited(lease: Any) -> Any:
        if "roof" in lease["elements"]:
            lease["elements"]["roof"] = {"limit": {"produce_max_w": 100.0}}
        return lease

    on_lease(tools, limited)


@broken_hub("hub-island-suspends-grid-limits", variant="after")
def forgets_the_grid_for_ever(tools: Tools) -> None:
    """Once there was an island, there is one."""
    seen: list[bool] = []

    def free(lease: Any) -> Any:
        if seen and "roof" in lease["elements"]:
            lease["elements"]["roof"] = {"limit": {"produce_max_w": 90_000.0}}
        return lease

    after = arbiter.Arbiter._freeze  # noqa: SLF001 - the mutation's place

    def watching(self: arbiter.Arbiter, now_s: float) -> Any:
        found = after(self, now_s)
        for module in found.modules.values():
            tie = module.state.elements.get("tie") if module.state else None
            if tie is not None and tie.isolate and tie.isolate.closed is False:
                seen.append(True)
        return found

    tools.attribute(arbiter.Arbiter, "_freeze", watching)
    on_lease(tools, free)


@broken_hub("hub-leaves-former-alone")
def commands_the_former(tools: Tools) -> None:
    """A battery is a battery."""

    def pushed(lease: Any) -> Any:
        if {"roof", "pool", "sauna"} & set(lease["elements"]):
            lease["elements"]["former"] = {"setpoint": {"power_w": 0.0}}
        return lease

    on_lease(tools, pushed)


@broken_hub("hub-critical-circuits-last")
def opens_the_freezer_first(tools: Tools) -> None:
    """Nothing is critical to it."""

    def swapped(lease: Any) -> Any:
        elements = dict(lease["elements"])
        opened = [
            name
            for name in ("pool", "sauna")
            if elements.get(name, {}).get("switch", {}).get("closed") is False
        ]
        if opened:
            elements["freezer"] = elements.pop(opened[0])
        return {**lease, "elements": elements}

    on_lease(tools, swapped)
