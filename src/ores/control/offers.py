"""Proposals, prepared for the cycle: who asks for what, about which thing, how strongly and until when."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple, get_args

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import force_setattr

from ores.model import Proposal, Rank

# Strongest first, as the schema lists them; the number of a rank is its place there.
RANKS: Final[tuple[str, ...]] = get_args(get_args(Rank)[0])
(
    PROTECTION,
    EQUIPMENT,
    GRID_OBLIGATION,
    ISLAND_BALANCE,
    OWNER_BOUNDS,
    PROGRAMME_EVENT,
    OWNER_WISH,
    PLAN,
    POLICY,
) = range(len(RANKS))
CONNECTION: Final = "connection"


# Places of the directions in what an offer narrows.
DIRECTIONS: Final = ("consume", "produce", "current", "soc")


class Bound(NamedTuple):
    """One bound in one direction; sorts strongest rank first."""

    rank: int
    value: float
    source: str
    rule: str
    reason: str


class Offer(Struct, frozen=True, kw_only=True):
    """A proposal as the cycle reads it: flat, its rank a number, absent bounds infinite.

    Attributes:
        subject: `module/element`, a module id, `connection`, or a conductor (`L1`).
        rank: Place in `RANKS`; smaller is stronger.
        source: Who proposes.
        rule: The strategy, or the source where someone outside proposes.
        reason: Why, for a person.
        power_w: The wish; at the connection, the target of the grid power.
        expires_at_s: In process time.
        narrows: Its bounds by place in `DIRECTIONS`, made once.
    """

    subject: str
    rank: int
    source: str
    rule: str
    reason: str
    consume_max_w: float = inf
    produce_max_w: float = inf
    current_max_a: float = inf
    soc_min_pct: float = 0.0
    power_w: float | None = None
    closed: bool | None = None
    mode: str | None = None
    expires_at_s: float = inf
    narrows: tuple[tuple[int, Bound], ...] = ()

    def __post_init__(self) -> None:
        values = (self.consume_max_w, self.produce_max_w, self.current_max_a)
        made = [(place, self._bound(value)) for place, value in enumerate(values) if value < inf]
        if self.soc_min_pct > 0.0:
            made.append((3, self._bound(self.soc_min_pct)))
        if made:
            force_setattr(self, "narrows", tuple(made))

    def _bound(self, value: float) -> Bound:
        return Bound(self.rank, value, self.source, self.rule, self.reason)


def prepare(proposal: Proposal, now_s: float) -> Offer:
    """Prepare a proposal when it arrives.

    Args:
        proposal: Valid by its schema.
        now_s: Process time of its arrival; its life is reckoned from here.

    Returns:
        What `decide` takes.

    Raises:
        ValueError: The subject does not name what its kind needs; says which field.
    """
    bounds, wish = proposal.bounds, proposal.wish
    return Offer(
        subject=_subject(proposal),
        rank=RANKS.index(proposal.rank),
        source=proposal.source,
        rule=proposal.source,
        reason=proposal.reason,
        consume_max_w=_or_inf(bounds.consume_max_w) if bounds is not UNSET else inf,
        produce_max_w=_or_inf(bounds.produce_max_w) if bounds is not UNSET else inf,
        current_max_a=_or_inf(bounds.current_max_a) if bounds is not UNSET else inf,
        soc_min_pct=0.0 if bounds is UNSET or bounds.soc_min_pct is UNSET else bounds.soc_min_pct,
        power_w=None if wish is UNSET or wish.power_w is UNSET else wish.power_w,
        closed=None if wish is UNSET or wish.closed is UNSET else wish.closed,
        mode=None if wish is UNSET or wish.mode is UNSET else wish.mode,
        expires_at_s=now_s + proposal.ttl_s,
    )


def _or_inf(value: float | UnsetType) -> float:
    return inf if value is UNSET else float(value)


def _subject(proposal: Proposal) -> str:
    subject = proposal.subject
    match subject.kind:
        case "connection":
            return CONNECTION
        case "phase":
            return _named(subject.phase, "phase", subject.kind)
        case "module":
            return _named(subject.module, "module", subject.kind)
        case "element" | "circuit":
            module = _named(subject.module, "module", subject.kind)
            return f"{module}/{_named(subject.element, 'element', subject.kind)}"


def _named(value: str | UnsetType, name: str, kind: str) -> str:
    if value is UNSET:
        msg = f"subject.{name} is absent: a subject of kind {kind} must name it"
        raise ValueError(msg)
    return value
