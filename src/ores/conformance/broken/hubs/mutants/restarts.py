"""Hubs that begin where they had stopped, or leave modules without limits."""

from __future__ import annotations

from typing import Any

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import passwords, run
from ores.hub.persistent import PersistentKeeper

EPOCH = 5


@broken_hub("hub-epoch-rises")
def counts_from_one(tools: Tools) -> None:
    """Each start has the same number."""
    tools.attribute(run, "next_epoch", lambda _: EPOCH)


@broken_hub("hub-failsafe-covers-limits")
def leaves_no_limits_behind(tools: Tools) -> None:
    """Micro-inverters are small; it leaves limits in all others."""
    right = PersistentKeeper._bring_failsafe  # noqa: SLF001 - the mutation's place

    async def nothing(self: PersistentKeeper, session: Any, wanted: Any, *, narrow_only: bool) -> None:
        known = self.promise.description
        if known is None or "micro_inverter" not in known.profiles:
            await right(self, session, wanted, narrow_only=narrow_only)
        else:
            self.is_read, self.kept.failsafe_for = True, (wanted, narrow_only)

    tools.attribute(PersistentKeeper, "_bring_failsafe", nothing)


@broken_hub("hub-tries-per-address", also=("hub-tries-in-all",))
def lets_anybody_guess(tools: Tools) -> None:
    """The password is long enough."""
    tools.attribute(passwords.Tries, "check", lambda *_args, **_how: None)


@broken_hub("hub-tries-in-all")
def counts_each_address_alone(tools: Tools) -> None:
    """Who has many addresses has many guesses."""
    right = passwords.Tries.check

    def alone(self: passwords.Tries, remote: str, *, here: bool = False) -> None:
        del here
        right(self, remote, here=True)

    tools.attribute(passwords.Tries, "check", alone)
