"""Reading what a module says of itself."""

from collections.abc import Callable

import pytest

from ores.hub.reading import read_description
from ores.link.clock import Clock, run
from ores.link.endpoint import Reply
from ores.link.errors import VersionMismatch

MODULE = "m" * 26


class Told:
    """A session with a module of some version."""

    def __init__(self, ores: str) -> None:
        self.ores = ores

    async def request(self, _method: str, _path: str, _body: bytes = b"") -> Reply:
        body = (
            '{"ores": "%s", "id": "%s", "name": "a", "maker": "a", "model": "a", "serial": "1",'
            ' "colour": "green", "firmware_version": "1", "profiles": [], "report_period_s": 1,'
            ' "policies": ["idle"],'
            ' "element_count": 1,'
            ' "elements": [{"id": "a", "kind": "novel", "capabilities": {"levitate": {}}}]}'
        )
        return Reply(200, (body % (self.ores, MODULE)).encode())

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize("ores", ["1.0", "1.7", "1.42"])
def test_any_minor_version_is_read(ores: str) -> None:
    async def main(clock: Clock) -> None:
        assert (await read_description(Told(ores), MODULE, clock, 1.0)).ores == ores

    run(main)


@pytest.mark.parametrize("ores", ["2.0", "11.0"])
def test_another_major_version_is_left_alone_and_the_owner_is_told_why(ores: str) -> None:
    async def main(clock: Clock) -> None:
        with pytest.raises(VersionMismatch, match="update the hub"):
            await read_description(Told(ores), MODULE, clock, 1.0)

    run(main)
