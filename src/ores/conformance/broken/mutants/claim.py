"""Modules that claim, or declare, what they do not keep."""

from __future__ import annotations

from typing import Any

from ores.conformance.broken.mutants.readings import point
from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.module import Refused


@broken("conformance-core-complete", also=("profile-core",))
def claims_to_be_a_hybrid(seams: Seams) -> None:
    """A word in the wrong list."""

    def change(page: Any) -> Any:
        return {**page, "profiles": ["hybrid", *page["profiles"][1:]]} if "profiles" in page else page

    seams.on_description(change)


@broken("conformance-extended-complete", also=("hazard-declared",))
def offers_hazards_and_lists_those_that_are_over(seams: Seams) -> None:
    """Nobody asked for them; but who tells them tells them right."""
    point(seams, "battery", "hazard", hazards={"smoke": {"active": False, "latched": False}})


@broken("declared-means-done")
def declares_a_switch_that_it_only_reads(seams: Seams) -> None:
    """A breaker, moved by hand."""

    def read_only(device: Any) -> None:
        right = device.apply

        def apply(name: str, command: Any, /) -> Refused | None:
            if name == "circuit_12":
                return Refused("this breaker is moved by hand")
            right(name, command)
            return None

        device.apply = apply

    seams.devices.append(read_only)


@broken("vendor-fields-named")
def adds_a_field_of_its_own(seams: Seams) -> None:
    """A later version may call something else so."""
    point(seams, "battery", "storage", cycles=812)


@broken("vendor-fields-named", variant="value")
def adds_a_value_under_its_domain(seams: Seams) -> None:
    """A number, where an object has room for more."""
    point(seams, "battery", "storage", **{"x-example.com": 812})
