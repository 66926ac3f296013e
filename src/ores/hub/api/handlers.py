"""What the hub answers at `/ores/v1`, one function per method and path."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from ores.hub.api.guard import COOKIE, caller, is_loopback
from ores.hub.api.problems import ApiError
from ores.hub.api.wire import HUB, answer, checked, hub_of, query_int, read, refuse_unknown
from ores.hub.hub import Hub
from ores.hub.owner import SESSION_S, Credentials, Owner
from ores.hub.proposals import Held, check_rank_of_app
from ores.link.errors import ConfigError
from ores.model import ElementId, ModuleId, ModuleInfo, PairModule, Preferences, Proposal

# Passwords are checked one at a time: each check takes 16 MiB, and a flood of log-ins must not take the
# house's memory.
_PASSWORDS = web.AppKey("passwords", asyncio.Lock)


class WatchWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /modules/{id}/watch`."""

    watch_only: bool


def prepare(app: web.Application) -> None:
    """What the handlers share."""
    app[_PASSWORDS] = asyncio.Lock()


async def get_status(request: web.Request) -> web.Response:
    """`GET /status`."""
    return answer(hub_of(request).status())


async def get_live(request: web.Request) -> web.Response:
    """`GET /live`."""
    return answer(hub_of(request).live())


async def get_modules(request: web.Request) -> web.Response:
    """`GET /modules`: paired and found."""
    return answer({"modules": hub_of(request).modules()})


async def get_module(request: web.Request) -> web.Response:
    """`GET /modules/{id}`."""
    return answer(_module(hub_of(request), request.match_info["id"]))


async def post_module(request: web.Request) -> web.Response:
    """`POST /modules`: pair by the code on the label."""
    hub = hub_of(request)
    module_id = await hub.membership.pair(await read(request, PairModule))
    return answer(_module(hub, module_id), 201)


async def delete_module(request: web.Request) -> web.Response:
    """`DELETE /modules/{id}`: trust it no more, and tell it so."""
    module_id = request.match_info["id"]
    hub = hub_of(request)
    forgotten = await hub.membership.forget(module_id)
    if forgotten is None:
        raise _no_module(module_id)
    hub.decisions.forget_module(module_id)
    return answer(forgotten)


async def put_watch(request: web.Request) -> web.Response:
    """`PUT /modules/{id}/watch`."""
    hub = hub_of(request)
    module_id = request.match_info["id"]
    wanted = await read(request, WatchWanted)
    if not hub.membership.watch(module_id, watch_only=wanted.watch_only):
        raise _no_module(module_id)
    return answer(_module(hub, module_id))


async def get_flexibility(request: web.Request) -> web.Response:
    """`GET /flexibility`: what the house could do."""
    return answer(hub_of(request).flexibility())


async def get_proposals(request: web.Request) -> web.Response:
    """`GET /proposals`: those that hold."""
    hub = hub_of(request)
    now_s = hub.clock.now()
    return answer({"proposals": [_held(held, now_s) for held in hub.proposals.held()]})


async def post_proposal(request: web.Request) -> web.Response:
    """`POST /proposals`."""
    hub = hub_of(request)
    proposal = await read(request, Proposal)
    check_rank_of_app(proposal)
    return answer(hub.proposals.put(proposal), 201)


async def delete_proposal(request: web.Request) -> web.Response:
    """`DELETE /proposals/{source}/{id}`: an app takes back what apps may say."""
    hub = hub_of(request)
    source, proposal_id = request.match_info["source"], request.match_info["id"]
    held = hub.proposals.get(source, proposal_id)
    if held is None:
        raise ApiError("not_found", f"no proposal {proposal_id!r} of {source!r} holds")
    check_rank_of_app(held)
    hub.proposals.remove(source, proposal_id)
    return web.Response(status=204)


async def get_decisions(request: web.Request) -> web.Response:
    """`GET /decisions?module=&element=&limit=50&before=ID`: newest first."""
    refuse_unknown(request, "module", "element", "limit", "before")
    limit = query_int(request, "limit", 50, 1, 200)
    before = query_int(request, "before", -1, 0, 2**53 - 1)
    module, element = request.query.get("module"), request.query.get("element")
    found = await asyncio.to_thread(
        hub_of(request).decisions.page,
        module=None if module is None else checked("module", module, ModuleId, "the id of a module"),
        element=None if element is None else checked("element", element, ElementId, "the id of an element"),
        before=None if before < 0 else before,
        limit=limit,
    )
    return answer({"decisions": found})


async def get_notices(request: web.Request) -> web.Response:
    """`GET /notices`: those that hold."""
    return answer({"notices": hub_of(request).notices.active()})


async def get_preferences(request: web.Request) -> web.Response:
    """`GET /preferences`."""
    return answer(hub_of(request).preferences.get())


async def put_preferences(request: web.Request) -> web.Response:
    """`PUT /preferences`: replaces all."""
    wanted = await read(request, Preferences)
    return answer(hub_of(request).preferences.put(wanted))


async def post_owner(request: web.Request) -> web.Response:
    """`POST /owner`: whoever sits at this machine becomes the owner, once."""
    if not is_loopback(request):
        raise ApiError("loopback_only", "the owner is created from this machine")
    hub = hub_of(request)
    owner = hub.owner
    wanted = await read(request, Credentials)
    async with request.app[_PASSWORDS]:
        await asyncio.to_thread(owner.create, wanted)
    try:
        await hub.owner_created()
    except ConfigError as error:  # the owner exists all the same, and reads here why the network has no page
        hub.notices.raise_("page_not_on_network", error.detail, level="error")
    return _welcome(request, owner.log_in(caller(request), right=True), 201)


async def get_session(request: web.Request) -> web.Response:
    """`GET /session`: who I am to the hub."""
    owner = hub_of(request).owner
    known = owner.knows(request.cookies.get(COOKIE, ""))
    return answer(
        {"owner_exists": owner.exists, "authenticated": known, "name": owner.name if known else None}
    )


async def post_session(request: web.Request) -> web.Response:
    """`POST /session`: log in."""
    owner = hub_of(request).owner
    tried = await read(request, Credentials)
    async with request.app[_PASSWORDS]:
        owner.check_tries(caller(request))
        right = await asyncio.to_thread(owner.verify, tried)
        token = owner.log_in(caller(request), right=right)
    return _welcome(request, token, 200)


async def delete_session(request: web.Request) -> web.Response:
    """`DELETE /session`: log out."""
    hub_of(request).owner.log_out(request.cookies.get(COOKIE, ""))
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


def _welcome(request: web.Request, token: str, status: int) -> web.Response:
    owner: Owner = request.app[HUB].owner
    response = answer({"owner_exists": True, "authenticated": True, "name": owner.name}, status)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(SESSION_S),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return response


def _module(hub: Hub, module_id: str) -> ModuleInfo:
    info = hub.module(module_id)
    if info is None:
        raise _no_module(module_id)
    return info


def _no_module(module_id: str) -> ApiError:
    return ApiError("not_found", f"no module {module_id[:64]!r} is paired or was found")


def _held(held: Held, now_s: float) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(held.proposal)
    return {**shown, "expires_in_s": max(0.0, held.expires_at_s - now_s)}
