"""What a module says it is: its pages, its version, and words that are not the standard's (4.6, 12.4)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.wire.identity import id_of

PAGE_MAX_BYTES: Final = 4096
LEASE_MAX_BYTES: Final = 4096
KIT_VERSION: Final = "1.0"
MAKERS_WORD: Final = re.compile(
    r"x-[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+/[a-z0-9_-]+"
)


section: Section[Bench] = Section(
    "description", "Reads the description. Nothing is changed.", begin=Bench.described
)


@section.check("description-id")
async def description_id(bench: Bench) -> None:
    """DESC-001: the id of the key that TLS proved."""
    wanted = id_of(bench.fingerprint)
    for page, _ in bench.pages:
        need(
            page.get("id") == wanted,
            f"the description has id {short(page.get('id'))}; {wanted} follows from the key",
        )


@section.check("description-page-size")
async def description_page_size(bench: Bench) -> None:
    """DESC-002: a page is taken whole."""
    for number, (_, size) in enumerate(bench.pages, 1):
        need(
            size <= PAGE_MAX_BYTES,
            f"page {number} of the description has {size} bytes; {PAGE_MAX_BYTES} are the most",
        )


@section.check("description-pages")
async def description_pages(bench: Bench) -> None:
    """DESC-003: each page but the last names the one that follows."""
    need(not bench.pages_trouble, bench.pages_trouble)
    count, found = bench.description.get("element_count"), len(bench.elements)
    need(
        found > 0
        and isinstance(count, int)
        and (found >= count or len(bench.pages) > 1 or found == count - 1),
        f"the description has {short(count)} elements, but its only page holds {found} and names no `next`",
    )


@section.check("description-complete")
async def description_complete(bench: Bench) -> None:
    """DESC-004: each element once, as many as are announced."""
    for number, (page, _) in enumerate(bench.pages, 1):
        need(
            page.get("element_count") == len(bench.elements),
            f"page {number} announces {short(page.get('element_count'))} elements; "
            f"the pages together hold {len(bench.elements)}",
        )


@section.check("description-lease-fits")
async def description_lease_fits(bench: Bench) -> None:
    """DESC-007: counted by the table of 4.6, with every command that is declared."""
    size = largest_lease_bytes(bench.elements)
    need(
        size <= LEASE_MAX_BYTES,
        f"a lease that commands all that is declared has {size} bytes; {LEASE_MAX_BYTES} are the most",
    )


@section.check("version-declared")
async def version_declared(bench: Bench) -> None:
    """VER-005: the version whose core requirements are kept, which is the one that is judged here."""
    found = bench.description.get("ores")
    need(
        found == KIT_VERSION,
        f"the description says ores {short(found)}; what is judged here is {KIT_VERSION}",
    )


@section.check("vendor-words-named")
async def vendor_words_named(bench: Bench) -> None:
    """EXT-002: kinds, policies and requests of the registry, or `x-`, a domain, `/` and a word."""
    for what, word in _open_words(bench):
        need(
            MAKERS_WORD.fullmatch(word),
            f"the {what} {short(word)} is not in the registry; a maker's own is such as x-example.com/{what}",
        )


def _open_words(bench: Bench) -> Iterator[tuple[str, str]]:
    """Every word of an open list that the registry does not have."""
    kinds = known_words(bench.standard.schema("description"), "Element", "kind")
    requests = known_words(bench.standard.schema("description"), "Description", "requests")
    for element in bench.elements:
        if element.get("kind") not in kinds:
            yield "kind", str(element.get("kind"))
    for policy in bench.description.get("policies", []):
        if policy not in bench.standard.policies:
            yield "policy", str(policy)
    for request in bench.description.get("requests", []):
        if request not in requests:
            yield "request", str(request)


def known_words(schema: Mapping[str, Any], name: str, field: str) -> Collection[str]:
    """The words of an open list that the schema knows."""
    found: Collection[str] = schema["$defs"][name]["properties"][field]["x-known"]
    return found


# Profiles, and what a claim covers


@section.check("profile-known")
async def profile_known(bench: Bench) -> None:
    """PROF-001: a word of the registry, and a module's."""
    for name in bench.description.get("profiles", []):
        need(
            name in bench.standard.profiles,
            f"the profile {short(name)} is claimed, which the registry does not have; "
            f"it has {', '.join(bench.standard.profiles)}",
        )


@section.check("profile-core")
async def profile_core(bench: Bench) -> None:
    """PROF-002: for each kind under `core` an element with all that is named there."""
    wanted = judged_profiles(bench)
    if not wanted:
        not_applicable("the module claims no profile, and none was asked for")
    for name in wanted:
        for kind, capabilities in bench.standard.profiles[name]["core"].items():
            alike = [element for element in bench.elements if element.get("kind") == kind]
            need(alike, f"the profile {name} asks for an element of kind {kind}; there is none")
            lacking = min((_lacking(element, capabilities) for element in alike), key=len)
            need(
                not lacking,
                f"the profile {name} asks for a {kind} with {', '.join(capabilities)}; "
                f"none has all, the best one lacks {', '.join(lacking)}",
            )


def judged_profiles(bench: Bench) -> list[str]:
    """The profiles of the registry that are claimed, and the one that the person asked for."""
    claimed = [name for name in bench.description.get("profiles", []) if name in bench.standard.profiles]
    asked = [bench.profile] if bench.profile is not None and bench.profile not in claimed else []
    return claimed + asked


def _lacking(element: Element, capabilities: Collection[str]) -> list[str]:
    return [name for name in capabilities if name not in element.get("capabilities", {})]


def largest_lease_bytes(elements: Collection[Element]) -> int:
    """By the table of section 4.6."""
    size = 166
    for element in elements:
        commands = _commands_bytes(element.get("capabilities", {}))
        size += 6 + len(str(element.get("id"))) + commands if commands else 0
    return size


def _commands_bytes(able: Mapping[str, Any]) -> int:
    """What all commands of one element take in a lease."""
    size = 0
    if "limit" in able:
        size += 11 + 27 * sum(able["limit"].get(way) is True for way in ("consume", "produce", "current"))
    if "setpoint" in able:
        size += 34
    if "switch" in able:
        size += 26
    if "mode" in able:
        size += 19 + max((len(name.encode()) for name in able["mode"].get("modes", {})), default=0)
    return size
