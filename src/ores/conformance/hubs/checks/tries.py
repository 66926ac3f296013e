"""Guessing passwords (section 6.3), late, as it locks the kit out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ores.conformance.check import Section, fail, need
from ores.conformance.hubs.app import App
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.doors import need_network, need_no_owner, owned
from ores.conformance.wire.caller import Answer

FREE: Final = 5
IN_ALL: Final = 100
WRONG: Final = "certainly not this one"

section: Section[HubBench] = Section("tries", "Guesses passwords, until the hub has had enough.", begin=owned)


def elsewhere(bench: HubBench) -> Iterator[App]:
    """Callers from addresses of the kit's own machine that nobody has used yet.

    Raises:
        Failed: The hub is not on this machine, where there are many addresses.
    """
    need_no_owner(bench)
    if not bench.target.host.startswith("127."):
        fail("guesses come from many addresses: run the kit on the hub's own machine, against 127.0.0.1")
    for number in range(2, 250):
        yield bench.app(f"guesser {number}", source=f"127.0.7.{number}")


async def guess(who: App, name: str, password: str = WRONG) -> Answer:
    """Try to log in."""
    return await who.request("POST", "/session", {"name": name, "password": password}, timeout_s=30.0)


@section.check("hub-tries-per-address")
async def hub_tries_per_address(bench: HubBench) -> None:
    """USER-008: five from one address."""
    who, other = list(elsewhere(bench))[:2]
    for number in range(1, FREE + 1):
        found = await guess(who, bench.name)
        need(
            found.code == "wrong_password",
            f"wrong password number {number} from one address: {found.status} {found.code}; "
            f"{FREE} are answered with wrong_password",
        )
    found = await guess(who, bench.name, bench.password)
    need(
        found.code == "too_many_tries",
        f"after {FREE} wrong passwords: {found.status} {found.code}; too_many_tries is demanded",
    )
    found = await guess(other, bench.name, bench.password)
    need(found.status == 200, f"tries from another address lock this one out: {found.status} {found.code}")


async def guessed(bench: HubBench) -> tuple[Answer, Answer]:
    """Many wrong passwords, one after another; the answers to right ones then, from outside and from here.

    A hub takes its time for each, and nobody logs in from outside afterwards: it runs beside what comes late.
    """
    network = need_network(bench)
    for who in list(elsewhere(bench))[10 : 10 + IN_ALL // (FREE - 1)]:
        for _ in range(FREE - 1):
            await guess(who, bench.name)
        await who.close()
    outside = bench.app("from outside", where=network)
    found = await guess(outside, bench.name, bench.password)
    return found, await guess(bench.app("here", source="127.0.8.1"), bench.name, bench.password)


@section.check("hub-tries-in-all")
async def hub_tries_in_all(bench: HubBench) -> None:
    """USER-009: a thousand addresses are not a thousand times five guesses."""
    found, here = await bench.once(guessed)
    need(
        found.code == "too_many_tries",
        f"after {IN_ALL} wrong passwords within an hour, a try from beyond the hub's machine: {found.status} "
        f"{found.code}; too_many_tries is demanded",
    )
    need(
        here.status == 200,
        f"after {IN_ALL} wrong passwords who stands at the hub is locked out: {here.status} {here.code}",
    )
