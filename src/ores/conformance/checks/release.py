"""The kit gives up its pin, pairs once more as an odd but valid peer, and gives that up, too (section 4.3).

Runs near the end: what the module obeyed is over afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, Section, Unreachable, need, not_applicable, short
from ores.conformance.wire import pairing
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.identity import Identity, new_identity
from ores.conformance.wire.peer import Peer

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
LONG_OVER = datetime(2002, 1, 1, tzinfo=UTC)
HIGH_EPOCH = 4_000_000
AT_ONCE_S = 2.0
READABLE = ("/description", "/pairing", "/state", "/failsafe", "/policy", "/faults")


async def begin(bench: Bench) -> None:
    """The kit is the controller, and has seen each core resource at least once."""
    need(bench.paired, "pairing has to succeed, and did not")
    for path in READABLE:
        await bench.controller.request("GET", path)


section: Section[Bench] = Section(
    "release",
    "Releases the module, pairs once more with an odd certificate, and releases it for good.",
    begin=begin,
)


KEPT = ("/failsafe", "/policy", "/settings")


@dataclass(frozen=True, slots=True)
class Released:
    """What happened when the kit gave up its pin.

    Attributes:
        answer: To `DELETE /pairing`.
        stream_ended: The stream was closed at once.
        shut_out: The old key is not let in any more.
        before: Failsafe limits, policy and settings as they were.
    """

    answer: Answer
    stream_ended: bool
    shut_out: bool
    before: Mapping[str, Any]


async def released(bench: Bench) -> Released:
    """Under strict failsafe limits and a long lease of a high epoch, with a stream open, the kit releases."""
    await bench.put("/failsafe", {"elements": _strict(bench)})
    before = await _held(bench)
    bench.epoch, bench.seq = HIGH_EPOCH, 0
    await bench.give({}, ttl_s=60)
    stream = await bench.stream()
    answer = await bench.controller.request("DELETE", "/pairing")
    need(
        answer.status == 200,
        f"DELETE /pairing of the controller was answered with {answer.status} {answer.code}; 200 is demanded",
    )
    bench.paired = False
    ended = await stream.ended(AT_ONCE_S)
    await bench.close_stream()
    await bench.controller.close()
    return Released(answer, ended, await _is_shut_out(bench.controller), before)


def _strict(bench: Bench) -> dict[str, dict[str, float]]:
    """All that can be limited, limited to nothing."""
    names = {"consume": "consume_max_w", "produce": "produce_max_w", "current": "current_max_a"}
    return {
        element["id"]: {
            names[way]: 0
            for way, offered in element["capabilities"]["limit"].items()
            if way in names and offered
        }
        for element in bench.having("limit")
    }


async def _held(bench: Bench) -> dict[str, bytes]:
    """What the module keeps for its controller."""
    return {path: (await bench.controller.request("GET", path)).raw for path in KEPT}


async def _is_shut_out(peer: Peer) -> bool:
    """Whether a key that was pinned once gets no answer any more."""
    try:
        await peer.request("GET", "/pairing")
    except Unreachable:
        return True
    finally:
        await peer.close()
    return False


@section.check("pairing-release")
async def pairing_release(bench: Bench) -> None:
    """PAIR-025: who was let in may go."""
    found = await bench.once(released)
    need(found.shut_out, "after DELETE /pairing the key that was given up still gets answers")
    status = found.answer.json
    need(
        isinstance(status, dict) and status.get("paired") is False,
        f"DELETE /pairing was answered with {short(status)}; the PairingStatus with paired false is demanded",
    )


@section.check("tls-unpinned-dropped")
async def tls_unpinned_dropped(bench: Bench) -> None:
    """TLS-008: trust ends now, not at the next reconnect."""
    found = await bench.once(released)
    need(found.stream_ended, f"the stream of the peer whose pin was removed was open {AT_ONCE_S:g} s later")


@section.check("pairing-release-opens")
async def pairing_release_opens(bench: Bench) -> None:
    """PAIR-029: open for 600 s after it."""
    await bench.once(released)
    status = (await bench.stranger.request("GET", "/pairing")).json
    need(
        isinstance(status, dict) and status.get("open") is True,
        f"GET /pairing after a release gave {short(status)}; open true is demanded for 600 s",
    )


@dataclass(frozen=True, slots=True)
class Back:
    """The module after the same hub has paired again.

    Attributes:
        state: The first state that it saw.
        low_epoch: The result of a lease of epoch 1.
        kept: Failsafe limits, policy and settings as they are now.
        same_name: Whether another key under the same name got no answer.
    """

    state: dict[str, Any]
    low_epoch: dict[str, Any]
    kept: Mapping[str, bytes]
    same_name: bool


async def back(bench: Bench) -> Back:
    """Pair with the same key again, look what is left, put back what was found at first, and release."""
    await bench.once(released)
    bench.use(await _paired_as(bench, bench.identity), bench.identity)
    bench.epoch, bench.seq = 1, 0
    state = await bench.state()
    result = await bench.send(await bench.lease({}, ttl_s=2))
    kept = await _held(bench)
    await bench.put_back()
    await bench.close_stream()
    double = new_identity(name=bench.identity.id)
    same_name = await _status(bench.peer("other key, same name", double)) is None
    await bench.release()
    return Back(state, result, kept, same_name)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Answers to starts that are to be refused, by what is wrong with them."""

    certificates: Mapping[str, Answer]
    replay: Answer
    observer: Answer


async def refusals(bench: Bench) -> Refusals:
    """Starts with bad certificates, a nonce for the second time, and as an observer.

    Each may count as a try, and pairing clears them: so three come before the pairing of `expired`, and three
    before that of `back`.
    """
    await bench.once(released)
    wrong = {
        "whose subject is not the id of its key": new_identity(name="a-hub-of-some-name"),
        "that another key has signed": new_identity(signer=ec.generate_private_key(ec.SECP256R1())),
        "of more than 1024 bytes": new_identity(padding_bytes=800),
        "of a key on P-384": new_identity(curve=ec.SECP384R1()),
    }
    found: dict[str, Answer] = {}
    for what, identity in wrong.items():
        found[what], _ = await bench.start_pairing(bench.stranger, identity=identity)
    await bench.once(back)
    observer, _ = await bench.start_pairing(bench.stranger, role="observer", identity=bench.someone)
    taken, nonce = await bench.start_pairing(bench.stranger)
    need(taken.status == 200, f"a start while pairing is open was answered with {taken.status} {taken.code}")
    replay, _ = await bench.start_pairing(bench.stranger, nonce=nonce)
    return Refusals(found, replay, observer)


async def _paired_as(bench: Bench, identity: Identity) -> Peer:
    """Pair with another key of the kit.

    Raises:
        Failed: The module does not let it in.
    """
    answer, hub_nonce = await bench.start_pairing(bench.stranger, identity=identity)
    need(
        answer.status == 200,
        f"a start with a good certificate was answered with {answer.status} {answer.code}",
    )
    module_nonce = pairing.hex_bytes(answer.json.get("module_nonce"), "module_nonce", 32)
    proof = bench.proof("hub", hub_nonce, module_nonce, identity=identity)
    done = await bench.stranger.request(
        "POST", "/pairing/confirm", {"hub_nonce": hub_nonce, "hub_proof": proof}
    )
    await bench.stranger.close()
    need(done.status == 200, f"a good confirmation was answered with {done.status} {done.code}")
    return bench.peer("controller again", identity)


@section.check("pairing-bad-certificate")
async def pairing_bad_certificate(bench: Bench) -> None:
    """PAIR-014: a pin that TLS cannot use later is a pairing that seems to hold."""
    for what, answer in (await bench.once(refusals)).certificates.items():
        # what is far too large for the field may be refused by its schema as well
        allowed = (
            {"pairing_bad_certificate", "invalid_message"} if "1024" in what else {"pairing_bad_certificate"}
        )
        need(
            answer.code in allowed,
            f"a start with a certificate {what} was answered with {answer.status} {answer.code}; "
            "pairing_bad_certificate is demanded",
        )


@section.check("pairing-replay")
async def pairing_replay(bench: Bench) -> None:
    """PAIR-013: a nonce of the hub is good for one start."""
    answer = (await bench.once(refusals)).replay
    need(
        answer.code == "pairing_replayed",
        f"a start that repeats a nonce was answered with {answer.status} {answer.code}; "
        "pairing_replayed is demanded",
    )


@section.check("pairing-observer-refused")
async def pairing_observer_refused(bench: Bench) -> None:
    """PAIR-023: who reads a home's power knows who is at home."""
    answer = (await bench.once(refusals)).observer
    if answer.status == 200:
        not_applicable("observers have been allowed at the device")
    need(
        answer.code == "pairing_role_refused",
        f"a start as observer was answered with {answer.status} {answer.code}; pairing_role_refused is "
        "demanded",
    )


async def expired(bench: Bench) -> None:
    """Pair with a certificate that expired long ago, be served, and release."""
    await bench.once(refusals)
    identity = new_identity(not_before=LONG_AGO, not_after=LONG_OVER)
    bench.use(await _paired_as(bench, identity), identity)
    try:
        await bench.state()
    except Failed as error:
        raise Failed(f"a controller whose certificate's dates are over is not served: {error}") from error
    await bench.release()


async def _status(peer: Peer) -> int | None:
    """Of `GET /state`; None where there is no answer."""
    try:
        return (await peer.request("GET", "/state")).status
    except Unreachable:
        return None
    finally:
        await peer.close()


@section.check("certificate-dates-ignored")
async def certificate_dates_ignored(bench: Bench) -> None:
    """IDENT-008: a device without a clock must still let its hub in."""
    await bench.once(expired)


@section.check("peer-known-by-key")
async def peer_known_by_key(bench: Bench) -> None:
    """IDENT-007: the key counts, and not the name in the certificate."""
    found = await bench.once(back)
    need(found.same_name, "another key was let in because its certificate has the name of the pinned one")


@section.check("unpinned-lease-ends")
async def unpinned_lease_ends(bench: Bench) -> None:
    """LIFE-005: the command of somebody who is no longer trusted does not go on."""
    lease = (await bench.once(back)).state.get("lease")
    need(
        lease is None,
        f"after its controller's pin was removed the module still obeyed the lease {short(lease)}",
    )


@section.check("pairing-release-forgets-epoch")
async def pairing_release_forgets_epoch(bench: Bench) -> None:
    """PAIR-028: a hub that is set up anew begins to count at the bottom."""
    result = (await bench.once(back)).low_epoch
    need(
        result.get("result") == "applied",
        f"after a release and a new pairing a lease of epoch 1 was answered with {short(result)}; applied is "
        "demanded",
    )


@section.check("pairing-release-keeps-failsafe")
async def pairing_release_keeps_failsafe(bench: Bench) -> None:
    """PAIR-027: where nothing may be exported, nothing may be exported without a hub either."""
    before, kept = (await bench.once(released)).before, (await bench.once(back)).kept
    for path, was in before.items():
        need(
            _same(was, kept[path]),
            f"{path} was {short(was.decode())} before the release and is {short(kept[path].decode())} after "
            "it",
        )


def _same(one: bytes, other: bytes) -> bool:
    """Equal as JSON."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return one == other
