"""What modules' states tell a person: one that has fallen silent though it is connected, and faults."""

from __future__ import annotations

from msgspec import UNSET

from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.model import State


class Alerts:
    """Looks at each module once a cycle.

    Args:
        federation: Whose states are looked at.
        notices: Learn of what a person should know (chapter 6.9).
    """

    def __init__(self, federation: Federation, notices: Notices) -> None:
        self._federation = federation
        self._notices = notices
        self._seen: dict[str, State] = {}

    def look(self, now_s: float) -> None:
        """A cycle is done.

        Args:
            now_s: Process time.
        """
        links = self._federation.links
        for link in links.values():
            self._judge_silence(link, now_s)
            if link.state is not None and self._seen.get(link.id) is not link.state:
                self._seen[link.id] = link.state
                self._judge_faults(link.id, link.state)
        if len(self._seen) > len(links):
            self._seen = {module_id: state for module_id, state in self._seen.items() if module_id in links}

    def _judge_silence(self, link: ModuleLink, now_s: float) -> None:
        """Why a module that is not connected says nothing is told by its link, and better."""
        age_s = link.age_s(now_s)
        if link.connected and age_s is not None and link.status(now_s) in {"stale", "gone"}:
            text = f"it is connected and has not reported for {age_s:.0f} s: its values are not known"
            self._notices.raise_("module_stale", text, module=link.id)
        else:
            self._notices.clear("module_stale", link.id)

    def _judge_faults(self, module_id: str, state: State) -> None:
        found = [
            (f"{name}: {', '.join(of.fault.codes)}", of.fault.latched is True)
            for name, of in sorted(state.elements.items())
            if of.fault is not UNSET and of.fault.codes
        ]
        if not found:
            self._notices.clear("fault", module_id)
            return
        text = "; ".join(words for words, _ in found)
        latched = any(stays for _, stays in found)
        if latched:
            text += " (stays until somebody resets it at the device)"
        self._notices.raise_("fault", text, level="error" if latched else "warning", module=module_id)
