"""How a module announces itself on the local network (sections 4.1, 10.3)."""

from __future__ import annotations

import re
from typing import Final

from ores.conformance.bench import Bench
from ores.conformance.check import Section, fail, need, not_applicable
from ores.conformance.wire.browse import Announced, Browse
from ores.conformance.wire.identity import id_of

HEARD_S: Final = 8.0
NAME_MAX_BYTES: Final = 36
TELLING: Final = 4

section: Section[Bench] = Section(
    "discovery", "Listens for the module's announcement on the local network.", begin=Bench.meet
)


async def announcement(bench: Bench) -> Announced:
    """What the module says of itself on the network.

    Raises:
        Failed: It is not heard.
    """
    wanted = id_of(bench.fingerprint)
    async with Browse() as browse:
        found = await browse.find(wanted, HEARD_S)
    if found is None:
        fail(f"no service _ores._tcp of the module {wanted} was heard within {HEARD_S:g} s")
    return found


@section.check("discovery-announced")
async def discovery_announced(bench: Bench) -> None:
    """DISC-001: a service `_ores._tcp` with the port of the server."""
    found = await bench.once(announcement)
    need(
        found.port == bench.target.port,
        f"the announcement names port {found.port}; the module listens on {bench.target.port}",
    )


@section.check("discovery-txt")
async def discovery_txt(bench: Bench) -> None:
    """DISC-002: whom one would talk to, and where."""
    txt = (await bench.once(announcement)).txt
    wanted = {"v": "1", "id": id_of(bench.fingerprint), "path": bench.target.path, "fp": bench.fingerprint}
    for key, value in wanted.items():
        need(txt.get(key) == value, f"the TXT key {key} is {txt.get(key)!r}; {value!r} is demanded")
    need(
        len(txt.get("name", "").encode()) <= NAME_MAX_BYTES,
        f"the TXT key name is {txt.get('name')!r}; {NAME_MAX_BYTES} bytes are the most",
    )


@section.check("discovery-instance-name")
async def discovery_instance_name(bench: Bench) -> None:
    """DISC-003: two modules that their owner calls alike do not clash."""
    found, wanted = await bench.once(announcement), id_of(bench.fingerprint)
    need(
        found.instance.endswith(wanted),
        f"the service instance is called {found.instance!r}; its name should end with {wanted}",
    )


@section.check("announcement-tells-little")
async def announcement_tells_little(bench: Bench) -> None:
    """SEC-002: no serial number, which the whole street could read."""
    found = await bench.once(announcement)
    if not bench.description:
        await bench.read_description()
    serial = str(bench.description.get("serial", ""))
    if len(serial) < TELLING:
        not_applicable(f"the serial number {serial!r} is too short to be found among other words")
    alone = re.compile(rf"(?<![A-Za-z0-9]){re.escape(serial)}(?![A-Za-z0-9])")
    told = {"instance name": found.instance, **{f"TXT key {key}": found.txt[key] for key in found.txt}}
    for where in sorted(set(told) - {"TXT key v", "TXT key id", "TXT key fp", "TXT key path"}):
        text = told[where].replace(id_of(bench.fingerprint), "")
        need(
            not alone.search(text),
            f"the {where} of the announcement is {told[where]!r}, and holds the serial number {serial!r}",
        )
