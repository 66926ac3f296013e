"""Asking a module: a request with a deadline, its answer checked, a description put together from pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import UNSET

from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Reply, Session
from ores.link.errors import Forbidden, InvalidMessage, OresError, PeerError, Unavailable, VersionMismatch
from ores.model import Description, Element, Problem

T = TypeVar("T")

PAGES_MAX = 64
BODY_MAX_BYTES = 65536
MAJOR_VERSION = 1


class InTurn:
    """A session whose requests go one after the other: with the stream these are two connections (HTTP-011).

    Args:
        session: With the module.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._turn = asyncio.Lock()

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Ask when those before have been answered."""
        async with self._turn:
            return await self._session.request(method, path, body)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        """Open the stream, beside the requests."""
        return await self._session.open_stream(on_frame, on_closed)

    async def close(self) -> None:
        """End the session."""
        await self._session.close()


async def ask(
    session: Session, clock: Clock, deadline_s: float, request: tuple[str, str], body: bytes = b""
) -> bytes:
    """One request, given as method and path.

    Raises:
        Forbidden, Unavailable, PeerError: As the problem in the answer says.
        TimedOut, Disconnected: There was no answer.
    """
    method, path = request
    async with clock.timeout(deadline_s):
        reply = await session.request(method, path, body)
    if reply.status < 400:
        return reply.body
    raise _as_error(method, path, reply.status, reply.body)


async def ask_for(session: Session, clock: Clock, deadline_s: float, path: str, type_: type[T]) -> T:
    """GET and read; raises as `ask`, and `InvalidMessage`."""
    return codec.decode(
        type_, await ask(session, clock, deadline_s, ("GET", path)), limit_bytes=BODY_MAX_BYTES
    )


async def read_description(session: Session, module_id: str, clock: Clock, deadline_s: float) -> Description:
    """All pages as one description.

    Args:
        session: With the module.
        module_id: Whom we believe to talk to.
        clock: Measures the deadline.
        deadline_s: For each page.

    Raises:
        VersionMismatch: Of another major version.
        PeerError: It is somebody else's, its pages do not end, or its elements do not add up.
        OresError: As `ask`.
    """
    first = page = await ask_for(session, clock, deadline_s, "/description", Description)
    elements: list[Element] = list(page.elements)
    for _ in range(PAGES_MAX):
        if page.next is UNSET:
            break
        page = await ask_for(session, clock, deadline_s, page.next, Description)
        elements.extend(page.elements)
    else:
        raise PeerError(f"the description has more than {PAGES_MAX} pages")
    if not first.ores.startswith(f"{MAJOR_VERSION}."):
        raise VersionMismatch(
            f"it speaks version {first.ores}, and this hub knows {MAJOR_VERSION}.x: update the hub"
        )
    if first.id != module_id:
        raise PeerError(f"the description is of {first.id}, the key is of {module_id}", code="wrong_id")
    ids = {element.id for element in elements}
    if len(elements) != first.element_count or len(ids) != len(elements):
        raise PeerError(
            f"the description has {len(elements)} elements ({len(ids)} different), declared are "
            f"{first.element_count}"
        )
    return msgspec.structs.replace(first, elements=elements, next=UNSET)


def _as_error(method: str, path: str, status: int, body: bytes) -> OresError:
    try:
        problem = codec.decode(Problem, body, limit_bytes=BODY_MAX_BYTES)
    except InvalidMessage:
        return PeerError(f"{method} {path} was answered with {status} and no problem that can be read")
    detail = problem.title if problem.detail is UNSET else problem.detail
    text = f"{method} {path}: {detail}"
    if status in {401, 403}:
        return Forbidden(text, code=problem.code)
    if status in {408, 425, 429} or status >= 500:
        return Unavailable(text, code=problem.code)
    return PeerError(text, code=problem.code)
