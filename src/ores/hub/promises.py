"""What each module is known to keep without a hub: remembered, so that it counts while the module is away.

One file for each module, `failsafe-ID.json` in the hub's directory. Who wrote a limit matters: what this hub
wrote it may widen or take back, what somebody else set (an installer) it may only narrow.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.errors import ConfigError
from ores.model import Description, Failsafe, Limits

NONE = Failsafe(elements={})
WRITTEN_MAX = 8


class Promise(msgspec.Struct, frozen=True):
    """What one module is known to keep.

    Attributes:
        description: As it described itself last; None before the first time.
        kept: Its failsafe limits at most: while a write is not confirmed, the wider ones of before and after.
            None where they were never read.
        written: What this hub wrote last, and what it tried to since then.
        theirs: What somebody else set.
        known: Whether its limits were ever read while they were somebody's word.
    """

    description: Description | None = None
    kept: Failsafe | None = None
    written: tuple[Failsafe, ...] = ()
    theirs: Failsafe = NONE
    known: bool = False

    def read(self, there: Failsafe) -> Promise:
        """After the module was asked: whatever was never written by us is somebody else's."""
        theirs: dict[tuple[str, str], float] = {}
        ours = [dict(_limits_of(failsafe)) for failsafe in self.written]
        before = dict(_limits_of(self.theirs))
        for key, value in _limits_of(there):
            if any(written.get(key) == value for written in ours):
                theirs |= {key: before[key]} if key in before else {}
            else:
                theirs[key] = value
        return msgspec.structs.replace(self, kept=there, theirs=_failsafe(theirs), known=True)

    def lost(self, there: Failsafe) -> Promise:
        """After a module was asked that has lost its store: its zeros are nobody's word."""
        return msgspec.structs.replace(self, kept=there)

    def about_to_write(self, failsafe: Failsafe) -> Promise:
        """Before a write that may come through or not."""
        kept = wider(self.kept or NONE, failsafe)
        written = (*self.written, failsafe)[-WRITTEN_MAX:]
        return msgspec.structs.replace(self, kept=kept, written=written)

    def wrote(self, there: Failsafe) -> Promise:
        """After a write: what was read back is ours, however the module rounded it."""
        return msgspec.structs.replace(self, kept=there, written=(there,), known=True)


class Promises:
    """The files; in memory only without a directory.

    Args:
        directory: Keeps them.
        notices: Learns when one is damaged or cannot be written.
    """

    def __init__(self, directory: StateDir | None, notices: Notices) -> None:
        self._directory = directory
        self._notices = notices

    def load(self, module_id: str) -> Promise:
        """What was last known; nothing where nothing was kept."""
        if self._directory is None:
            return Promise()

        def report(code: str, text: str) -> None:
            self._notices.raise_(code, text, module=module_id)

        return self._directory.load(_file(module_id), Promise, report) or Promise()

    def save(self, module_id: str, promise: Promise) -> None:
        """Remember it. A full disk must not keep limits from being written: it is only said."""
        if self._directory is None:
            return
        try:
            self._directory.save(_file(module_id), promise)
        except ConfigError as error:
            self._notices.raise_(
                "not_saved", f"what a module keeps without a hub: {error.detail}", module=module_id
            )
        else:
            self._notices.clear("not_saved", module_id)


def narrower(one: Failsafe, other: Failsafe) -> Failsafe:
    """The stricter of two, for each element and limit."""
    merged = dict(_limits_of(one))
    for key, value in _limits_of(other):
        merged[key] = min(value, merged.get(key, value))
    return _failsafe(merged)


def wider(one: Failsafe, other: Failsafe) -> Failsafe:
    """The laxer of two, for each element and limit; what only one limits is not limited."""
    limits = dict(_limits_of(one))
    return _failsafe({key: max(value, limits[key]) for key, value in _limits_of(other) if key in limits})


def binds(there: Failsafe, wanted: Failsafe) -> bool:
    """Whether what is there is at least as strict as what is wanted, for each element and limit."""
    return not list(beyond(there, wanted))


def beyond(there: Failsafe, wanted: Failsafe) -> Iterator[tuple[str, str, float | UnsetType, float]]:
    """Element, limit, what is there and what is wanted, wherever it is less strict than that."""
    limits = dict(_limits_of(there))
    for (element, name), value in _limits_of(wanted):
        found = limits.get((element, name), UNSET)
        if found is UNSET or found > value:
            yield element, name, found, value


def same(one: Failsafe, other: Failsafe) -> bool:
    """Whether two mean the same; an element without any limit means nothing."""
    return dict(_limits_of(one)) == dict(_limits_of(other))


def all_zero(failsafe: Failsafe) -> bool:
    """Whether there are limits, and none lets anything through."""
    values = [value for _key, value in _limits_of(failsafe)]
    return bool(values) and not any(values)


def _limits_of(failsafe: Failsafe) -> Iterator[tuple[tuple[str, str], float]]:
    for element, limits in failsafe.elements.items():
        for name, value in msgspec.structs.asdict(limits).items():
            if value is not UNSET:
                yield (element, name), value


def _failsafe(limits: dict[tuple[str, str], float]) -> Failsafe:
    elements: dict[str, dict[str, float]] = {}
    for (element, name), value in limits.items():
        elements.setdefault(element, {})[name] = value
    return Failsafe(elements={element: Limits(**of) for element, of in elements.items()})


def _file(module_id: str) -> str:
    return f"failsafe-{module_id}.json"
