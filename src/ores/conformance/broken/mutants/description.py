"""Modules that describe themselves wrongly."""

from __future__ import annotations

from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.conformance.broken.whole import elements
from ores.module import description
from ores.module.policy import free, idle, schedule


def _described(seams: Seams, **fields: Any) -> None:
    """Change fields of every page that a paired peer reads."""

    def change(page: Any) -> Any:
        return {**page, **fields} if "elements" in page else page

    seams.on_description(change)


@broken("description-id")
def names_itself_by_its_serial_number(seams: Seams) -> None:
    """An id of its own making, which no key proves."""
    _described(seams, id="a" * 26)


@broken("description-page-size")
def fills_its_pages_too_full(seams: Seams) -> None:
    """It counted characters of something else."""
    seams.attribute(description, "PAGE_MAX_BYTES", 4600)


@broken("description-pages")
def begins_again_behind_the_last_page(seams: Seams) -> None:
    """The last page names the first one as the next."""

    def change(page: Any) -> Any:
        return page if "next" in page or "elements" not in page else {**page, "next": "/description?page=2"}

    seams.on_description(change)


@broken("description-complete")
def counts_one_element_too_few(seams: Seams) -> None:
    """It begins to count at 0."""

    def change(page: Any) -> Any:
        return {**page, "element_count": page["element_count"] - 1} if "elements" in page else page

    seams.on_description(change)


@broken("description-lease-fits", also=("declared-means-done",))
def has_more_circuits_than_a_lease_commands(seams: Seams) -> None:
    """Sixty more, with long names."""
    seams.attribute(description, "_check_lease_size", lambda _elements: None)

    def more(device: Any) -> None:
        circuit = next(one for one in device.elements if one.id == "circuit_2")
        device.elements = (
            *device.elements,
            *(_renamed(circuit, f"circuit_{number}_behind_the_long_house") for number in range(13, 73)),
        )

    seams.devices.append(more)


def _renamed(element: Any, name: str) -> Any:
    fields = {field: getattr(element, field) for field in element.__struct_fields__}
    return type(element)(**{**fields, "id": name})


@broken("version-declared")
def claims_a_version_that_there_is_not(seams: Seams) -> None:
    """For the brochure."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        wanted = status == 200 and asked.path.startswith("/description")
        return (status, {**body, "ores": "1.9"}) if wanted else None

    seams.answers.append(answer)


@broken("vendor-words-named")
def has_a_kind_of_its_own(seams: Seams) -> None:
    """A word that a later version may take for something else."""
    _kind(seams, "string", "tracker")


@broken("vendor-words-named", variant="policy")
def has_a_policy_of_its_own(seams: Seams) -> None:
    """Its own idea of comfort."""
    offered = {"idle": idle(elements()), "free": free, "schedule": schedule("battery"), "comfort": free}
    seams.options["policies"] = offered


def _kind(seams: Seams, name: str, kind: str) -> None:
    def change(page: Any) -> Any:
        if "elements" not in page:
            return page
        return {
            **page,
            "elements": [{**one, "kind": kind} if one["id"] == name else one for one in page["elements"]],
        }

    seams.on_description(change)


@broken("profile-known")
def claims_to_be_smart(seams: Seams) -> None:
    """A profile that nobody has defined."""

    def change(page: Any) -> Any:
        return {**page, "profiles": ["smart_home", *page["profiles"][1:]]} if "profiles" in page else page

    seams.on_description(change)


@broken("profile-core")
def claims_a_profile_that_it_does_not_fill(seams: Seams) -> None:
    """Its strings are measured and not told."""

    def change(page: Any) -> Any:
        return {**page, "profiles": [*page["profiles"], "hybrid"]} if "profiles" in page else page

    seams.on_description(change)
