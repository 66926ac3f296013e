"""Who comes in: the owner, sessions, further users, and the tokens of apps."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ores.hub.api.access import caller_of
from ores.hub.api.guard import COOKIE, GUARD, caller, is_loopback
from ores.hub.api.problems import ApiError
from ores.hub.api.wire import answer, hub_of, read
from ores.hub.callers import Caller
from ores.hub.owner import SESSION_S, Credentials
from ores.hub.passwords import check_password, hashed
from ores.hub.people import TokenWanted, UserWanted
from ores.link.errors import ConfigError
from ores.model import SessionInfo

# Passwords are checked one at a time: each check takes 16 MiB, and a flood of log-ins must not take the
# house's memory.
_PASSWORDS = web.AppKey("passwords", asyncio.Lock)


class PasswordWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /users/{name}/password`, as typed."""

    password: str
    current: str | UnsetType = UNSET

    def __repr__(self) -> str:  # a password must not end up in a log
        return "PasswordWanted()"


def prepare(app: web.Application) -> None:
    """What the handlers share."""
    app[_PASSWORDS] = asyncio.Lock()


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
    exists = hub_of(request).owner.exists
    return answer(_session(exists, request.app[GUARD].identify(request) if exists else None))


async def post_session(request: web.Request) -> web.Response:
    """`POST /session`: log in."""
    hub = hub_of(request)
    tried = await read(request, Credentials)
    async with request.app[_PASSWORDS]:
        hub.owner.check_tries(caller(request), here=is_loopback(request))
        right = await asyncio.to_thread(hub.people.verify, tried)
        token = hub.owner.log_in(caller(request), right=right, name=tried.name)
    return _welcome(request, token, 200)


async def delete_session(request: web.Request) -> web.Response:
    """`DELETE /session`: log out."""
    hub_of(request).owner.log_out(request.cookies.get(COOKIE, ""))
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


async def get_users(request: web.Request) -> web.Response:
    """`GET /users`."""
    return answer({"users": hub_of(request).people.users()})


async def post_user(request: web.Request) -> web.Response:
    """`POST /users`: let somebody in."""
    people = hub_of(request).people
    _check_owned(request)
    wanted = await read(request, UserWanted)
    check_password(wanted.password)
    async with request.app[_PASSWORDS]:
        kept = await asyncio.to_thread(hashed, wanted.password)
    return answer(people.add_user(wanted, kept), 201)


async def delete_user(request: web.Request) -> web.Response:
    """`DELETE /users/{name}`: let somebody in no more."""
    name = request.match_info["name"]
    if not hub_of(request).people.remove_user(name):
        raise _nobody(name)
    return web.Response(status=204)


async def put_password(request: web.Request) -> web.Response:
    """`PUT /users/{name}/password`: for oneself or, by an owner, for anybody; sessions of that person end."""
    hub, me, name = hub_of(request), caller_of(request), request.match_info["name"]
    if me.name != name and me.role != "owner":
        raise ApiError("forbidden", "your own password is all that you may change")
    wanted = await read(request, PasswordWanted)
    check_password(wanted.password)
    if not hub.people.has_user(name):
        raise _nobody(name)
    async with request.app[_PASSWORDS]:
        if me.by == "session":  # somebody may sit at an open page
            current = "" if wanted.current is UNSET else wanted.current
            hub.owner.check_tries(caller(request), here=is_loopback(request))
            right = await asyncio.to_thread(hub.people.verify, Credentials(me.name, current))
            hub.owner.count_try(caller(request), right=right)
        kept = await asyncio.to_thread(hashed, wanted.password)
    if not hub.people.set_password(name, kept):
        raise _nobody(name)
    return web.Response(status=204)


async def get_tokens(request: web.Request) -> web.Response:
    """`GET /tokens`: which apps are let in."""
    return answer({"tokens": hub_of(request).people.tokens()})


async def post_token(request: web.Request) -> web.Response:
    """`POST /tokens`: let an app in; the answer is the only one that holds its token."""
    _check_owned(request)
    wanted = await read(request, TokenWanted)
    return answer(hub_of(request).people.add_token(wanted), 201)


async def delete_token(request: web.Request) -> web.Response:
    """`DELETE /tokens/{id}`: let an app in no more."""
    token_id = request.match_info["id"]
    if not hub_of(request).people.revoke(token_id):
        raise ApiError("not_found", f"no token has the id {token_id[:40]!r}")
    return web.Response(status=204)


def _check_owned(request: web.Request) -> None:
    if not hub_of(request).owner.exists:
        raise ApiError("forbidden", "only an owner lets others in: become it with POST /ores/v1/owner")


def _nobody(name: str) -> ApiError:
    return ApiError("not_found", f"no user is called {name[:64]!r}")


def _session(exists: bool, known: Caller | None) -> SessionInfo:
    if known is None:
        return SessionInfo(owner_exists=exists, authenticated=False, name=None)
    return SessionInfo(owner_exists=exists, authenticated=True, name=known.name or None, role=known.role)


def _welcome(request: web.Request, token: str, status: int) -> web.Response:
    response = answer(_session(True, hub_of(request).people.by_session(token)), status)
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
