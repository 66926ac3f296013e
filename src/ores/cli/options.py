"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str, typer.Option(help="Where the hub listens.", envvar="ORES_URL")]
Data = Annotated[Path | None, typer.Option(help="The hub's data directory, when it is on this machine.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for programs.")]
HUB_DATA = Path.home() / ".ores" / "hub"
