"""Hubs that let in whom they should not, or for too long."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from ores.conformance.broken.hubs.mutants.doors import route
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import owner, passwords, people
from ores.hub.api import access, guard, handlers
from ores.hub.api import stream as streams
from ores.hub.api.wire import answer, hub_of
from ores.hub.callers import OWN_USER
from ores.hub.people import People
from ores.hub.proposals import Proposals
from ores.link.errors import Forbidden, OresError


def _shows_anything(request: web.Request) -> bool:
    """Whether it comes with a session or a token, right or wrong."""
    return "Authorization" in request.headers or guard.COOKIE in request.cookies


@broken_hub("hub-login-required", also=("hub-token-as-header",))
def lets_its_own_machine_in(tools: Tools) -> None:
    """Whoever is on the machine, and shows nothing at all, may read."""
    right = guard.Guard.identify

    def trusting(self: guard.Guard, request: web.Request) -> Any:
        if request.method == "GET" and guard.is_loopback(request) and not _shows_anything(request):
            return OWN_USER
        return right(self, request)

    tools.attribute(guard.Guard, "identify", trusting)


@broken_hub("hub-roles")
def lets_displays_unpair(tools: Tools) -> None:
    """Whoever sees a module may remove it."""
    may = {**access.MAY, ("DELETE", "/modules/{id}"): access.READ}
    tools.attribute(access, "MAY", may)


@broken_hub("hub-roles", variant="guest")
def shows_guests_the_past(tools: Tools) -> None:
    """Who may look may look back."""
    tools.attribute(access, "MAY", {**access.MAY, ("GET", "/history/series"): access.NOW})


@broken_hub("hub-utility-sees-its-own")
def shows_the_utility_everything(tools: Tools) -> None:
    """One list for all."""

    async def everything(request: web.Request) -> web.Response:
        hub = hub_of(request)
        now_s = hub.clock.now()
        held = [handlers._held(held, now_s) for held in hub.proposals.held()]  # noqa: SLF001
        return answer({"proposals": held})

    route(tools, "GET", "/proposals", everything)


@broken_hub("hub-short-password")
def takes_short_passwords(tools: Tools) -> None:
    """Four digits are a password, too."""
    tools.attribute(passwords, "PASSWORD_MIN", 4)


@broken_hub("hub-unknown-name")
def says_who_lives_here(tools: Tools) -> None:
    """It helps whoever has forgotten the name."""
    right = People.verify

    def helpful(self: People, tried: Any) -> bool:
        if not self.has_user(tried.name):
            raise Forbidden("nobody is called so here", code="forbidden")
        return right(self, tried)

    tools.attribute(People, "verify", helpful)


@broken_hub("hub-session-cookie")
def leaves_the_cookie_to_scripts(tools: Tools) -> None:
    """The page wants to read it."""
    right = web.Response.set_cookie

    def open_to_scripts(self: web.Response, name: str, value: str, **how: Any) -> None:
        right(self, name, value, **{**how, "httponly": False})

    tools.attribute(web.Response, "set_cookie", open_to_scripts)


@broken_hub("hub-session-ends")
def keeps_sessions_over_a_new_password(tools: Tools) -> None:
    """Only new log-ins need the new password."""
    tools.attribute(owner.Owner, "end_sessions", lambda *_: None)


@broken_hub("hub-session-ends", variant="logout", also=("hub-stream-ends-with-session",))
def forgets_to_log_out(tools: Tools) -> None:
    """The cookie is deleted in the browser, which is enough."""
    tools.attribute(owner.Owner, "log_out", lambda *_: None)


@broken_hub("hub-token-shown-once")
def shows_tokens_in_the_list(tools: Tools) -> None:
    """For who has lost the note."""
    right_add, right_list = People.add_token, People.tokens
    known: dict[str, str] = {}

    def add(self: People, wanted: Any) -> Any:
        made = right_add(self, wanted)
        known[made.info.id] = made.token
        return made

    def shown(self: People) -> Any:
        return [
            {**msgspec.to_builtins(info), "x-ores.energy": {"token": known.get(info.id, "")}}
            for info in right_list(self)
        ]

    tools.attribute(People, "add_token", add)
    tools.attribute(People, "tokens", shown)


@broken_hub("hub-token-as-header")
def takes_tokens_from_cookies(tools: Tools) -> None:
    """A cookie is a header, too."""
    right = guard.Guard.identify

    def handy(self: guard.Guard, request: web.Request) -> Any:
        return right(self, request) or self._people.by_token(request.cookies.get(guard.COOKIE, ""))

    tools.attribute(guard.Guard, "identify", handy)


@broken_hub("hub-access-expires")
def forgets_when_access_ends(tools: Tools) -> None:
    """The date is for the list."""
    tools.attribute(People, "_is_over", lambda *_: False)


@broken_hub("hub-installer-for-a-while")
def lets_installers_stay(tools: Tools) -> None:
    """The installer is a friend."""
    tools.attribute(people, "INSTALLER_MAX_S", 400 * 86400)


@broken_hub("hub-removal-at-once")
def keeps_proposals_of_the_removed(tools: Tools) -> None:
    """What was proposed was proposed."""
    tools.attribute(Proposals, "remove_source", lambda *_: None)


@broken_hub("hub-stream-ends-with-session", also=("hub-removal-at-once",))
def asks_only_at_the_door(tools: Tools) -> None:
    """Who was let in stays in."""

    async def blind(_request: web.Request, socket: web.WebSocketResponse, page: Any) -> None:
        while (message := await page.next()) is not None:
            await socket.send_str(message.decode())

    tools.attribute(streams, "_send", blind)


@broken_hub("hub-name-taken")
def has_two_of_one_name(tools: Tools) -> None:
    """Tokens have ids."""
    right = People._check  # noqa: SLF001 - the mutation's place

    def lenient(self: People, name: str, role: Any, expires_in_s: Any) -> Any:
        try:
            return right(self, name, role, expires_in_s)
        except Forbidden as error:
            if error.code != "name_taken" or all(name != row.name for row in self._tokens.values()):
                raise
            return None

    tools.attribute(People, "_check", lenient)


@broken_hub("hub-token-makes-no-token")
def lets_apps_let_in_others(tools: Tools) -> None:
    """A token of the owner's role is the owner."""
    tools.attribute(access, "_NOT_FOR_APPS", ("/nothing",))


@broken_hub("hub-first-owner-stays")
def can_lose_its_owner(tools: Tools) -> None:
    """Any owner may remove any owner."""
    right = People.remove_user

    def anybody(self: People, name: str) -> bool:
        try:
            return right(self, name)
        except OresError:
            return True

    tools.attribute(People, "remove_user", anybody)


@broken_hub("hub-one-utility")
def has_utilities(tools: Tools) -> None:
    """The more the merrier."""
    right = People._check  # noqa: SLF001

    def blind(self: People, name: str, role: Any, expires_in_s: Any) -> Any:
        try:
            return right(self, name, role, expires_in_s)
        except Forbidden as error:
            if error.code != "utility_exists":
                raise
            return None

    tools.attribute(People, "_check", blind)
