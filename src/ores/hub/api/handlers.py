"""What the hub answers at `/ores/v1`, one function per method and path."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from ores.hub.api.access import caller_of
from ores.hub.api.problems import ApiError
from ores.hub.api.wire import answer, bad_query, checked, hub_of, query_int, read
from ores.hub.callers import check_proposal, check_withdrawal
from ores.hub.hub import Hub
from ores.hub.proposals import Held
from ores.model import ElementId, ModuleId, ModuleInfo, PairModule, Preferences, Proposal


class WatchWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /modules/{id}/watch`."""

    watch_only: bool


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


async def get_plan(request: web.Request) -> web.Response:
    """`GET /x-ores.energy/plan`: what the hub expects, and means to do."""
    plan = hub_of(request).plan
    if plan is None:
        raise ApiError("not_found", "this hub plans nothing, as it knows no tariff: start it with --tariff")
    return answer(plan())


async def get_proposals(request: web.Request) -> web.Response:
    """`GET /proposals`: those that hold; a utility reads nothing of the home, so only its own."""
    hub = hub_of(request)
    now_s = hub.clock.now()
    caller = caller_of(request)
    shown = [
        held
        for held in hub.proposals.held()
        if caller.role != "utility" or held.proposal.source == caller.name
    ]
    return answer({"proposals": [_held(held, now_s) for held in shown]})


async def post_proposal(request: web.Request) -> web.Response:
    """`POST /proposals`."""
    hub = hub_of(request)
    proposal = await read(request, Proposal)
    check_proposal(caller_of(request), proposal, hub.people.names())
    return answer(hub.proposals.put(proposal), 201)


async def delete_proposal(request: web.Request) -> web.Response:
    """`DELETE /proposals/{source}/{id}`: who may say something may take it back."""
    hub = hub_of(request)
    source, proposal_id = request.match_info["source"], request.match_info["id"]
    held = hub.proposals.get(source, proposal_id)
    if held is None:
        raise ApiError("not_found", f"no proposal {proposal_id!r} of {source!r} holds")
    check_withdrawal(caller_of(request), held)
    hub.proposals.remove(source, proposal_id)
    return web.Response(status=204)


async def get_decisions(request: web.Request) -> web.Response:
    """`GET /decisions?module=&element=&limit=50&before=ID`: newest first."""
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
    """`GET /notices?ended=false`: those that hold; with `ended=true` also those that are over."""
    ended = request.query.get("ended", "false")
    if ended not in {"true", "false"}:
        raise bad_query("ended", ended, "true or false")
    notices = hub_of(request).notices
    return answer({"notices": notices.recent() if ended == "true" else notices.active()})


async def put_acknowledged(request: web.Request) -> web.Response:
    """`PUT /notices/{id}/acknowledged`: somebody has seen it."""
    text = request.match_info["id"]
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 17 else -1
    notice = hub_of(request).notices.acknowledge(wanted, caller_of(request).name)
    if notice is None:
        raise ApiError("not_found", f"no notice {text[:20]!r} holds, or has ended lately")
    return answer(notice)


async def get_preferences(request: web.Request) -> web.Response:
    """`GET /preferences`."""
    return answer(hub_of(request).preferences.get())


async def put_preferences(request: web.Request) -> web.Response:
    """`PUT /preferences`: replaces all."""
    wanted = await read(request, Preferences)
    return answer(hub_of(request).preferences.put(wanted))


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
