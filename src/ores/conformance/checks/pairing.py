"""Pairing, from the first status to the pinned key (section 4.3).

Tries are few: a start counts until one is confirmed, and after five the module locks itself. So this section
makes four, of which the last becomes the kit's pairing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ores.conformance.bench import Bench
from ores.conformance.check import Section, fail, need
from ores.conformance.wire import pairing
from ores.conformance.wire.caller import Answer


async def begin(bench: Bench) -> None:
    """The module's key is known, and pairing is open."""
    await bench.meet()
    status = await bench.stranger.request("GET", "/pairing")
    closed = (
        status.json.get("closed_because")
        if status.status == 200 and status.json.get("open") is False
        else None
    )
    if closed is not None:
        closed = f"pairing is not open ({closed}): {_TO_OPEN.get(str(closed), 'see GET /pairing')}"
        bench.hopeless = f"not judged, for want of a pairing: {closed}"
        fail(closed)


_TO_OPEN = {
    "pairing_closed": "release the module from its hub, press its button, or reset it",
    "pairing_locked": "switch the module off and on",
}

section: Section[Bench] = Section(
    "pairing", "Pairs with the module, after tries that it has to refuse.", begin=begin
)


@dataclass(frozen=True, slots=True)
class Tries:
    """What came of the tries before the pairing that counts."""

    wrong_code: Answer
    answer_again: Answer
    older_start: Answer
    nonces: tuple[str, str, str]


async def tries(bench: Bench) -> Tries:
    """Three starts: a wrong proof and then the right one; and one that is overtaken by the next."""
    hub_nonce, first = await _start(bench)
    wrong = await _confirm(bench, hub_nonce, bench.proof("hub", hub_nonce, first, secret=bytes(16)))
    again = await _confirm(bench, hub_nonce, bench.proof("hub", hub_nonce, first))
    older_nonce, second = await _start(bench)
    _, third = await _start(bench)
    older = await _confirm(bench, older_nonce, bench.proof("hub", older_nonce, second))
    return Tries(wrong, again, older, (first, second, third))


@section.check("pairing-status")
async def pairing_status(bench: Bench) -> None:
    """PAIR-024: anybody may know whether a start would be accepted."""
    status = (await bench.stranger.request("GET", "/pairing")).json
    need(
        isinstance(status, dict) and status.get("open") is True and "closed_because" not in status,
        f"GET /pairing of a module that can be paired gave {status}; open true, without a reason, is "
        "demanded",
    )


@section.check("pairing-wrong-code")
async def pairing_wrong_code(bench: Bench) -> None:
    """PAIR-009: a proof made with another code is refused."""
    answer = (await bench.once(tries)).wrong_code
    need(
        (answer.status, answer.code) == (403, "pairing_wrong_code"),
        f"a proof with another code was answered with {answer.status} {answer.code}; "
        "403 pairing_wrong_code is demanded",
    )


@section.check("pairing-one-answer")
async def pairing_one_answer(bench: Bench) -> None:
    """PAIR-011: one confirmation for each start; the right proof after a wrong one comes too late."""
    answer = (await bench.once(tries)).answer_again
    need(
        answer.status >= 400,
        f"a second confirmation of one start was answered with {answer.status}; one start is one guess",
    )


@section.check("pairing-newest-start-counts")
async def pairing_newest_start_counts(bench: Bench) -> None:
    """PAIR-012: a start is forgotten when another comes."""
    answer = (await bench.once(tries)).older_start
    need(
        answer.status >= 400,
        f"a start that another had overtaken was confirmed with {answer.status}; it is to be forgotten",
    )


@section.check("pairing-nonce-fresh")
async def pairing_nonce_fresh(bench: Bench) -> None:
    """PAIR-007: 32 fresh bytes each time."""
    nonces = (await bench.once(tries)).nonces
    need(len(set(nonces)) == len(nonces), "two challenges have the same module_nonce; each has to be fresh")
    for nonce in nonces:
        need(
            len(set(bytes.fromhex(nonce))) > 8,
            f"the module_nonce {nonce} does not come from a source of random numbers",
        )


@section.check("pairing-proof")
async def pairing_proof(bench: Bench) -> None:
    """PAIR-006: the module proves that it knows the code, over the key of its TLS; then the kit is let in."""
    need(
        await bench.pair(),
        "the module's proof does not fit the code and the keys of this connection: who sits between could "
        "pass "
        "such a proof on",
    )


@section.check("pairing-closed-when-paired")
async def pairing_closed_when_paired(bench: Bench) -> None:
    """PAIR-017: a second hub needs somebody at the device; and the status says so."""
    need(bench.paired, "pairing has to succeed, and did not")
    answer, _ = await bench.start_pairing(bench.stranger, role="observer", identity=bench.someone)
    status = (await bench.stranger.request("GET", "/pairing")).json
    await bench.stranger.close()
    need(
        (answer.status, answer.code) == (403, "pairing_closed"),
        f"a start at a module that is paired was answered with {answer.status} {answer.code}; "
        "403 pairing_closed is demanded",
    )
    need(
        status.get("open") is False and status.get("closed_because") == "pairing_closed",
        f"GET /pairing of a paired module gave {status}; open false because of pairing_closed is demanded",
    )


@section.check("pairing-one-controller")
async def pairing_one_controller(bench: Bench) -> None:
    """PAIR-022: no second controller; while pairing is closed as well, that reason may come first."""
    need(bench.paired, "pairing has to succeed, and did not")
    answer, _ = await bench.start_pairing(bench.stranger, identity=bench.someone)
    await bench.stranger.close()
    need(
        answer.code in {"pairing_has_controller", "pairing_closed"},
        f"a start of a second controller was answered with {answer.status} {answer.code}; "
        "pairing_has_controller is demanded, or pairing_closed where that comes first",
    )


async def _start(bench: Bench) -> tuple[str, str]:
    """A start that is to be accepted; the nonces of both sides."""
    answer, hub_nonce = await bench.start_pairing(bench.stranger)
    need(
        answer.status == 200,
        f"a start while pairing is open was answered with {answer.status} {answer.code}; 200 is demanded",
    )
    body = answer.json if isinstance(answer.json, dict) else {}
    return hub_nonce, pairing.hex_bytes(body.get("module_nonce"), "module_nonce", 32)


async def _confirm(bench: Bench, hub_nonce: str, proof: str) -> Answer:
    """A confirmation that is to be refused; where it is not, what came of it is undone."""
    answer = await bench.stranger.request(
        "POST", "/pairing/confirm", {"hub_nonce": hub_nonce, "hub_proof": proof}
    )
    if answer.status == 200:
        await bench.stranger.close()
        await bench.controller.request("DELETE", "/pairing")
        await bench.controller.close()
    return answer
