"""The live stream to pages: what is new, and for a slow page only the newest."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from ores.hub.api.guard import GUARD
from ores.hub.api.problems import ApiError
from ores.hub.api.wire import hub_of
from ores.hub.fanout import Page
from ores.hub.live import LiveFrame, frame

HEARTBEAT_S = 20.0
FRAME_MAX_BYTES = 1024
"""A page has nothing to say on the stream."""


async def get_stream(request: web.Request) -> web.StreamResponse:
    """`WS /stream`: `{"live": …}`, `{"decision": …}` and `{"notice": …}`."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=FRAME_MAX_BYTES)
    if not socket.can_prepare(request):
        raise ApiError("upgrade_required", "the stream is a WebSocket")
    hub = hub_of(request)
    page = hub.fanout.open()
    if page is None:
        raise ApiError("too_many_pages", "too many pages are open; close one")
    try:
        await socket.prepare(request)
        page.show(frame(LiveFrame(live=hub.live())))
        sending = asyncio.create_task(_send(request, socket, page), name="page")
        try:
            async for message in socket:
                if message.type in {WSMsgType.ERROR, WSMsgType.CLOSE}:
                    break
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sending
    finally:
        hub.fanout.close(page)
    return socket


async def _send(request: web.Request, socket: web.WebSocketResponse, page: Page) -> None:
    """Until the page is gone, given up or logged out; sending waits while the page does not read."""
    guard = request.app[GUARD]
    with suppress(ConnectionError):
        while (message := await page.next()) is not None:
            try:
                guard.check_person(request)
            except ApiError as error:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=error.code.encode())
                return
            await socket.send_str(message.decode())
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow")
