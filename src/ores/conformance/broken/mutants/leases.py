"""Modules that take leases which do not count, or do something else with those that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.link import codec, server
from ores.link.endpoint import Peer
from ores.model import Lease, LeaseResult
from ores.module import leases
from ores.module.control import Control
from ores.module.leases import LeaseBook, WholeRefusal
from ores.module.part import Part

LATE_S = 2.5
_Received = LeaseBook | WholeRefusal


@broken("lease-other-boot")
def takes_leases_of_another_boot(seams: Seams) -> None:
    """It forgets to compare the boot: here, any boot is made to look like this one."""
    this_boot: list[str] = []

    def learn(state: Any) -> Any:
        this_boot[:] = [state["boot_id"]]
        return state

    def forgive(frame: Any) -> Any:
        lease = frame["lease"]
        if this_boot and isinstance(lease, dict) and isinstance(lease.get("boot_id"), str):
            return {**frame, "lease": {**lease, "boot_id": this_boot[0]}}
        return frame

    seams.on_state(learn)
    seams.commands.append(forgive)


def _received(seams: Seams, change: Callable[[LeaseBook, Lease, _Received, float], _Received]) -> None:
    """Change whether a lease counts; `change` gets the book before, the lease, the answer and the time."""
    right = leases.receive

    def receive(book: LeaseBook, peer_id: str, lease: Lease, *, now_s: float, uptime_ms: int) -> _Received:
        found = right(book, peer_id, lease, now_s=now_s, uptime_ms=uptime_ms)
        return change(book, lease, found, now_s)

    seams.attribute(leases, "receive", receive)


def _taken(book: LeaseBook, lease: Lease, now_s: float) -> LeaseBook:
    return LeaseBook(book.boot_id, book.controller, lease.epoch, lease.seq, lease, now_s + lease.ttl_s)


def _forgiven(
    seams: Seams, code: str, when: Callable[[LeaseBook, Lease], bool] = lambda _book, _lease: True
) -> None:
    """Take what is to be refused with a code."""

    def change(book: LeaseBook, lease: Lease, found: _Received, now_s: float) -> _Received:
        refused = isinstance(found, WholeRefusal) and found.code == code
        return _taken(book, lease, now_s) if refused and when(book, lease) else found

    _received(seams, change)


@broken("lease-stale", variant="old")
def takes_what_was_stuck_in_a_socket(seams: Seams) -> None:
    """Ten seconds seemed to be a rounder number."""
    seams.attribute(leases, "ANSWER_MAX_AGE_MS", 10_000)


@broken("lease-stale", variant="future")
def takes_leases_of_the_future(seams: Seams) -> None:
    """It looks at what is too old, and at nothing else."""
    right = leases._stale  # noqa: SLF001 - the mutation's place

    def careless(book: LeaseBook, lease: Lease, uptime_ms: int) -> WholeRefusal | None:
        return None if lease.uptime_ms > uptime_ms else right(book, lease, uptime_ms)

    seams.attribute(leases, "_stale", careless)


@broken("lease-stale", variant="strict")
def refuses_what_is_young_enough(seams: Seams) -> None:
    """The air is slow at times, and 3 s are not 5."""
    seams.attribute(leases, "ANSWER_MAX_AGE_MS", 3000)


@broken("lease-old-epoch", also=("lease-epoch-survives-reboot",))
def obeys_the_clone(seams: Seams) -> None:
    """An epoch is a number like another."""
    _forgiven(seams, "lease_old_epoch")


@broken("lease-old-seq", variant="same")
def takes_a_seq_twice(seams: Seams) -> None:
    """It compares with < where <= was meant."""
    _forgiven(seams, "lease_old_seq", lambda book, lease: lease.seq == book.seq)


@broken("lease-old-seq", variant="lower")
def takes_any_lower_seq(seams: Seams) -> None:
    """It refuses the same frame twice, and knows no order."""
    _forgiven(seams, "lease_old_seq", lambda book, lease: lease.seq < book.seq)


@broken("lease-old-seq", variant="next-epoch")
def goes_on_counting_in_the_next_epoch(seams: Seams) -> None:
    """To it a seq rises for ever: after any other it is never 0 again."""

    def change(book: LeaseBook, lease: Lease, found: _Received, _: float) -> _Received:
        if lease.epoch == book.epoch + 1 and lease.seq == 0 < book.seq:
            return WholeRefusal("lease_old_seq", "it has been seen")
        return found

    _received(seams, change)


def _after_refusal(seams: Seams, then: Callable[[Control, Lease, float], None]) -> None:
    """Do something when a lease has been refused as a whole."""
    right = Control.take

    def take(self: Control, peer_id: str, lease: Lease, **known: Any) -> LeaseResult:
        result = right(self, peer_id, lease, **known)
        if result.code is not msgspec.UNSET:
            then(self, lease, known["now_s"])
        return result

    seams.attribute(Control, "take", take)


@broken("lease-old-seq", variant="refused")
def counts_what_it_refused(seams: Seams) -> None:
    """The highest seq it has seen, whatever became of the lease."""

    def then(control: Control, lease: Lease, _: float) -> None:
        if lease.seq > control.book.seq + 100:
            control.book = msgspec.structs.replace(control.book, seq=lease.seq)

    _after_refusal(seams, then)


@broken("lease-refusal-changes-nothing", variant="ended")
def lets_go_when_it_refuses(seams: Seams) -> None:
    """With a wrong lease there is none."""

    def then(control: Control, _lease: Lease, _now_s: float) -> None:
        control.expire(float("inf"))

    _after_refusal(seams, then)


@broken("lease-refusal-changes-nothing", variant="moved")
def counts_from_what_it_refused(seams: Seams) -> None:
    """The life of the wrong lease becomes that of the right one."""

    def then(control: Control, lease: Lease, now_s: float) -> None:
        control.book = msgspec.structs.replace(control.book, expires_at_s=now_s + lease.ttl_s)

    _after_refusal(seams, then)


@broken("lease-refusal-changes-nothing", variant="limits")
def keeps_half_of_what_it_refused(seams: Seams) -> None:
    """The limits had been written down before the boot was looked at."""

    def then(control: Control, lease: Lease, now_s: float) -> None:
        for name, command in lease.elements.items():
            if name in control.parts:
                control.parts[name].lease(command)
                control.parts[name].settle(now_s)

    _after_refusal(seams, then)


KNOWN = frozenset({"epoch", "seq", "boot_id", "uptime_ms", "ttl_s", "elements"})
CAPABILITIES = {
    "limit": frozenset({"consume_max_w", "produce_max_w", "current_max_a"}),
    "setpoint": frozenset({"power_w"}),
    "switch": frozenset({"closed"}),
    "mode": frozenset({"mode"}),
}


def _on_commands(seams: Seams, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change what is asked of each element, where it has the form of a lease."""

    def on_frame(frame: Any) -> Any:
        lease = frame["lease"]
        elements = lease.get("elements") if isinstance(lease, dict) else None
        if not isinstance(elements, dict):
            return frame
        changed = {
            name: change(command) if isinstance(command, dict) else command
            for name, command in elements.items()
        }
        return {**frame, "lease": {**lease, "elements": changed}}

    seams.commands.append(on_frame)


@broken("lease-unknown-field", variant="field")
def overlooks_a_field(seams: Seams) -> None:
    """What it does not know it does not read."""

    def on_frame(frame: Any) -> Any:
        lease = frame["lease"]
        if not isinstance(lease, dict):
            return frame
        return {**frame, "lease": {name: value for name, value in lease.items() if name in KNOWN}}

    seams.commands.append(on_frame)


@broken("lease-unknown-field", variant="capability")
def overlooks_a_capability(seams: Seams) -> None:
    """A later version may have meant something by it."""
    _on_commands(
        seams, lambda command: {name: value for name, value in command.items() if name in CAPABILITIES}
    )


@broken("lease-unknown-field", variant="inside")
def overlooks_a_field_of_a_command(seams: Seams) -> None:
    """It looks for the fields that it wants."""

    def change(command: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {field: found for field, found in value.items() if field in CAPABILITIES[name]}
            if name in CAPABILITIES and isinstance(value, dict) and value.keys() - CAPABILITIES[name]
            else value
            for name, value in command.items()
        }

    _on_commands(seams, change)


@broken("lease-unknown-field", variant="code")
def calls_it_out_of_range(seams: Seams) -> None:
    """It refuses, with the code of something else."""

    def frame(found: Any) -> Any:
        problem = found.get("problem")
        if problem is None or "no field of this name" not in problem.get("allowed", ""):
            return found
        return {"problem": {**problem, "code": "out_of_range", "status": 409}}

    seams.frames.append(frame)


@broken("lease-number-out-of-range", variant="ttl")
def shortens_a_long_life(seams: Seams) -> None:
    """It does what the hub must have meant."""

    def on_frame(frame: Any) -> Any:
        lease = frame["lease"]
        ttl_s = lease.get("ttl_s") if isinstance(lease, dict) else None
        if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or ttl_s <= 900:
            return frame
        return {**frame, "lease": {**lease, "ttl_s": 900}}

    seams.commands.append(on_frame)


def _clamped(value: Any, least: float, most: float) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(value, least), most) if number else value


@broken("lease-number-out-of-range", variant="limit")
def takes_a_limit_below_zero_for_zero(seams: Seams) -> None:
    """A negative limit is no limit, so that it becomes one."""

    def change(command: dict[str, Any]) -> dict[str, Any]:
        limit = command.get("limit")
        if not isinstance(limit, dict):
            return command
        return {**command, "limit": {way: _clamped(value, 0, 1e6) for way, value in limit.items()}}

    _on_commands(seams, change)


@broken("lease-number-out-of-range", variant="setpoint")
def does_what_it_can_of_a_gigawatt(seams: Seams) -> None:
    """More than it can is as much as it can."""

    def change(command: dict[str, Any]) -> dict[str, Any]:
        setpoint = command.get("setpoint")
        if not isinstance(setpoint, dict) or "power_w" not in setpoint:
            return command
        return {**command, "setpoint": {**setpoint, "power_w": _clamped(setpoint["power_w"], -1e6, 1e6)}}

    _on_commands(seams, change)


@broken("message-doubled-key")
def takes_the_last_of_two(seams: Seams) -> None:
    """As its parser does."""
    seams.attribute(codec, "_refuse_twins", dict)


@broken("lease-by-put")
def says_less_by_put(seams: Seams) -> None:
    """A simple client is told simply: it was applied."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        if asked.path == "/lease" and status == 200 and "code" not in body:
            return 200, {"epoch": body["epoch"], "seq": body["seq"], "result": "applied"}
        return None

    seams.answers.append(answer)


@broken("lease-controller-only", also=("access-by-role",))
def takes_leases_of_strangers(seams: Seams) -> None:
    """Whoever is in the house may command, as it was thought."""
    controller: list[Peer] = []

    def request(asked: Asked) -> Asked:
        if asked.peer.role == "controller":
            controller[:] = [asked.peer]
        return replace(asked, peer=controller[0]) if asked.path == "/lease" and controller else asked

    seams.requests.append(request)
    seams.attribute(server, "PUBLIC", server.PUBLIC | {("PUT", "/lease")})


@broken("lease-replaces-whole")
def adds_up_two_leases(seams: Seams) -> None:
    """What the last one said of other elements goes on."""
    last: dict[str, Any] = {}

    def on_frame(frame: Any) -> Any:
        lease = frame["lease"]
        elements = lease.get("elements") if isinstance(lease, dict) else None
        if not isinstance(elements, dict):
            return frame
        merged = {**last, **elements} if elements else elements
        last.clear()
        if all(isinstance(command, dict) and command.keys() <= {"limit"} for command in elements.values()):
            last.update(elements)
        return {**frame, "lease": {**lease, "elements": merged}}

    seams.commands.append(on_frame)


@broken("lease-acted-on")
def is_late_at_one_place(seams: Seams) -> None:
    """The inverter of the backup bus is behind a slow bus of its own."""
    right = Part.lease
    waiting: list[asyncio.TimerHandle] = []

    def late(self: Part, command: Any) -> None:
        if self.element.id != "former":
            right(self, command)
            return
        while waiting:
            waiting.pop().cancel()
        if command is None:
            right(self, None)
        else:
            waiting.append(asyncio.get_running_loop().call_later(LATE_S, right, self, command))

    seams.attribute(Part, "lease", late)
