"""The very last: five wrong tries, after which the module lets nobody try any more (PAIR-019, PAIR-020)."""

from __future__ import annotations

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, Section, need
from ores.conformance.wire.caller import Answer

TRIES = 5
HOLDS_S = 1.2


async def begin(bench: Bench) -> None:
    """Nobody is paired, and no try has been made since somebody was."""
    if bench.paired:
        await bench.release()
    await bench.pair()
    await bench.release()


section: Section[Bench] = Section(
    "lock-out",
    "Tries five wrong pairings. The module is locked afterwards: switch it off and on, or press its button.",
    begin=begin,
)


async def locked(bench: Bench) -> tuple[Answer, int]:
    """Starts without ever confirming, until one is refused; that answer, and how many were taken before."""
    taken = 0
    while taken < TRIES + 3:
        answer, _ = await bench.start_pairing(bench.stranger)
        if answer.status != 200:
            return answer, taken
        taken += 1
    raise Failed(
        f"{taken} starts without a confirmation were taken; after {TRIES} a module has to lock itself"
    )


@section.check("pairing-locks")
async def pairing_locks(bench: Bench) -> None:
    """PAIR-019: the number of guesses is bounded."""
    answer, taken = await bench.once(locked)
    need(
        (answer.status, answer.code) == (429, "pairing_locked"),
        f"the start after {taken} tries was answered with {answer.status} {answer.code}; "
        "429 pairing_locked is demanded",
    )
    need(taken == TRIES, f"the module locked itself after {taken} tries; {TRIES} are demanded")


@section.check("pairing-lock-holds")
async def pairing_lock_holds(bench: Bench) -> None:
    """PAIR-020: somebody on the network could wait out any time."""
    await bench.once(locked)
    await bench.pause(HOLDS_S)
    answer, _ = await bench.start_pairing(bench.stranger)
    status = (await bench.stranger.request("GET", "/pairing")).json
    need(
        answer.code == "pairing_locked",
        f"{HOLDS_S:g} s after it had locked itself the module answered a start with {answer.status} "
        f"{answer.code}; "
        "pairing_locked is demanded until somebody acts at the device",
    )
    need(
        status.get("open") is False and status.get("closed_because") == "pairing_locked",
        f"GET /pairing of a locked module gave {status}; open false because of pairing_locked is demanded",
    )
