"""Which lease counts, and how it is answered (section 4.8)."""

from __future__ import annotations

from ores.conformance.bench import Bench
from ores.conformance.check import Section, fail, need, short

section: Section[Bench] = Section(
    "leases",
    "Gives the module leases of a few seconds, and some that it has to refuse.",
)


async def begin(bench: Bench) -> None:
    """Be paired, with the description read."""
    if not bench.paired:
        fail("pairing has to succeed, and did not")
    await bench.read_description()


section.begin = begin


@section.check("lease-other-boot")
async def lease_other_boot(bench: Bench) -> None:
    """LEASE-004: a lease that answers a state of another boot is refused."""
    result = await bench.send(await bench.lease({}, boot_id="0123456789abcdef"))
    need(
        (result.get("result"), result.get("code")) == ("refused", "lease_other_boot"),
        f"a lease with the boot_id of another boot was answered with {short(result)}; "
        "refused lease_other_boot is demanded",
    )
