"""Modules that know too little, or too much, after a restart."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.module import module
from ores.module.module import Module


@broken("boot-id-fresh")
def counts_its_boots(seams: Seams) -> None:
    """A number kept in flash, which another module of its kind has as well."""
    boots = itertools.count(7)
    seams.attribute(module, "secrets", SimpleNamespace(token_hex=lambda size: f"{next(boots):0{2 * size}x}"))


@broken("lease-epoch-survives-reboot")
def keeps_the_epoch_in_memory(seams: Seams) -> None:
    """Flash is dear, and the epoch was thought to be like `seq`."""

    def forget(self: Module, controller: str, _: int) -> None:
        self.saved = msgspec.structs.replace(self.saved, controller=controller, epoch=0)

    seams.attribute(Module, "_keep_epoch", forget)
