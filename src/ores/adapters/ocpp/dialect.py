"""What is the same in all versions of OCPP: what a charger is, what it is asked, and who listens to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from ores.adapters.ocpp.frames import Payload
from ores.adapters.ocpp.link import Denied, Handler, Link
from ores.adapters.ocpp.meter import Sample
from ores.adapters.ocpp.orders import Profile
from ores.adapters.ocpp.schemas import Version

HEARTBEAT_S: Final = 60
ACCEPTED: Final = "Accepted"
CONNECTORS_MAX: Final = 16


class Found(msgspec.Struct, frozen=True):
    """What a charger says of itself.

    Attributes:
        version: Of OCPP.
        maker: As it says.
        model: As it says.
        serial: As it says; empty where it does not.
        firmware_version: As it says.
        connectors: Their number.
        unit: Of limits that it takes: `A`, or `W`.
    """

    version: str = ""
    maker: str = ""
    model: str = ""
    serial: str = ""
    firmware_version: str = ""
    connectors: int = 1
    unit: str = "A"


class Listener(Protocol):
    """Learns what a charger says, in the words of all versions."""

    def booted(self, found: Found) -> None:
        """It says what it is."""
        ...

    def accepts(self, tag: str) -> bool:
        """Whether this card may charge."""
        ...

    def has_status(self, connector: int, status: str, error: str) -> None:
        """A status of OCPP; `error` is empty where nothing is wrong."""
        ...

    def begins(self, connector: int, key: str) -> str:
        """A transaction begins; gives its number. The same key gives the same one again."""
        ...

    def ends(self, transaction: str) -> None:
        """It has ended."""
        ...

    def goes_on(self, connector: int, transaction: str) -> None:
        """It is under way."""
        ...

    def measured(self, connector: int, samples: Sequence[Sample], at: str) -> None:
        """What its meter said, and when it says that this was."""
        ...

    def transaction_of(self, transaction: str) -> int:
        """The connector of a transaction; 0 for one that is not known."""
        ...

    def now(self) -> str:
        """Wall time, as OCPP writes it."""
        ...


class Dialect(ABC):
    """A version of OCPP over one connection.

    Args:
        listener: Learns what the charger says.
        version: Which.

    Attributes:
        handlers: What the charger may call.
    """

    def __init__(self, listener: Listener, version: Version) -> None:
        self._to: Final = listener
        self._link: Link
        self._found = Found(version=version)
        self.handlers: dict[str, Handler] = {"Heartbeat": self._heartbeat}

    def over(self, link: Link) -> None:
        """The connection."""
        self._link = link

    @abstractmethod
    async def ask(self) -> Found:
        """What it can do; changes nothing.

        Raises:
            OresError: It does not answer.
        """

    @abstractmethod
    async def configure(self, sample_s: int) -> None:
        """Have its meter tell what is needed, this often; what it does not take, it is asked for instead."""

    @abstractmethod
    async def set_profile(self, profile: Profile, found: Found, w_per_a: float, start: str) -> str:
        """Have a profile stand in it; gives why it does not, or nothing.

        Args:
            profile: Which.
            found: What the charger can do.
            w_per_a: Power of all conductors together, per ampere on each.
            start: Wall time from which on it holds.
        """

    @abstractmethod
    async def trigger(self, what: str, connector: int) -> bool:
        """Have it say something now; whether it will."""

    async def _why_not(self, action: str, payload: Payload) -> str:
        """Why the charger does not do it; empty where it does."""
        try:
            status = str((await self._link.call(action, payload))["status"])
        except Denied as error:
            return error.detail
        return "" if status == ACCEPTED else status

    def _has_booted(self, **said: str) -> Payload:
        """The answer to who says what it is."""
        self._found = msgspec.structs.replace(self._found, **said)
        self._to.booted(self._found)
        return {"status": ACCEPTED, "currentTime": self._to.now(), "interval": HEARTBEAT_S}

    def _heartbeat(self, _payload: Payload) -> Payload:
        return {"currentTime": self._to.now()}

    def _info(self, tag: str) -> Payload:
        return {"status": ACCEPTED if self._to.accepts(tag) else "Invalid"}


def stamp(utc: datetime) -> str:
    """Wall time, as OCPP writes it."""
    return utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(at: str) -> float | None:
    """Wall time in s; None for what is no time."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
