"""What endangers one element: inputs that are there now, and those that nobody has reset yet (CAP-021).

An input that begins latches. Only a person at the device resets it, and only when it has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ores.model import Hazard, HazardInput
from ores.module.effective import PROTECTION, Ceilings, Own

NO_POWER: Final = Ceilings(0.0, 0.0, 0.0)
PROTECTED: Final = Own(NO_POWER, NO_POWER, PROTECTION)
"""What an element in danger allows itself."""


class Hazards:
    """The inputs of one element.

    Args:
        inputs: Declared.
        latched: From before this boot.
    """

    def __init__(self, inputs: Sequence[str], latched: Collection[str] = ()) -> None:
        self._inputs: Final = tuple(inputs)
        self._active: frozenset[str] | None = frozenset()
        self._began_s: dict[str, float] = {}
        self.latched: frozenset[str] = frozenset(latched)

    @property
    def endangered(self) -> bool:
        """Whether the element may have no power: something is active, latched or cannot be told."""
        return self._active is None or bool(self.latched)

    @property
    def seen(self) -> tuple[frozenset[str] | None, frozenset[str]]:
        """What is active (None: it cannot be told) and latched; a change of it is news."""
        return self._active, self.latched

    @property
    def still_active(self) -> frozenset[str]:
        """What a reset would leave latched."""
        return self.latched if self._active is None else self.latched & self._active

    def look(self, active: Collection[str] | None, now_s: float) -> bool:
        """Take what is active now; None where that cannot be told.

        Returns:
            Whether something has latched that was not before.
        """
        if active is None:
            self._active = None
            return False
        before = self._active or frozenset()
        self._active = frozenset(active)
        for name in self._active - before:
            self._began_s[name] = now_s
        known = self.latched
        self.latched |= self._active
        return self.latched != known

    def reset(self) -> None:
        """A person at the device has looked: what is over is forgotten."""
        self.latched = self.still_active

    def state(self, now_s: float) -> Hazard:
        """As the state says it; `now_s` is process time."""
        found: dict[str, HazardInput] = {}
        for name in self._inputs:
            active = None if self._active is None else name in self._active
            latched = name in self.latched
            if active is False and not latched:
                continue
            began_s = self._began_s.get(name) if latched else None
            for_s = None if began_s is None else round(now_s - began_s, 1)
            found[name] = HazardInput(active=active, latched=latched, for_s=for_s)
        return Hazard(hazards=found)


def declared(active: object, inputs: Sequence[str]) -> frozenset[str]:
    """What a device says is active, if it can be believed.

    Raises:
        ValueError: It names what its description does not.
    """
    if isinstance(active, str) or not isinstance(active, Collection):
        raise TypeError(f"active inputs are a collection of words, not {active!r}")
    if unknown := [name for name in active if name not in inputs]:
        raise ValueError(f"it is endangered by {unknown}, declared are {', '.join(inputs)}")
    return frozenset(active)
