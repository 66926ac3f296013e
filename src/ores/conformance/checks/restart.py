"""One restart, and what it must and must not change: judged once for all (sections 4.7, 4.8, 4.10, 4.13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need, short
from ores.conformance.checks.failsafe import limitable, reservable

READABLE = ("/failsafe", "/policy", "/settings")
COUNTED_MAX = 256


section: Section[Bench] = Section(
    "restart",
    "Restarts the module once, under a lease, and looks at what it still knows.",
    begin=Bench.described,
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A module at one moment.

    Attributes:
        state: Before: the last one under the lease. After: the first of the new boot.
        description: All pages as one.
        kept: Body of each readable resource; None where it is not served.
        certificate: In DER.
    """

    state: Mapping[str, Any]
    description: Mapping[str, Any]
    kept: Mapping[str, Any]
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Restarted:
    """What a restart under a lease of 60 s did.

    Attributes:
        before: Just before it.
        after: As soon as it was back.
        old_epoch: How the first lease of all after it was answered: one of a lower epoch than before.
    """

    before: Snapshot
    after: Snapshot
    old_epoch: Mapping[str, Any]


async def restarted(bench: Bench) -> Restarted:
    """Give a lease of a new epoch, restart, and try one of the epoch before; leaves the bench calm."""
    await _agree(bench)
    bench.epoch += 1
    await bench.give({}, ttl_s=60)
    before = await _snapshot(bench, await bench.next_state(what="a state under the lease"))
    await bench.restart()
    state = (await bench.stream()).states[0][1]
    old_epoch = await bench.send(await bench.lease({}, epoch=bench.epoch - 1))
    after = await _snapshot(bench, state)
    await bench.calm()
    return Restarted(before, after, old_epoch)


async def _agree(bench: Bench) -> None:
    """Failsafe limits, a policy and a reserve that are not those of the factory."""
    limits = {element["id"]: {way: round(rating / 3)} for element, way, rating in limitable(bench)[:2]}
    await bench.put("/failsafe", {"elements": limits})
    await bench.put("/policy", {"kind": bench.description["policies"][-1]})
    stores = reservable(bench)
    if stores:
        await bench.put("/settings", {"elements": {stores[0]["id"]: {"storage": {"reserve_pct": 17}}}})


async def _snapshot(bench: Bench, state: Mapping[str, Any]) -> Snapshot:
    description = await bench.read_description()
    kept: dict[str, Any] = {}
    for path in READABLE:
        answer = await bench.controller.request("GET", path)
        kept[path] = answer.json if answer.status == 200 else None
    raw = await bench.raw(bench.identity)
    certificate = raw.tls.getpeercert(binary_form=True) or b""
    await raw.close()
    return Snapshot(state, description, kept, certificate)


@section.check("boot-id-fresh")
async def boot_id_fresh(bench: Bench) -> None:
    """STREAM-005: another one at each boot, and neither counted nor of few bits."""
    found = await bench.once(restarted)
    ids = [str(one.state.get("boot_id")) for one in (found.before, found.after)]
    need(ids[0] != ids[1], f"the boot_id {ids[0]} is the same before and after a restart")
    values = []
    for boot_id in ids:
        try:
            values.append(int(boot_id, 16))
        except ValueError:
            need(False, f"the boot_id {boot_id!r} is not in hex digits")
        need(len(boot_id) >= 8, f"the boot_id {boot_id!r} has fewer than the 32 bits that are demanded")
    need(
        abs(values[0] - values[1]) > COUNTED_MAX,
        f"the boot_id was {ids[0]} before a restart and {ids[1]} after it: it is counted; it is to be drawn "
        "at "
        "random",
    )


@section.check("lease-epoch-survives-reboot")
async def lease_epoch_survives_reboot(bench: Bench) -> None:
    """LEASE-008: the epoch is kept, or a power cut would let a clone of the hub in."""
    result = (await bench.once(restarted)).old_epoch
    need(
        (result.get("result"), result.get("code")) == ("refused", "lease_old_epoch"),
        f"after a restart a lease of a lower epoch than before it was answered with {short(result)}; "
        "refused lease_old_epoch is demanded",
    )
