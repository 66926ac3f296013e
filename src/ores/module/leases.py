"""The lease book: which lease is in force, and which are refused as a whole. Pure: numbers in, outcomes out.

A frame stuck in a socket, a cloned hub and a hub that woke from a long sleep all send leases that once made
sense. The book knows them by four marks: the boot that they answer, the age of the state that they answer,
the hub's epoch, and the order within it. The epoch outlives a reboot (the store keeps it); the order need
not, for the boot's id changes.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ores.model import Lease

ANSWER_MAX_AGE_MS: Final = 5000
"""A lease must answer a state no older than this."""


class WholeRefusal(msgspec.Struct, frozen=True):
    """Why a lease is refused as a whole; the one before stays in force."""

    code: str
    detail: str


class LeaseBook(msgspec.Struct, frozen=True):
    """What the module remembers about leases.

    Attributes:
        boot_id: Of this boot.
        controller: Id of the hub whose epochs these are; empty before the first lease of all.
        epoch: The highest seen of that hub; persisted.
        seq: The highest seen in that epoch during this boot; -1 before the first.
        lease: In force; None when it has expired or none has come.
        expires_at_s: Process time at which it ends.
    """

    boot_id: str
    controller: str = ""
    epoch: int = 0
    seq: int = -1
    lease: Lease | None = None
    expires_at_s: float = 0.0


def receive(
    book: LeaseBook, peer_id: str, lease: Lease, *, now_s: float, uptime_ms: int
) -> LeaseBook | WholeRefusal:
    """Accept a lease, or say why not.

    Args:
        book: Before.
        peer_id: Whose key sent it.
        lease: As decoded, so within its schema's ranges.
        now_s: Process time of its receipt; its life counts from here.
        uptime_ms: Of this boot, now.
    """
    if (why := _stale(book, lease, uptime_ms)) is not None:
        return why
    if peer_id == book.controller:
        if lease.epoch < book.epoch:
            return WholeRefusal("lease_old_epoch", f"epoch {lease.epoch} is over; {book.epoch} has been seen")
        if lease.epoch == book.epoch and lease.seq <= book.seq:
            return WholeRefusal("lease_old_seq", f"seq {lease.seq} is over; {book.seq} has been seen")
    elif in_force(book, now_s):
        return WholeRefusal("not_controller", f"another hub, {book.controller}, holds a lease on this module")
    return LeaseBook(book.boot_id, peer_id, lease.epoch, lease.seq, lease, now_s + lease.ttl_s)


def in_force(book: LeaseBook, now_s: float) -> bool:
    """Whether there is a lease that has not ended; at the very time of its end it has."""
    return book.lease is not None and now_s < book.expires_at_s


def expired(book: LeaseBook, now_s: float) -> LeaseBook:
    """The book without a lease that has ended; what fences old ones stays."""
    if book.lease is None or in_force(book, now_s):
        return book
    return LeaseBook(book.boot_id, book.controller, book.epoch, book.seq)


def _stale(book: LeaseBook, lease: Lease, uptime_ms: int) -> WholeRefusal | None:
    if lease.boot_id != book.boot_id:
        return WholeRefusal(
            "lease_other_boot", f"it answers boot {lease.boot_id}; this is boot {book.boot_id}"
        )
    age_ms = uptime_ms - lease.uptime_ms
    if age_ms > ANSWER_MAX_AGE_MS:
        return WholeRefusal(
            "lease_stale", f"it answers a state {age_ms} ms old; allowed are {ANSWER_MAX_AGE_MS} ms"
        )
    if age_ms < 0:
        return WholeRefusal("lease_stale", f"it answers a state {-age_ms} ms in the future")
    return None
