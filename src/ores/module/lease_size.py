"""How large a lease to a module can get, which its description settles (DESC-007)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UnsetType

from ores.model import Capabilities, Element

LEASE_MAX_BYTES: Final = 4096
_FRAME_BYTES: Final = 166
_ELEMENT_BYTES: Final = 6
_LIMIT_BYTES: Final = 11
_LIMIT_VALUE_BYTES: Final = 27
_SETPOINT_BYTES: Final = 34
_SWITCH_BYTES: Final = 26
_MODE_BYTES: Final = 19


def largest_lease_bytes(elements: Sequence[Element]) -> int:
    """Bytes of a lease that commands all that the elements declare, by the table of chapter 4.6."""
    commands = ((one.id, _commands_bytes(one.capabilities)) for one in elements)
    return _FRAME_BYTES + sum(_ELEMENT_BYTES + len(id_) + size for id_, size in commands if size)


def _commands_bytes(able: Capabilities) -> int:
    """Bytes of all commands of one element; 0 where it takes none."""
    size = 0
    if not isinstance(able.limit, UnsetType):
        ways = (able.limit.consume, able.limit.produce, able.limit.current)
        size += _LIMIT_BYTES + _LIMIT_VALUE_BYTES * sum(way is True for way in ways)
    if not isinstance(able.setpoint, UnsetType):
        size += _SETPOINT_BYTES
    if not isinstance(able.switch, UnsetType):
        size += _SWITCH_BYTES
    if not isinstance(able.mode, UnsetType):
        quotes = 2
        size += _MODE_BYTES + max(len(msgspec.json.encode(mode)) for mode in able.mode.modes) - quotes
    return size
