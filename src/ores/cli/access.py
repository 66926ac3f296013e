"""Who is let in: `ores token …` for apps, `ores user …` for people. Asks a running hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ores.cli.options import HUB_DATA, Data, Json, Url

if TYPE_CHECKING:
    from ores.cli.hub_api import HubApi

tokens = typer.Typer(help="Let apps and other hubs in, by a token of their own.", no_args_is_help=True)
users = typer.Typer(help="Let further people in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of no other user or app; decisions name it.")]
Role = Annotated[
    str, typer.Option(help="owner, installer (30 days at most), resident, observer, guest or utility.")
]
Days = Annotated[int | None, typer.Option(min=1, help="For so long; without it until it is taken back.")]
DAY_S = 86400


@tokens.command("add")
def add_token(
    name: Name,
    role: Role = "observer",
    days: Days = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Make a token for an app; it is shown now and never again."""
    from ores.cli import show
    from ores.model import TokenCreated

    body = {"name": name, "role": role, **_until(days)}
    made = _hub(url, data).send("POST", "/tokens", body, TokenCreated)
    if as_json:
        show.print_json(made)
        return
    out = show.console()
    out.print(f"{show.plain(name)} comes in as {made.info.role} with this token, shown this once:")
    out.print(made.token, soft_wrap=True, highlight=False)


@tokens.command("list")
def list_tokens(url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA, as_json: Json = False) -> None:
    """Show which apps are let in."""
    from ores.cli import show
    from ores.model import TokenList

    found = _hub(url, data).get("/tokens", TokenList)
    if as_json:
        show.print_json(found)
        return
    rows = [
        (each.name, each.role, each.expires or "", each.last_used or "", each.id) for each in found.tokens
    ]
    show.show_table(("app", "role", "until", "last used", "id"), rows, "No app is let in.")


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="The app's name, or the id of its token.")],
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
) -> None:
    """Let an app in no more; what it has proposed ends too."""
    from ores.link.errors import ConfigError
    from ores.model import TokenList

    hub = _hub(url, data)
    known = hub.get("/tokens", TokenList).tokens
    hit = next((each.id for each in known if name in {each.name, each.id}), None)
    if hit is None:
        allowed = ", ".join(each.name for each in known) or "none: no app is let in"
        raise ConfigError("NAME", found=name, allowed=allowed)
    hub.send("DELETE", f"/tokens/{hit}", None, type(None))


@users.command("add")
def add_user(
    name: Name,
    role: Role = "resident",
    days: Days = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Let somebody in; asks for their first password, or reads it as a line of standard input."""
    from ores.cli import show
    from ores.model import UserInfo

    body = {"name": name, "role": role, "password": _password(), **_until(days)}
    made = _hub(url, data).send("POST", "/users", body, UserInfo)
    if as_json:
        show.print_json(made)
        return
    show.console().print(f"{show.plain(name)} may log in as {made.role}.")


@users.command("list")
def list_users(url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA, as_json: Json = False) -> None:
    """Show who may log in."""
    from ores.cli import show
    from ores.model import UserList

    found = _hub(url, data).get("/users", UserList)
    if as_json:
        show.print_json(found)
        return
    rows = [(each.name, each.role, each.expires or "") for each in found.users]
    show.show_table(("name", "role", "until"), rows, "Nobody may log in: the hub has no owner yet.")


@users.command("remove")
def remove_user(name: Name, url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA) -> None:
    """Let somebody in no more; what they have proposed ends too."""
    _hub(url, data).send("DELETE", f"/users/{_quoted(name)}", None, type(None))


@users.command("password")
def set_password(name: Name, url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA) -> None:
    """Replace a password, also a forgotten one, on the hub's own machine; sessions of that person end."""
    body = {"password": _password()}
    _hub(url, data).send("PUT", f"/users/{_quoted(name)}/password", body, type(None))


def _hub(url: str, data: Path | None) -> HubApi:
    from ores.cli.hub_api import HubApi

    return HubApi(url, data)


def _until(days: int | None) -> dict[str, int]:
    return {} if days is None else {"expires_in_s": days * DAY_S}


def _password() -> str:
    import sys

    if not sys.stdin.isatty():  # for scripts; on a command line everybody on the machine could read it
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
