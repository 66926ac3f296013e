"""Hubs that pair wrongly."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import Any

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import membership
from ores.link import client, pairing
from ores.link.errors import ConfigError, Disconnected, OresError, PeerError
from ores.model import PairingConfirm


@broken_hub("hub-reads-typed-code")
def reads_only_what_is_printed(tools: Tools) -> None:
    """It compares codes letter by letter with the form on the label."""
    right = membership._check_code  # noqa: SLF001 - the mutation's place

    def strict(code: str) -> None:
        if not (code.startswith("ORES-") and code.isupper()):
            right("nonsense")
        right(code)

    tools.attribute(membership, "_check_code", strict)


@broken_hub("hub-checks-code")
def trusts_the_finger(tools: Tools) -> None:
    """The check symbols are skipped."""
    right = pairing.secret_of

    def careless(code: str) -> bytes:
        try:
            return right(code)
        except ConfigError:
            return bytes(16)

    tools.attribute(membership, "_check_code", lambda _: None)
    tools.attribute(client, "secret_of", careless)


@broken_hub("hub-checks-proof-first")
def confirms_to_anybody(tools: Tools) -> None:
    """Its own proof goes out before the module's is looked at."""

    def blind(self: Any, fingerprint: str, challenge: Any) -> PairingConfirm:
        proof = self._proof("hub", fingerprint, challenge.module_nonce)
        return PairingConfirm(hub_nonce=self._nonce, hub_proof=proof)

    tools.attribute(pairing.HubPairing, "confirm", blind)


@broken_hub("hub-recovers-lost-pairing-answer")
def gives_up_at_a_lost_answer(tools: Tools) -> None:
    """No answer is a failure."""
    right_pair, right_connect = client.pair, client.connect
    pairs: ContextVar[bool] = ContextVar("pairs", default=False)

    async def pair(*args: Any, **options: Any) -> Any:
        pairs.set(True)
        try:
            return await right_pair(*args, **options)
        finally:
            pairs.set(False)

    async def hasty(*args: Any, **options: Any) -> Any:
        if pairs.get():
            raise Disconnected("no answer")
        return await right_connect(*args, **options)

    tools.attribute(client, "pair", pair)
    tools.attribute(client, "connect", hasty)


@broken_hub("hub-pairing-refusal-told")
def says_that_something_went_wrong(tools: Tools) -> None:
    """Whatever the module says, the person reads the same."""
    right = client.pair

    async def vague(*args: Any, **options: Any) -> Any:
        try:
            return await right(*args, **options)
        except OresError as error:
            raise PeerError("pairing failed") from error

    tools.attribute(client, "pair", vague)


@broken_hub("pairing-nonce-fresh")
def has_one_nonce(tools: Tools) -> None:
    """It was chosen at random, once."""
    tools.attribute(
        client, "HubPairing", partial(pairing.HubPairing, random=lambda length: bytes(range(length)))
    )
