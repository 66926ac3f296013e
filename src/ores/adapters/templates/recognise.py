"""Which of the shipped templates fits what answers at an address: by reads alone, each asked once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ores.adapters.modbus import Rejected, Tables
from ores.adapters.templates.form import Template
from ores.adapters.templates.found import Found, NotThisDevice, find
from ores.adapters.templates.parse import names, shipped
from ores.link.clock import Clock
from ores.link.errors import PeerError

TRIES_MAX: Final = 60
"""Requests to one unit; who has not been recognised by then is none of these."""


def candidates(unit: int | None = None) -> list[Template]:
    """Templates that can be recognised; those with most signs first, for they are the surest.

    Args:
        unit: Only those that answer at this Modbus unit; None for all.
    """
    found = [shipped(name) for name in names()]
    able = [one for one in found if one.detect and (unit is None or one.transport.unit == unit)]
    return sorted(able, key=lambda one: (-len(one.detect), one.name))


async def recognise(
    templates: Iterable[Template], registers: Tables, clock: Clock
) -> tuple[Template, Found] | None:
    """The first template that fits; nothing is written.

    Args:
        templates: To try.
        registers: Of one unit.
        clock: Process time.

    Raises:
        Unavailable: It does not answer.
    """
    asked = _AskedOnce(registers)
    for template in templates:
        try:
            return template, await find(template, asked, clock)
        except NotThisDevice:
            continue
        except PeerError:
            if asked.count > TRIES_MAX:
                return None
            continue  # it has no such registers
    return None


class _AskedOnce:
    """Registers that are read once, and never written."""

    def __init__(self, registers: Tables) -> None:
        self._registers: Final = registers
        self._answers: Final[dict[tuple[str, int, int], list[int] | Rejected]] = {}
        self.count = 0

    async def read(self, address: int, count: int) -> list[int]:
        return await self._once("holding", address, count)

    async def read_input(self, address: int, count: int) -> list[int]:
        return await self._once("input", address, count)

    async def write(self, address: int, values: Sequence[int]) -> None:
        raise PeerError(
            f"nothing is written at {address} while a device is looked for: {len(values)} registers"
        )

    async def write_one(self, address: int, value: int) -> None:
        await self.write(address, [value])

    def close(self) -> None:
        self._registers.close()

    async def _once(self, table: str, address: int, count: int) -> list[int]:
        key = (table, address, count)
        if key not in self._answers:
            self.count += 1
            ask = self._registers.read if table == "holding" else self._registers.read_input
            try:
                self._answers[key] = await ask(address, count)
            except Rejected as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, Rejected):
            raise answer
        return answer
