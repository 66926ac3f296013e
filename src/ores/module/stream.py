"""One open stream of a module, seen from the module: who listens, and if it is the controller, commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from ores.link import codec
from ores.link.endpoint import Peer
from ores.link.errors import InvalidMessage
from ores.model import FromModule, Lease, LeaseResult, ToModule
from ores.module import problems

MESSAGE_MAX_BYTES: Final = 4096
_encoder: Final = msgspec.json.Encoder()


class Commanded(Protocol):
    """What a stream asks of its module; `Module` says what each does."""

    @property
    def stopped(self) -> bool: ...  # noqa: D102  see above
    def take_lease(self, peer: Peer, lease: Lease) -> LeaseResult: ...  # noqa: D102  see above
    def forget(self, stream: ModuleStream) -> None: ...  # noqa: D102


class ModuleStream:
    """One peer that listens, and if it is the controller, commands."""

    def __init__(self, module: Commanded, peer: Peer, send: Callable[[bytes], None]) -> None:
        self._module: Final = module
        self._peer: Final = peer
        self.send: Final = send

    def receive(self, frame: bytes) -> None:
        """Take a lease and answer with its result, or with the problem of the frame.

        A module that has stopped says nothing any more: nobody would end the lease.
        """
        if self._module.stopped:
            return
        self.send(_encoder.encode(self._answer(frame)))

    def closed(self) -> None:
        """Nothing comes or goes any more; a lease lives on until its end."""
        self._module.forget(self)

    def _answer(self, frame: bytes) -> FromModule:
        if self._peer.role != "controller":
            return FromModule(
                problem=problems.make("forbidden", "an observer reads; only the controller commands")
            )
        try:
            message = codec.decode(ToModule, frame, limit_bytes=MESSAGE_MAX_BYTES, unique_keys=True)
        except InvalidMessage as error:
            return FromModule(problem=problems.of_invalid(error))
        return FromModule(result=self._module.take_lease(self._peer, message.lease))
