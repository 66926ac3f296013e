"""Who may come in, and what each may do (sections 6.2 and 6.3)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any, Final

from ores.conformance.check import Section, Unreachable, need, short
from ores.conformance.hubs.app import App
from ores.conformance.hubs.bench import HubBench, cookie_of
from ores.conformance.hubs.checks.doors import need_no_owner, owned
from ores.conformance.hubs.parts import Json
from ores.conformance.wire.caller import Answer

ROLES: Final = ("owner", "installer", "resident", "observer", "guest", "utility")
DAY_S: Final = 86_400
LENT_S: Final = 4
TOKEN_MIN: Final = 22
"""128 random bits in base64."""
POLICY_VIOLATION: Final = 1008


async def begin(bench: HubBench) -> None:
    """There is an owner; what takes its time begins."""
    await owned(bench)
    if bench.password:
        bench.early(lent)


section: Section[HubBench] = Section(
    "people", "Lets people and apps into the hub, and out again.", begin=begin
)
later: Section[HubBench] = Section("lent", "Looks whether what was lent is given back.", begin=begin)


@section.check("hub-login-required")
async def hub_login_required(bench: HubBench) -> None:
    """USER-001: nobody without a session or token, on its own machine neither."""
    for method, path in operations(bench):
        if path in {"/owner", "/session", "/stream"}:
            continue
        body: Json | None = {} if method in {"POST", "PUT"} else None
        found = await ask(bench.nobody, method, path, body)
        need(
            found.code == "login_required",
            f"{method} {path} without session: {found.status} {found.code}; login_required is demanded",
        )
    try:
        await bench.nobody.open_stream()
    except Unreachable:
        return
    need(False, "the stream was opened for somebody without session or token")


def operations(bench: HubBench) -> Iterator[tuple[str, str]]:
    """Method and path of every core resource, with made-up ids."""
    for method, path, _ in table(bench):
        yield method, path


def table(bench: HubBench) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Method, path and roles of every core resource."""
    for path, item in bench.standard.openapi("hub")["paths"].items():
        if "servers" in item or path == "/flexibility":
            continue
        for method in ("get", "post", "put", "delete"):
            if method in item:
                roles = tuple(item[method].get("x-roles", ROLES))
                yield method.upper(), made_up(path), roles


def made_up(path: str) -> str:
    """A path with ids that nobody has."""
    module = "a" * 26
    path = path.replace("/modules/{id}", f"/modules/{module}").replace("/notices/{id}", "/notices/1")
    path = (
        path.replace("/tokens/{id}", "/tokens/aaaaaaaa").replace("{source}", "nobody").replace("{id}", "none")
    )
    return path.replace("{name}", "nobody")


async def ask(app: App, method: str, path: str, body: Any = None) -> Answer:
    """Ask, with a body where there is one."""
    return await (app.request(method, path) if body is None else app.request(method, path, body))


async def by_role(bench: HubBench) -> dict[str, App]:
    """An app of each role."""
    month = {"expires_in_s": 20 * DAY_S}
    made = await asyncio.gather(*(bench.token(role, **month) for role in ROLES))
    return {role: app for role, (app, _) in zip(ROLES, made, strict=True)}


@section.check("hub-roles")
async def hub_roles(bench: HubBench) -> None:
    """USER-002: the table of 6.2."""
    apps = await bench.once(by_role)
    for method, path, roles in table(bench):
        if path.startswith(("/users", "/tokens", "/owner", "/session", "/stream")):
            continue
        body: Json | None = {} if method in {"POST", "PUT"} else None
        for role, app in apps.items():
            found = await ask(app, method, path, body)
            if role not in roles:
                need(
                    found.status == 403 and found.code == "forbidden",
                    f"{method} {path} as {role}: {found.status} {found.code}; 403 forbidden is demanded",
                )
            else:
                need(
                    found.code not in {"forbidden", "login_required"},
                    f"{method} {path} as {role}: {found.status} {found.code}; the table of 6.2 allows it",
                )


@section.check("hub-utility-sees-its-own")
async def hub_utility_sees_its_own(bench: HubBench) -> None:
    """USER-003: who wants to charge a car is nobody's business."""
    apps = await bench.once(by_role)
    subject = {"kind": "connection"}
    mine = {
        "id": "kit-secret",
        "subject": subject,
        "rank": "owner_wish",
        "source": bench.name,
        "wish": {"power_w": 0},
        "reason": "nobody else's business",
        "ttl_s": 30,
    }
    theirs = {**mine, "id": "kit-grid", "rank": "grid_obligation", "source": apps["utility"].name}
    theirs |= {"bounds": {"consume_max_w": 90_000}}
    del theirs["wish"]
    await bench.propose(mine)
    await bench.propose(theirs, by=apps["utility"])
    shown = (await apps["utility"].get("/proposals"))["proposals"]
    await bench.withdraw(mine)
    await bench.withdraw(theirs, by=apps["utility"])
    need(
        [one["id"] for one in shown] == ["kit-grid"],
        f"a utility was shown {short([one['id'] for one in shown])}; its own proposal alone is allowed",
    )


@section.check("hub-short-password")
async def hub_short_password(bench: HubBench) -> None:
    """USER-005: ten characters at least."""
    need_person(bench)
    name = f"Short {secrets.token_hex(3)}"
    found = await bench.owner.request(
        "POST", "/users", {"name": name, "password": "123456789", "role": "resident"}
    )
    need(
        found.code == "invalid_message",
        f"a password of 9 characters: {found.status} {found.code}; invalid_message is demanded",
    )
    person = await bench.user("resident")
    found = await person.request("PUT", f"/users/{quoted(person.name)}/password", {"password": "123456789"})
    need(
        found.code == "invalid_message",
        f"a new password of 9 characters was answered with {found.status} {found.code}; "
        "invalid_message is demanded",
    )


def need_person(bench: HubBench) -> None:
    """The kit has a session, and not a token only.

    Raises:
        Failed: It has none.
    """
    need_no_owner(bench)


def quoted(name: str) -> str:
    """A name within a path."""
    return name.replace(" ", "%20")


@section.check("hub-unknown-name")
async def hub_unknown_name(bench: HubBench) -> None:
    """USER-007: who lives here is not found out by trying."""
    need_person(bench)
    person = await bench.user("resident")
    wrong = {"password": "certainly not this one"}
    known = await bench.nobody.request("POST", "/session", {"name": person.name, **wrong})
    unknown = await bench.nobody.request("POST", "/session", {"name": "Nobody At All", **wrong})
    await bench.log_in(bench.name, bench.password)  # a right password begins the count anew
    need(
        (known.status, known.raw) == (unknown.status, unknown.raw),
        f"a wrong password gave {known.status} {short(known.raw)}, an unknown name {unknown.status} "
        f"{short(unknown.raw)}; one answer is demanded",
    )


@section.check("hub-session-cookie")
async def hub_session_cookie(bench: HubBench) -> None:
    """USER-010: out of reach of scripts and foreign pages, and not to be guessed."""
    need_person(bench)
    body = {"name": bench.name, "password": bench.password}
    answers = [await bench.nobody.request("POST", "/session", body) for _ in range(2)]
    values = {cookie_of(answer) for answer in answers}
    need(len(values) == 2, "two sessions have the same cookie")
    for value in values:
        need(
            len(value) >= TOKEN_MIN,
            f"the cookie has {len(value)} characters; 128 random bits need {TOKEN_MIN} at least",
        )
    text = answers[0].headers["set-cookie"]
    words = {word.strip().lower() for word in text.split(";")[1:]}
    need("httponly" in words, f"Set-Cookie: found {sorted(words)}; HttpOnly is demanded")
    need("samesite=strict" in words, f"Set-Cookie: found {sorted(words)}; SameSite=Strict is demanded")
    if bench.options.network is not None:
        outside = bench.app("over HTTPS", where=bench.options.network)
        text = (await outside.request("POST", "/session", body)).headers.get("set-cookie", "")
        need(
            "secure" in text.lower(),
            f"Set-Cookie over HTTPS: {text.partition(';')[2]}; Secure is demanded",
        )


@section.check("hub-session-ends")
async def hub_session_ends(bench: HubBench) -> None:
    """USER-011: log-out, a new password, removal."""
    need_person(bench)
    leaving, renewed, removed = [await bench.user("resident") for _ in range(3)]
    await leaving.request("DELETE", "/session")
    await bench.owner.request(
        "PUT",
        f"/users/{quoted(renewed.name)}/password",
        {"password": secrets.token_hex(8), "current": bench.password},
    )
    gone = await bench.owner.request("DELETE", f"/users/{quoted(removed.name)}")
    need(gone.status == 204, f"DELETE /users/{{name}}: {gone.status} {gone.code}; 204 is demanded")
    for who, why in (
        (leaving, "DELETE /session"),
        (renewed, "a new password"),
        (removed, "the removal of its user"),
    ):
        found = await who.request("GET", "/live")
        need(
            found.code == "login_required",
            f"a session went on after {why}: GET /live {found.status} {found.code}; it had to end",
        )


@section.check("hub-token-shown-once")
async def hub_token_shown_once(bench: HubBench) -> None:
    """USER-012: in the answer that creates it, and nowhere else."""
    need_person(bench)
    apps = await bench.once(by_role)
    for app in apps.values():
        need(
            len(app.token) >= TOKEN_MIN, f"a token has {len(app.token)} characters; 128 bits need {TOKEN_MIN}"
        )
    for path in ("/tokens", "/users", "/status"):
        found = await bench.owner.request("GET", path)
        for app in apps.values():
            need(app.token.encode() not in found.raw, f"GET {path} shows the token of {app.name} once more")


@section.check("hub-token-as-header")
async def hub_token_as_header(bench: HubBench) -> None:
    """USER-013: `Authorization: Bearer` alone; addresses end up in logs."""
    app = (await bench.once(by_role))["observer"]
    found = await app.request("GET", "/live")
    need(found.status == 200, f"GET /live with a token as Bearer: {found.status} {found.code}")
    for path, headers in (
        (f"/live?token={app.token}", {}),
        (f"/live?access_token={app.token}", {}),
        ("/live", {"Cookie": f"ores_session={app.token}"}),
        ("/live", {"X-Token": app.token}),
    ):
        found = await bench.nobody.request("GET", path, headers=headers)
        place = "a header or cookie" if headers else path.partition("?")[2].partition("=")[0]
        need(
            found.status >= 400, f"a token given in {place} was taken; Authorization: Bearer alone is allowed"
        )


async def lent(bench: HubBench) -> None:
    """An app and a person are let in for a few seconds, and ask once more after these."""
    need_person(bench)
    app, info = await bench.token("observer", expires_in_s=LENT_S)
    person = await bench.user("observer", expires_in_s=LENT_S)
    began_s = bench.elapsed_s
    need("expires" in info, f"the answer to POST /tokens with expires_in_s has no `expires`: {short(info)}")
    early = [(await who.request("GET", "/live")).status for who in (app, person)]
    if bench.elapsed_s - began_s < LENT_S / 2:
        need(early == [200, 200], f"GET /live before `expires` was answered with {early}; 200 is demanded")
    await bench.pause(max(0.0, began_s + LENT_S + 0.5 - bench.elapsed_s))
    for who in (app, person):
        found = await who.request("GET", "/live")
        need(
            found.code == "login_required",
            f"GET /live {LENT_S} s after it was let in for so long: {found.status} {found.code}; "
            "login_required is demanded",
        )


@section.check("hub-installer-for-a-while")
async def hub_installer_for_a_while(bench: HubBench) -> None:
    """USER-015: 30 days at most."""
    need_person(bench)
    for kind in ("users", "tokens"):
        for until in ({}, {"expires_in_s": 31 * DAY_S}):
            body = {"name": f"Fitter {secrets.token_hex(3)}", "role": "installer", **until}
            body |= {"password": secrets.token_hex(8)} if kind == "users" else {}
            found = await bench.owner.request("POST", f"/{kind}", body)
            need(
                found.code == "invalid_message",
                f"POST /{kind} for an installer with {until or 'no end'}: {found.status} {found.code}; "
                "invalid_message is demanded",
            )


@section.check("hub-removal-at-once")
async def hub_removal_at_once(bench: HubBench) -> None:
    """USER-016: sessions, streams, proposals."""
    need_person(bench)
    app, info = await bench.token("resident")
    stream = await app.open_stream()
    mine = {
        "id": "kit-leaves",
        "subject": {"kind": "connection"},
        "rank": "owner_wish",
        "source": app.name,
        "wish": {"power_w": 0},
        "reason": "of somebody who leaves",
        "ttl_s": 12,
    }
    await bench.propose(mine, by=app)
    gone = await bench.owner.request("DELETE", f"/tokens/{info['id']}")
    need(gone.status == 204, f"DELETE /tokens/{{id}}: {gone.status} {gone.code}; 204 is demanded")
    need(await stream.ended(5.0), "the stream of a removed token was open 5 s after the removal")
    left = (await bench.owner.get("/proposals"))["proposals"]
    await bench.withdraw(mine)
    need(
        not any(one["source"] == app.name for one in left),
        "a proposal of a removed token is still in force",
    )
    found = await app.request("GET", "/live")
    need(found.code == "login_required", f"GET /live with a removed token: {found.status} {found.code}")


@section.check("hub-stream-ends-with-session")
async def hub_stream_ends_with_session(bench: HubBench) -> None:
    """LIVE-008: with status 1008."""
    need_person(bench)
    person = await bench.log_in(bench.name, bench.password)
    stream = await person.open_stream()
    await person.request("DELETE", "/session")
    need(await stream.ended(5.0), "the stream was open 5 s after the end of the session that opened it")
    need(
        stream.close_code == POLICY_VIOLATION,
        f"the stream ended with status {stream.close_code}; {POLICY_VIOLATION} is demanded",
    )


@section.check("hub-name-taken")
async def hub_name_taken(bench: HubBench) -> None:
    """USER-017: two of one name cannot be told apart."""
    need_person(bench)
    app = (await bench.once(by_role))["guest"]
    for path, body in (
        ("/tokens", {"name": app.name, "role": "guest"}),
        ("/tokens", {"name": bench.name, "role": "guest"}),
        ("/users", {"name": app.name, "role": "guest", "password": secrets.token_hex(8)}),
        ("/users", {"name": bench.name, "role": "guest", "password": secrets.token_hex(8)}),
    ):
        found = await bench.owner.request("POST", path, body)
        need(
            found.code == "name_taken",
            f"POST {path} with a name that somebody has: {found.status} {found.code}; name_taken is demanded",
        )


@section.check("hub-token-makes-no-token")
async def hub_token_makes_no_token(bench: HubBench) -> None:
    """USER-018: an app that is taken over lets nobody in."""
    app = (await bench.once(by_role))["owner"]
    for method, path, body in (
        ("GET", "/users", None),
        ("GET", "/tokens", None),
        ("POST", "/tokens", {"name": f"Sly {secrets.token_hex(3)}", "role": "guest"}),
    ):
        found = await ask(app, method, path, body)
        need(
            found.status == 403,
            f"{method} {path} with a token of the role owner: {found.status} {found.code}; 403 is demanded",
        )


@section.check("hub-first-owner-stays")
async def hub_first_owner_stays(bench: HubBench) -> None:
    """USER-019: a house has an owner."""
    need_person(bench)
    other = await bench.user("owner")
    found = await other.request("DELETE", f"/users/{quoted(bench.name)}")
    await bench.owner.request("DELETE", f"/users/{quoted(other.name)}")
    need(
        found.code == "owner_stays",
        f"removal of the first owner: {found.status} {found.code}; owner_stays is demanded",
    )


@section.check("hub-one-utility")
async def hub_one_utility(bench: HubBench) -> None:
    """USER-020: one wire, one agreement."""
    need_person(bench)
    await bench.once(by_role)
    for path, more in (("/tokens", {}), ("/users", {"password": secrets.token_hex(8)})):
        body: Json = {"name": f"Grid {secrets.token_hex(3)}", "role": "utility", **more}
        found = await bench.owner.request("POST", path, body)
        need(
            found.code == "utility_exists",
            f"a second utility by POST {path}: {found.status} {found.code}; utility_exists is demanded",
        )


@later.check("hub-access-expires", timed=True)
async def hub_access_expires(bench: HubBench) -> None:
    """USER-014: what was lent for a while is given back."""
    await bench.once(lent)
