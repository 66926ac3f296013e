"""What a maker writes: small protocols between a thing and the module around it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

from ores.model import Element, ElementFlexibility, ElementSettings, ElementState
from ores.module.effective import Ceilings, Effective


class Clipped(msgspec.Struct, frozen=True):
    """The device does less than it was told.

    Attributes:
        limited_by: Why, such as `temperature`.
        power_w: The set-point that holds instead, positive into the element.
    """

    limited_by: str
    power_w: float | None = None


class Refused(msgspec.Struct, frozen=True):
    """The device does not do it.

    Attributes:
        detail: Why, for a person.
        code: From the registry of errors.
    """

    detail: str
    code: str = "device_refused"


Answer = Clipped | Refused | None
"""Of a device to what it was told; None: it does it."""


class Device(Protocol):
    """A thing that is read. Calls return at once: what takes long, a driver reads beforehand, in a task."""

    @property
    def elements(self) -> Sequence[Element]:
        """Its parts; they do not change while the module runs."""
        ...

    def read(self, element: str, /) -> ElementState:
        """What is measured at one element now; None for what is unknown, never 0.

        `limit` and `setpoint` of the reading are what the device allows itself now, with the reason in
        `limited_by`; the module adds what rating, lease and failsafe allow. An exception makes this element
        unknown, with a fault; the others are read on.
        """
        ...


@runtime_checkable
class KnowsAge(Protocol):
    """A device whose readings come from elsewhere, such as a bus that a task polls or a meter that pushes.

    What `read` returns then may be old. The module marks it `stale` beyond a report period, and makes it
    unknown beyond three (FRESH-004). Of a device without this, each reading is taken as measured now.
    """

    def measured_at_s(self, element: str, /) -> float | None:
        """When that which `read` returns was measured, in process time; None: nothing has been yet."""
        ...


@runtime_checkable
class Commandable(Protocol):
    """A device that does what it is told: required of one with limits, set-points, switches or modes."""

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Do this from now on.

        Called when what has to be done changes, and again each period after an exception or a refusal.
        """
        ...


@runtime_checkable
class AnswersLater(Protocol):
    """A device that is told at once and learns later what has become of it, such as one behind a bus."""

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command it was told last; None while nothing does.

        Asked in each period and after news. A refusal is taken as one that `apply` gives: the command is told
        again in each period, until `apply` takes it.
        """
        ...


@runtime_checkable
class TakesFailsafe(Protocol):
    """A device that can keep limits by itself when nobody commands it any more, not even its module."""

    def fall_back(self, element: str, failsafe: Ceilings, /) -> None:
        """These limits hold when no lease gives one; told when they change."""
        ...


@runtime_checkable
class DecidesItself(Protocol):
    """A device at which something else than lease and policy can decide: a knob, an app, protection."""

    def taken_over(self) -> Literal["local", "protection"] | None:
        """Who decides there now; None: the module does. The lease's time runs on meanwhile."""
        ...


@runtime_checkable
class SensesHazards(Protocol):
    """A device that watches for dangers: required of one with `hazard` in its description."""

    def active_hazards(self, element: str, /) -> Collection[str]:
        """Which of the declared inputs are active now; asked in each period, and after news.

        What is to act at once is told as news (`HasNews`). The module latches the inputs, takes the power of
        the element to 0, and keeps both until somebody resets it at the device (`Module.reset_on_site`). An
        exception is a detector that cannot be read: the element then has no power either, for as long as
        that lasts.
        """
        ...


@runtime_checkable
class HasNews(Protocol):
    """A device that notices by itself when something has changed, such as a meter."""

    def tell(self, changed: Callable[[], None], /) -> None:
        """Learn what to call when there is news (`Module.changed`), from the module's own thread."""
        ...


@runtime_checkable
class TakesRequests(Protocol):
    """A device that takes requests, such as a tie (`open`, `permit_close`)."""

    def request(self, element: str, request: str, /) -> Refused | None:
        """Do this once, if the interlocks allow; None when it is accepted."""
        ...


@runtime_checkable
class TakesSettings(Protocol):
    """A device that wants to know its settings."""

    def configure(self, element: str, settings: ElementSettings, /) -> Refused | None:
        """Take these settings, at the start and when they change; None when they are accepted."""
        ...


@runtime_checkable
class TellsFlexibility(Protocol):
    """A device that knows more of its flexibility than description and state say; most need not."""

    def flexibility(self, element: str, /) -> ElementFlexibility | None:
        """All that there is to tell of one element now; None leaves it to what the hub derives.

        Times and slots count from now. What also stands in the state says the same here.
        """
        ...
