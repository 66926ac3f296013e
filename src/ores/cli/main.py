"""`ores`: the command. Each sub-command imports what it needs only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ores.link.errors import ConfigError, OresError, Unavailable

app = typer.Typer(
    name="ores",
    help="Open Renewable Energy Systems: run a hub, a simulated home, or one module.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Url = Annotated[str, typer.Option(help="Where the hub listens.", envvar="ORES_URL")]
Data = Annotated[Path | None, typer.Option(help="The hub's data directory, when it is on this machine.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
HUB_DATA = Path.home() / ".ores" / "hub"


@app.command()
def status(url: Url = "http://127.0.0.1:8080", data: Data = HUB_DATA, as_json: Json = False) -> None:
    """Show the house now: flows, modules, what each is doing and why."""
    from ores.cli import commands

    commands.status(url, data, as_json=as_json)


@app.command()
def why(
    module: Annotated[str | None, typer.Argument(help="A module's name or id, or MODULE/ELEMENT.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many decisions.")] = 20,
    as_json: Json = False,
) -> None:
    """Say why things are as they are: the newest decisions with their reasons."""
    from ores.cli import commands

    commands.why(url, data, module, limit, as_json=as_json)


@app.command()
def pair(
    code: Annotated[str, typer.Argument(help="The code on the module's label.")],
    module_id: Annotated[str | None, typer.Option("--id", help="A module that was found.")] = None,
    address: Annotated[str | None, typer.Option(help="Or where it listens, HOST:PORT.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Join a module to the hub."""
    from ores.cli import commands

    commands.pair(url, data, code, module_id, address, as_json=as_json)


@app.command()
def prefer(
    changes: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE …; NAME= removes it.")] = None,
    url: Url = "http://127.0.0.1:8080",
    data: Data = HUB_DATA,
    as_json: Json = False,
) -> None:
    """Show the owner's preferences, or change them: `ores prefer ev_mode=surplus export_max_w=0`."""
    from ores.cli import commands

    commands.prefer(url, data, changes or [], as_json=as_json)


def main() -> None:
    """Run the command; an error is one sentence on standard error and an exit code, never a traceback."""
    try:
        app()
    except ConfigError as error:
        _fail(str(error), 2)
    except Unavailable as error:
        _fail(str(error), 3)
    except OresError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("stopped", 130)


def _fail(text: str, code: int) -> None:
    print(f"ores: {text}", file=sys.stderr)
    sys.exit(code)
