"""What a connector is allowed, as charging profiles that end by themselves. Pure.

Two profiles stand in a charger. The lowest is the failsafe limit: a `TxDefaultProfile` that never ends. Above
it stands what the hub allows now: a profile with a `duration`, renewed at half of it. When nobody renews it,
the charger itself is back at the failsafe limit, with no word from anybody.
"""

from __future__ import annotations

from math import floor, inf
from typing import Final

import msgspec

from ores.adapters.orders import RETRY_MAX_S, Told
from ores.module import Answer, Ceilings, Effective, Refused

RENEW_SHARE: Final = 0.5
REST_S: Final = 1.0
"""Between two commands: a car takes longer to follow one."""
EXCEEDS_AFTER_S: Final = 30.0
"""A car has this time to follow; 5 s are what IEC 61851 gives it, and then the meter has to tell."""
EXCEEDS_SHARE, EXCEEDS_LEAST_W = 1.1, 250.0
STEP_A: Final = 0.1
"""OCPP knows no finer one (1.6, 7.14)."""
NO_FAILSAFE: Final = "failsafe_not_held"
"""Fault code: the charger takes no limit that outlives the hub."""
TX, DEFAULT, MAX = "TxProfile", "TxDefaultProfile", "ChargePointMaxProfile"


class Profile(msgspec.Struct, frozen=True):
    """One charging profile.

    Attributes:
        id: By which a later one replaces it.
        connector: Which; 0 for the charger as a whole.
        purpose: As OCPP 1.6 calls it.
        stack: The higher one of the same purpose holds.
        limit_a: Per conductor, >= 0.
        transaction: Of a `TxProfile`.
        duration_s: None for one that does not end.
    """

    id: int
    connector: int
    purpose: str
    stack: int
    limit_a: float
    transaction: str = ""
    duration_s: int | None = None


class Order(Told):
    """What one connector is allowed.

    Args:
        element: Id, for the log.
        connector: From 1.
        whole_w_per_a: Power of all conductors together, per ampere on each.
        rated_a: Per conductor.
        min_a: Below it charging pauses.
        lease_s: Duration of what the hub allows.
        alone: The charger has no other connector, so what holds for all of it holds for this one.
    """

    def __init__(
        self,
        element: str,
        connector: int,
        *,
        whole_w_per_a: float,
        rated_a: float,
        min_a: float,
        lease_s: int,
        alone: bool,
    ) -> None:
        super().__init__(element)
        self._connector: Final = connector
        self._w_per_a: Final = whole_w_per_a
        self._rated_a: Final = rated_a
        self._min_a: Final = min_a
        self._lease_s: Final = lease_s
        self._purposes: Final = (TX, DEFAULT, MAX) if alone else (TX, DEFAULT)
        self._first = 0
        self._failsafe_a = rated_a
        self._limit_a: float | None = None
        self._stands: dict[int, Profile] = {}
        self._renew_at_s = self._sent_at_s = -inf
        self._retry_at_s = self._retry_lowest_at_s = -inf
        self._no_failsafe = False
        self._since_s: float | None = None
        self._exceeds = False
        self.answer: Answer = None

    def give(self, command: Effective) -> None:
        """From now on."""
        limit_a = self._amperes(command.current_max_a, command.consume_max_w)
        if limit_a != self._limit_a:
            self._limit_a, self._retry_at_s = limit_a, -inf
            self._since_s, self._exceeds, self.answer = None, False, None

    def fall_back(self, failsafe: Ceilings) -> None:
        """What is to hold when nobody renews."""
        self._failsafe_a = self._amperes(failsafe.current_max_a, failsafe.consume_max_w)

    def lost(self) -> None:
        """The charger was away; what it holds, nobody knows."""
        self._stands.clear()
        self._first, self._since_s = 0, None
        self._retry_at_s = self._retry_lowest_at_s = self._sent_at_s = -inf

    def due(self, now_s: float, transaction: str) -> Profile | None:
        """The profile that is to be sent now.

        Args:
            now_s: Process time.
            transaction: Under way at this connector; empty for none.
        """
        waits = [(at_s, one) for at_s, one in self._open(transaction) if at_s <= now_s]
        return waits[0][1] if waits else None

    def due_at_s(self, transaction: str) -> float:
        """When there is something to send; infinite for not before something happens."""
        return min((at_s for at_s, _ in self._open(transaction)), default=inf)

    def _open(self, transaction: str) -> list[tuple[float, Profile]]:
        """What has to be sent, and from when on; the failsafe first."""
        rested_s = self._sent_at_s + REST_S
        lowest, upper = self._lowest(), self._upper(transaction)
        found = []
        if self._stands.get(lowest.id) != lowest:
            found.append((self._retry_lowest_at_s, lowest))
        if upper is not None:
            at_s = self._renew_at_s if self._stands.get(upper.id) == upper else -inf
            found.append((max(at_s, rested_s, self._retry_at_s), upper))
        return found

    def took(self, profile: Profile, now_s: float) -> None:
        """The charger has accepted it."""
        self._stands[profile.id] = profile
        if profile.duration_s is None:
            self._no_failsafe = False
            return
        self._sent_at_s = now_s
        self._renew_at_s = now_s + RENEW_SHARE * profile.duration_s
        self._since_s = now_s if self._since_s is None else self._since_s
        if not self._exceeds:
            self._works()
            self.answer = None

    def refused(self, profile: Profile, why: str, now_s: float) -> None:
        """It has not; another purpose is tried at once, where there is one, and all of them again later."""
        if profile.duration_s is None:
            self._no_failsafe, self._retry_lowest_at_s = True, now_s + RETRY_MAX_S
            return
        if profile.purpose in self._purposes[:-1]:
            self._first = self._purposes.index(profile.purpose) + 1
            return
        self._first = 0
        self._has_failed(f"the charger does not take a {profile.purpose}: {why}")
        self._retry_at_s = now_s + min(RETRY_MAX_S, 2.0 ** min(self._failures, 16))
        self.answer = Refused(f"the charger does not take a {profile.purpose}: {why}"[:512])

    def measured(self, power_w: float | None, now_s: float) -> None:
        """A promise is believed when the meter agrees."""
        if power_w is None or self._since_s is None or self._limit_a is None:
            return
        most_w = EXCEEDS_SHARE * self._limit_a * self._w_per_a + EXCEEDS_LEAST_W
        if power_w <= most_w:
            if self._exceeds:
                self._exceeds, self.answer = False, None
                self._works()
            return
        if now_s >= self._since_s + EXCEEDS_AFTER_S and not self._exceeds:
            self._exceeds = True
            why = f"the car takes {power_w:.0f} W, {most_w:.0f} W is the most"
            self._has_failed(why)
            self.answer = Refused(why)
            self._stands.clear()  # told once more

    def _troubles(self) -> list[str]:
        codes = super()._troubles()
        return [*codes, NO_FAILSAFE] if self._no_failsafe else codes

    def _amperes(self, current_a: float, power_w: float) -> float:
        """Per conductor, as OCPP can say it; a car that may have less than it needs, gets nothing."""
        most_a = min(current_a, power_w / self._w_per_a, self._rated_a)
        limit_a = floor(most_a / STEP_A + 1e-9) * STEP_A
        return round(limit_a, 1) if limit_a >= self._min_a - 1e-9 else 0.0

    def _lowest(self) -> Profile:
        return Profile(100 + self._connector, self._connector, DEFAULT, 0, self._failsafe_a)

    def _upper(self, transaction: str) -> Profile | None:
        """What the hub allows now; None while no hub and no policy has said anything."""
        if self._limit_a is None:
            return None
        purpose = self._purposes[max(self._first, 0 if transaction else 1)]
        return Profile(
            {TX: 300, DEFAULT: 200, MAX: 400}[purpose] + self._connector,
            0 if purpose == MAX else self._connector,
            purpose,
            1,
            self._limit_a,
            transaction if purpose == TX else "",
            self._lease_s,
        )
