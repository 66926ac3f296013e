"""Pairing, from the first status to the pinned key (section 4.3)."""

from __future__ import annotations

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need
from ores.conformance.wire import pairing

section: Section[Bench] = Section("pairing", "Pairs with the module, after tries that have to be refused.")


@section.check("pairing-wrong-code")
async def pairing_wrong_code(bench: Bench) -> None:
    """PAIR-009: a proof made with another code is refused."""
    answer, hub_nonce = await bench.start_pairing(bench.stranger)
    need(answer.status == 200, f"a start was answered with {answer.status} {answer.code}; 200 is demanded")
    module_nonce = pairing.hex_bytes(answer.json.get("module_nonce"), "module_nonce", 32)
    wrong = bench.proof("hub", hub_nonce, module_nonce, secret=bytes(16))
    refused = await bench.stranger.request(
        "POST", "/pairing/confirm", {"hub_nonce": hub_nonce, "hub_proof": wrong}
    )
    need(
        (refused.status, refused.code) == (403, "pairing_wrong_code"),
        f"a proof with another code was answered with {refused.status} {refused.code}; "
        "403 pairing_wrong_code is demanded",
    )


@section.check("pairing-proof")
async def pairing_proof(bench: Bench) -> None:
    """PAIR-006: the module proves that it knows the code, over the key of its TLS; then the kit is let in."""
    await bench.pair()
