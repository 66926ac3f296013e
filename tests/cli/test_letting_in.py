"""`ores token`, `ores user` and `ores notices` against a hub that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from ores.cli.main import app
from ores.hub.config import HubConfig
from ores.hub.owner import Credentials
from ores.hub.run import RunningHub, open_hub
from ores.link.clock import Clock, run

Command = Callable[..., Awaitable[Result]]


def with_hub(tmp_path: Path, test: Callable[[RunningHub, Command], Awaitable[None]]) -> None:
    async def main(clock: Clock) -> None:
        async with open_hub(HubConfig(data=tmp_path, port=0, discover=False), clock) as running:
            await asyncio.to_thread(running.hub.owner.create, Credentials("Ada", "correct horse"))

            async def ores(*words: str, typed: str = "") -> Result:
                where = ["--url", running.url.rstrip("/"), "--data", str(tmp_path)]
                return await asyncio.to_thread(CliRunner().invoke, app, [*words, *where], typed)

            await test(running, ores)

    run(main, speed=1)


def test_an_app_is_let_in_shown_and_thrown_out(tmp_path: Path) -> None:
    async def test(running: RunningHub, ores: Command) -> None:
        made = await ores("token", "add", "Display", "--role", "guest", "--days", "7", "--json")
        secret = json.loads(made.stdout)["token"]
        assert running.hub.people.by_token(secret).role == "guest"
        listed = (await ores("token", "list")).stdout
        assert "Display" in listed
        assert secret not in listed
        refused = await ores("token", "add", "Display")
        assert "name of another" in str(refused.exception)
        assert "Display" in str((await ores("token", "revoke", "Screen")).exception)
        assert (await ores("token", "revoke", "Display")).exit_code == 0
        assert running.hub.people.by_token(secret) is None
        assert "No app" in (await ores("token", "list")).stdout

    with_hub(tmp_path, test)


def test_somebody_is_let_in_forgets_the_password_and_goes(tmp_path: Path) -> None:
    async def test(running: RunningHub, ores: Command) -> None:
        people = running.hub.people
        made = await ores("user", "add", "Ben", typed="rain on the roof\n")
        assert "may log in as resident" in made.stdout
        assert await asyncio.to_thread(people.verify, Credentials("Ben", "rain on the roof"))
        assert (await ores("user", "password", "Ben", typed="snow on the roof\n")).exit_code == 0
        assert await asyncio.to_thread(people.verify, Credentials("Ben", "snow on the roof"))
        assert "Ben" in (await ores("user", "list")).stdout
        assert (await ores("user", "remove", "Ben")).exit_code == 0
        assert "Ben" not in (await ores("user", "list", "--json")).stdout

    with_hub(tmp_path, test)


def test_notices_are_shown_and_marked_as_seen(tmp_path: Path) -> None:
    async def test(running: RunningHub, ores: Command) -> None:
        assert "nothing to tell" in (await ores("notices")).stdout
        running.hub.notices.raise_("test", "something is odd")
        [notice] = running.hub.notices.active()
        assert "something is odd" in (await ores("notices")).stdout
        await ores("notices", "--seen", str(notice.id))
        assert running.hub.notices.active()[0].acknowledged
        running.hub.notices.clear("test")
        shown = json.loads((await ores("notices", "--ended", "--json")).stdout)
        assert shown["notices"][0]["ended"]

    with_hub(tmp_path, test)
