"""A template as it is used: the file of a device, with its sums ready to be worked out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ores.adapters.modbus import PORT, READ_MAX
from ores.adapters.templates.expression import Expression
from ores.adapters.templates.points import Point

CONSTANT: Final[Mapping[str, frozenset[str]]] = {
    "ac_measure": frozenset({"accuracy_pct"}),
    "rating": frozenset({
        "consume_max_w", "produce_max_w", "current_max_a", "apparent_max_va", "voltage_v",
    }),
    "produce": frozenset({"peak_w"}),
    "storage": frozenset({"capacity_wh", "soc_min_pct", "soc_max_pct"}),
    "ev": frozenset({"current_min_a", "current_max_a", "step_a"}),
    "isolate": frozenset({"transfer_s"}),
    "form_grid": frozenset({"power_max_w"}),
    "thermal": frozenset({"temperature_min_c", "temperature_max_c", "heat_max_w"}),
}  # fmt: skip
"""Fields of the description, by capability; what is not here is measured."""


class Source(msgspec.Struct, frozen=True):
    """Where the registers are documented."""

    title: str
    url: str = ""
    note: str = ""


class Transport(msgspec.Struct, frozen=True, kw_only=True):
    """How the device is reached, and at which pace it can be asked; fields as in the format."""

    over: tuple[str, ...]
    unit: int
    port: int = PORT
    baud: int = 9600
    parity: str = "none"
    stop_bits: int = 1
    registers_max: int = READ_MAX
    gap_max: int = 8
    pause_s: float = 0.0
    period_s: float = 0.5
    answer_s: float = 2.0


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What only the owner knows; fields as in the format."""

    ask: str
    type: str
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[float, ...] = ()
    default: float | None = None
    optional: bool = False


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A read that tells the device from others; fields as in the format."""

    point: str
    is_: tuple[float, ...] = msgspec.field(default=(), name="is")
    least: float | None = None
    most: float | None = None
    matches: str = ""


Step = Mapping[str, Expression]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is written where the amount is in a range.

    Attributes:
        below: The amount is less; None where it does not matter.
        above: The amount is more.
        write: Steps, one after the other.
    """

    below: Expression | None
    above: Expression | None
    write: tuple[Step, ...]


class Watchdog(msgspec.Struct, frozen=True, kw_only=True):
    """What ends a command when nobody renews it.

    Attributes:
        timeout_s: After so long; None where nothing does.
        says: What the device does then; or why there is none.
        refresh: Points that keep it alive; all that the command writes where empty.
        any_request: Every request keeps it alive.
    """

    timeout_s: float | None
    says: str
    refresh: tuple[str, ...] = ()
    any_request: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """How an element is told what to do; fields as in the format."""

    element: str
    limit: tuple[str, ...]
    setpoint: Mapping[str, Expression] | None
    amount: Expression
    cases: tuple[Case, ...]
    released: tuple[Step, ...]
    watchdog: Watchdog
    every_s: float = 0.0

    def steps(self) -> list[Step]:
        """All that it may write."""
        return [step for case in self.cases for step in case.write] + list(self.released)

    def points(self) -> list[str]:
        """Their points, in the order in which they are first named."""
        return list(dict.fromkeys(name for step in self.steps() for name in step))


class ElementForm(msgspec.Struct, frozen=True, kw_only=True):
    """One element: its place, and by capability a sum for each field."""

    id: str
    kind: str
    bus: str
    upstream: str
    connection: str
    connection_by: Expression | None
    connections: Mapping[int, str]
    when: Expression | None
    sums: Mapping[str, Mapping[str, Expression]]
    words: Mapping[str, Mapping[str, str]]
    terminals: Mapping[str, Mapping[str, Expression]]
    connection_point: bool
    faults: tuple[tuple[str, Expression], ...]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its file describes it."""

    file: str
    name: str
    title: str
    maker: str
    models: tuple[str, ...]
    tried_on_hardware: bool
    sources: tuple[Source, ...]
    quirks: tuple[str, ...]
    setup: tuple[str, ...]
    transport: Transport
    questions: Mapping[str, Question]
    points: Mapping[str, Point]
    identity: Mapping[str, str]
    detect: tuple[Sign, ...]
    undetectable: str
    local: Expression | None
    elements: tuple[ElementForm, ...]
    commands: tuple[Command, ...]
