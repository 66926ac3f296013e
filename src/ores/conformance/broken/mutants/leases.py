"""Modules that take leases which do not count."""

from __future__ import annotations

from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams


@broken("lease-other-boot")
def takes_leases_of_another_boot(seams: Seams) -> None:
    """It forgets to compare the boot: here, any boot is made to look like this one."""
    this_boot: list[str] = []

    def learn(state: Any) -> Any:
        this_boot[:] = [state["boot_id"]]
        return state

    def forgive(frame: Any) -> Any:
        return {"lease": {**frame["lease"], "boot_id": this_boot[0]}} if this_boot else frame

    seams.on_state(learn)
    seams.commands.append(forgive)
