"""How a hub pairs: from the code that somebody types to the pin (section 4.3)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ores.conformance.check import Failed, Section, fail, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.doors import owned
from ores.conformance.hubs.parts import meter, store
from ores.conformance.hubs.player import Player
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.identity import fingerprint_of, id_of

CERTIFICATE_MAX_BYTES = 1024
NONCE_HEX = 64


async def furnished(bench: HubBench) -> None:
    """The house that all checks share: a meter and a battery, to which the hub has come back as their own."""
    both = await asyncio.gather(
        bench.player("Meter", meter(), profiles=("meter",)),
        bench.player("Battery", store(), profiles=("storage",)),
    )
    await bench.until(
        lambda: all(one.certificates for one in both),
        10.0,
        "the hub did not come back to what it has paired with",
    )


async def ready(bench: HubBench) -> None:
    """There are an owner, a meter and a battery."""
    await owned(bench)
    await bench.once(furnished)


section: Section[HubBench] = Section("joining", "Pairs the hub with modules that the kit plays.", begin=ready)


@dataclass
class Joined:
    """What came of several pairings at once.

    Attributes:
        odd_code: The answer to a code typed oddly.
        slip: The answer to a code with a slip of the finger, and what the module heard of it.
        wrong_proof: The answer where the module's proof was of another code.
        lost: The answer where the module's last answer got lost.
        refused: The answer where the module refused, with a code.
        unknown: The same with a code of a later version.
    """

    odd_code: Answer
    slip: tuple[Answer, Player]
    wrong_proof: tuple[Answer, Player]
    lost: tuple[Answer, Player]
    refused: Answer
    unknown: Answer


async def joined(bench: HubBench) -> Joined:
    """Pair with six modules, each of which has something about it."""
    names = ("typed", "slip", "proof", "lost", "closed", "later")
    typed, slip, proof, lost, closed, later = await asyncio.gather(
        *(bench.player(name, store(f"store_{name}"), paired=False) for name in names)
    )
    proof.ways.wrong_proof = True
    lost.ways.loses_confirmation = True
    closed.ways.refuses_pairing = "pairing_closed"
    later.ways.refuses_pairing, later.ways.refuses_status = "pairing_too_hot_today", 403
    odd = typed.code.removeprefix("ORES-").replace("-", " ").lower()
    odd = odd.replace("o", "0").replace("i", "1").replace("b", "8")
    answers = await asyncio.gather(
        _pair(bench, typed, odd),
        _pair(bench, slip, _slipped(slip.code)),
        *(_pair(bench, one, one.code) for one in (proof, lost, closed, later)),
    )
    outcome = Joined(
        answers[0], (answers[1], slip), (answers[2], proof), (answers[3], lost), answers[4], answers[5]
    )
    for one in (typed, slip, proof, lost, closed, later):
        await bench.owner.request("DELETE", f"/modules/{one.id}")
        await bench.drop(one)
    return outcome


async def _pair(bench: HubBench, player: Player, code: str) -> Answer:
    body = {"code": code, "address": player.address}
    return await bench.owner.request("POST", "/modules", body, timeout_s=30.0)


def _slipped(code: str) -> str:
    """One letter of the secret is another one."""
    place = len("ORES-") + 2
    return code[:place] + ("A" if code[place] != "A" else "C") + code[place + 1 :]


@section.check("hub-pairs-by-code")
async def hub_pairs_by_code(bench: HubBench) -> None:
    """HUB-013: as controller, answered with 201 and the module."""
    for player in (bench.players["Meter"], bench.players["Battery"]):
        start = player.told("POST /pairing/start")[0].body
        need(
            start["role"] == "controller",
            f"the hub paired as {short(start.get('role'))}; controller is demanded",
        )
    info = await bench.owner.get(f"/modules/{bench.players['Battery'].id}")
    need(info.get("paired") is True, f"the module has paired {info.get('paired')}; true is demanded")


@section.check("hub-reads-typed-code")
async def hub_reads_typed_code(bench: HubBench) -> None:
    """PAIR-004: case, blanks, dashes; 0, 1, 8 for O, I, B."""
    answer = (await bench.once(joined)).odd_code
    need(
        answer.status == 201,
        f"a code in small letters, with blanks, without ORES and with 0, 1, 8 for O, I, B was answered with "
        f"{answer.status} {answer.code}; it is to be read like the printed one",
    )


@section.check("hub-checks-code")
async def hub_checks_code(bench: HubBench) -> None:
    """PAIR-005: a slip of the finger costs no try."""
    answer, player = (await bench.once(joined)).slip
    need(answer.status >= 400, f"a code whose check symbols do not fit was answered with {answer.status}")
    need(
        not player.told("POST /pairing/start"),
        "the hub sent a start to the module though the check symbols of the code do not fit",
    )


@section.check("hub-checks-proof-first")
async def hub_checks_proof_first(bench: HubBench) -> None:
    """PAIR-008: no confirmation to who has not proven to know the code."""
    answer, player = (await bench.once(joined)).wrong_proof
    need(
        not player.told("POST /pairing/confirm"),
        "the hub sent its confirmation though the module's proof does not fit the code",
    )
    need(answer.status >= 400, f"a pairing with a wrong proof was answered with {answer.status}")


@section.check("hub-recovers-lost-pairing-answer")
async def hub_recovers_lost_pairing_answer(bench: HubBench) -> None:
    """PAIR-016: the module has pinned the hub, and only the answer got lost."""
    answer, _ = (await bench.once(joined)).lost
    need(
        answer.status == 201,
        f"the module's answer to the confirmation got lost, though it had pinned the hub: answered with "
        f"{answer.status} {answer.code}; the hub is to try to connect as if paired",
    )


@section.check("hub-pairing-refusal-told")
async def hub_pairing_refusal_told(bench: HubBench) -> None:
    """HUB-014: the module's own code."""
    answer = (await bench.once(joined)).refused
    need(
        answer.code == "pairing_closed",
        f"the module refused with pairing_closed, the hub answered {answer.status} {answer.code}",
    )


@section.check("unknown-code-by-status")
async def unknown_code_by_status(bench: HubBench) -> None:
    """ERR-004: a code of a later version is a refusal like others of its status."""
    answer = (await bench.once(joined)).unknown
    need(
        400 <= answer.status < 500 or answer.status in {502, 503},
        f"the module refused with status 403 and a code that 1.0 does not know; the hub answered "
        f"{answer.status} {answer.code}; a refusal is demanded",
    )


@section.check("pairing-nonce-fresh")
async def pairing_nonce_fresh(bench: HubBench) -> None:
    """PAIR-007: 32 bytes, never twice."""
    await bench.once(joined)
    nonces = [
        line.body.get("hub_nonce")
        for line in bench.transcript.lines
        if line.what == "POST /pairing/start" and line.by == "subject" and isinstance(line.body, dict)
    ]
    for nonce in nonces:
        need(
            isinstance(nonce, str) and len(nonce) == NONCE_HEX,
            f"hub_nonce: found {short(nonce)}; 64 hex digits are demanded",
        )
        need(len(set(str(nonce))) > 4, f"hub_nonce {nonce} is not random")
    need(len(set(nonces)) == len(nonces), f"of {len(nonces)} pairings two had the same hub_nonce")


def certificates(bench: HubBench) -> list[x509.Certificate]:
    """Those that the hub has sent in pairing, and shown in TLS."""
    found = [
        x509.load_der_x509_certificate(der)
        for player in bench.players.values()
        for der in player.certificates
    ]
    found += [player.hub for player in bench.players.values() if player.hub is not None]
    need(found, "the hub has shown no certificate")
    return found


@section.check("certificate-self-signed")
async def certificate_self_signed(bench: HubBench) -> None:
    """IDENT-004: signed by its own key, with ECDSA and SHA-256."""
    for certificate in certificates(bench):
        key, hash_ = certificate.public_key(), certificate.signature_hash_algorithm
        name = hash_.name if hash_ else "no hash"
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            fail("the key of the hub's certificate is not on P-256")
        need(name == "sha256", f"the hub's certificate is signed with {name}; sha256 is demanded")
        try:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise Failed("the hub's certificate is not signed by its own key") from error


@section.check("certificate-size")
async def certificate_size(bench: HubBench) -> None:
    """IDENT-005: a small peer keeps it whole."""
    for certificate in certificates(bench):
        size = len(certificate.public_bytes(serialization.Encoding.DER))
        need(
            size <= CERTIFICATE_MAX_BYTES,
            f"the hub's certificate has {size} bytes in DER; {CERTIFICATE_MAX_BYTES} are the most",
        )


@section.check("certificate-subject")
async def certificate_subject(bench: HubBench) -> None:
    """IDENT-006: CN with the id of the key, alone."""
    for certificate in certificates(bench):
        wanted = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, id_of(fingerprint_of(certificate)))])
        for what, found in (("subject", certificate.subject), ("issuer", certificate.issuer)):
            need(
                found == wanted,
                f"the {what} of the hub's certificate is {found.rfc4514_string()}; "
                f"{wanted.rfc4514_string()} is demanded",
            )
