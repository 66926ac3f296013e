"""What the owner wants of the house: kept on disk, replaced as a whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from msgspec import UNSET

from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.errors import ConfigError, InvalidMessage
from ores.model import Preferences

FILE = "preferences.json"

_log = logging.getLogger(__name__)

DEFAULT = Preferences(self_consumption=True, ev_mode="surplus", reserve_pct=10.0, grid_target_w=0.0)
"""Before the owner has said anything."""

SAFE = Preferences(
    self_consumption=True, ev_mode="off", reserve_pct=20.0, grid_target_w=0.0, export_max_w=0.0
)
"""When what the owner said is lost: a limit may have been agreed, so nothing is exported for now."""


class PreferencesStore:
    """The preferences in force.

    Args:
        directory: Keeps them.
        notices: Learns when the file was damaged.
        initial: To start with where nothing was kept yet.
    """

    def __init__(self, directory: StateDir, notices: Notices, initial: Preferences | None = None) -> None:
        self._directory = directory
        self._watchers: list[Callable[[Preferences], None]] = []
        self._notices = notices
        lost = directory.has_lost(FILE)  # and since then the disk has been full

        def report(code: str, text: str) -> None:
            nonlocal lost
            lost = True
            notices.raise_(code, f"{text} Export is limited to 0 W until you set the preferences again.")

        if lost:
            report("file_damaged", f"{FILE} was damaged, safe defaults hold.")
        kept = directory.load(FILE, Preferences, report)
        self._now = kept or (SAFE if lost else initial or DEFAULT)
        if lost:
            with suppress(ConfigError):  # until the disk takes it, what was set aside says so at each start
                directory.save(FILE, SAFE)

    def get(self) -> Preferences:
        """Those in force."""
        return self._now

    def put(self, wanted: Preferences) -> Preferences:
        """Replace all; on disk before they hold.

        Raises:
            InvalidMessage: A value cannot be; names the field.
            ConfigError: They cannot be saved; the old ones still hold.
        """
        check(wanted)
        self._directory.save(FILE, wanted)
        self._now = wanted
        self._notices.clear("file_damaged")
        for watcher in self._watchers:
            self._tell(watcher, wanted)
        return wanted

    def _tell(self, watcher: Callable[[Preferences], None], wanted: Preferences) -> None:
        try:
            watcher(wanted)
        except Exception as error:  # noqa: BLE001  they hold already; a defect elsewhere must not deny it
            if self._notices.raise_("internal", f"{type(error).__name__}: {error}", level="error"):
                _log.exception("new preferences were not taken by all")

    def watch(self, changed: Callable[[Preferences], None]) -> None:
        """Call back after each change."""
        self._watchers.append(changed)


def check(wanted: Preferences) -> None:
    """Refuse what the schema allows and sense does not.

    Raises:
        InvalidMessage: Names the field, what was found, what is allowed.
    """
    target_w = 0.0 if wanted.grid_target_w is UNSET else wanted.grid_target_w
    if wanted.import_max_w is not UNSET and target_w > wanted.import_max_w:
        raise _contradiction("grid_target_w", target_w, f"at most import_max_w, {wanted.import_max_w:g} W")
    if wanted.export_max_w is not UNSET and -target_w > wanted.export_max_w:
        raise _contradiction("grid_target_w", target_w, f"at least -export_max_w, {-wanted.export_max_w:g} W")
    for circuit, current_a in ({} if wanted.circuit_max_a is UNSET else wanted.circuit_max_a).items():
        module, slash, element = circuit.partition("/")
        if not (module and slash and element):
            raise InvalidMessage(
                f"$.circuit_max_a: {circuit!r} ({current_a:g} A) names no circuit",
                field="$.circuit_max_a",
                found=circuit[:80],
                allowed="keys of the form module/element",
            )


def _contradiction(field: str, found: float, allowed: str) -> InvalidMessage:
    return InvalidMessage(
        f"$.{field}: found {found:g}, allowed is {allowed}",
        field=f"$.{field}",
        found=f"{found:g}",
        allowed=allowed,
    )
