"""What a hub knows of its modules now, as the doors show it."""

from __future__ import annotations

from ores.hub.hub import Hub
from ores.model import Description, ElementState


def descriptions(hub: Hub) -> list[Description]:
    """Of all modules that have described themselves."""
    links = hub.federation.links.values()
    return [link.description for link in links if link.description is not None]


def states(hub: Hub) -> dict[str, ElementState]:
    """What is known now, by `module/element`."""
    now_s = hub.clock.now()
    return {
        f"{link.id}/{name}": state
        for link in hub.federation.links.values()
        if link.state is not None and link.is_fresh(now_s)
        for name, state in link.state.elements.items()
    }


def shape_now(hub: Hub) -> list[tuple[str, int, bool]]:
    """Another one whenever modules have come, gone or changed what they say of themselves."""
    links = hub.federation.links.values()
    return [(link.id, id(link.description), link.watch_only) for link in links]
