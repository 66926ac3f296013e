"""Modules are found by what they announce; on loopback only."""

from __future__ import annotations

import asyncio

import pytest
from tests.link.loops import LOOPS
from zeroconf.asyncio import AsyncServiceInfo

from ores.link.discovery import LOOPBACK, SERVICE, Found, announce, browse, open_zeroconf, read_announcement
from ores.link.errors import ConfigError
from ores.link.identity import new_identity


class Seen:
    """What was announced by these; other programs on this machine may announce something, too."""

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)
        self.found: asyncio.Queue[Found] = asyncio.Queue()
        self.gone: asyncio.Queue[str] = asyncio.Queue()

    def on_found(self, found: Found) -> None:
        if found.id in self.ids:
            self.found.put_nowait(found)

    def on_gone(self, module_id: str) -> None:
        if module_id in self.ids:
            self.gone.put_nowait(module_id)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_two_modules_of_one_name_are_found_and_missed(loop) -> None:
    async def scene() -> None:
        one, two = new_identity(), new_identity()
        seen = Seen(one.id, two.id)
        async_zeroconf = open_zeroconf(LOOPBACK)
        browser = await browse(seen.on_found, seen.on_gone, interfaces=LOOPBACK)
        name = "Battery. Keller ü" * 5
        announcements = await asyncio.gather(
            *(
                announce(who, 8000 + at, name=name, interfaces=LOOPBACK, zeroconf=async_zeroconf)
                for at, who in enumerate((one, two))
            )
        )
        found = [await asyncio.wait_for(seen.found.get(), 10) for _ in range(2)]
        assert {(f.id, f.fingerprint, f.port) for f in found} == {
            (one.id, one.fingerprint, 8000),
            (two.id, two.fingerprint, 8001),
        }
        assert {(f.addresses, f.path, f.version) for f in found} == {(LOOPBACK, "/ores/v1", "1")}
        assert all(name.startswith(f.name) and len(f.name) > 30 for f in found)
        assert [f.id for f in browser.modules if f.id in seen.ids] == sorted([one.id, two.id])
        await announcements[0].close()
        assert await asyncio.wait_for(seen.gone.get(), 10) == one.id
        assert [f.id for f in browser.modules if f.id in seen.ids] == [two.id]
        await announcements[1].close()
        await browser.close()
        await browser.close()
        await async_zeroconf.async_close()
        await asyncio.sleep(0.05)  # its sockets close one turn of the loop later

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


GOOD = new_identity()


@pytest.mark.parametrize(
    "wrong",
    [
        {"fp": "00"},
        {"fp": new_identity().fingerprint},
        {"id": new_identity().id},
        {"path": "somewhere"},
        {"fp": None},
    ],
)
def test_what_announces_nonsense_is_not_found(wrong: dict[str, str]) -> None:
    good = {"v": "1", "id": GOOD.id, "path": "/ores/v1", "fp": GOOD.fingerprint}
    right, bad = (
        AsyncServiceInfo(
            SERVICE, f"a.{SERVICE}", port=1, parsed_addresses=["127.0.0.1"], properties=properties
        )
        for properties in (good, good | wrong)
    )
    assert read_announcement(right) is not None
    assert read_announcement(bad) is None


async def test_an_interface_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="interfaces"):
        open_zeroconf(["198.51.100.7"])
