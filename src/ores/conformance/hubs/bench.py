"""A hub on the bench: the people who ask it, the modules it drives, and what is put back at the end."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ores.conformance.check import Failed, Unreachable, fail, need, short
from ores.conformance.hubs.app import COOKIE, App
from ores.conformance.hubs.parts import House, Json, Part
from ores.conformance.hubs.player import Player
from ores.conformance.once import Once
from ores.conformance.standard import Standard
from ores.conformance.transcript import Transcript
from ores.conformance.verdict import Result
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.stream import Stream
from ores.conformance.wire.target import Target

OUTCOME = TypeVar("OUTCOME")
RESTART_S: Final = 60.0
PATIENCE_S: Final = 15.0
FAR: Final = "192.0.2.1"
"""An address nobody has (RFC 5737): asking the way there tells by which address this machine goes out."""


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What the person gives.

    Attributes:
        token: Of the role owner; empty where the hub has no owner yet.
        network: Where the hub listens beyond its own machine; None where `address` is that already.
        restart_command: A shell command that switches the hub off and on.
        may_ask: Somebody sits at the terminal and can be asked to do it by hand.
    """

    token: str = ""
    network: Target | None = None
    restart_command: str | None = None
    may_ask: bool = False


@dataclass
class HubBench:
    """Everything a check of a hub needs.

    Attributes:
        standard: What is demanded.
        where: The hub.
        options: What the person gives.
        say: Tells the person what happens.
        ask: Asks the person to do something, and waits until it is done.
        owner: Who may do everything; without a session or token until there is an owner.
        nobody: Who has neither session nor token.
        house: What the played modules hang on.
        players: The played modules by name.
        all_players: The same, with those that are gone.
        password: Of the owner that the kit has made; empty where there was one.
        hopeless: Why nothing more can be judged; empty while it can.
        verdicts: Of the checks so far.
    """

    standard: Standard
    target: Target
    options: HubOptions
    say: Callable[[str], None]
    ask: Callable[[str], Awaitable[bool]]
    transcript: Transcript = field(default_factory=Transcript)
    house: House = field(default_factory=House)
    players: dict[str, Player] = field(default_factory=dict)
    all_players: list[Player] = field(default_factory=list)
    password: str = ""
    status: Json = field(default_factory=dict)
    preferences: Json = field(default_factory=dict)
    hopeless: str = ""
    verdicts: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_s = time.monotonic()
        self.once: Once[HubBench] = Once(self)
        self._apps: list[App] = []
        self._tasks: set[asyncio.Future[Any]] = set()
        self._stream: Stream | None = None
        self.owner: App = self.app("owner", token=self.options.token)
        self.nobody: App = self.app("nobody")
        self.name = f"Kit {secrets.token_hex(3)}"
        self.hub_host = _way_out(self.target.host)

    # Time and parties

    @property
    def elapsed_s(self) -> float:
        """Seconds since the judgement began, by the kit's own clock."""
        return time.monotonic() - self._began_s

    async def pause(self, length_s: float) -> None:
        """Let time go by."""
        await asyncio.sleep(length_s)

    async def alive(self) -> bool:
        """Whether the hub answers anything at all; one that starts anew is given `PATIENCE_S` to be back."""
        deadline_s = self.elapsed_s + PATIENCE_S
        while self.elapsed_s < deadline_s:
            try:
                async with asyncio.timeout(5.0):
                    await self.nobody.request("GET", "/session", quiet=True)
            except (Failed, TimeoutError):
                await asyncio.sleep(0.5)
            else:
                return True
        return False

    async def until(
        self, true: Callable[[], OUTCOME], timeout_s: float, message: str, *, every_s: float = 0.05
    ) -> OUTCOME:
        """Wait until something is so, and give what it gave.

        Raises:
            Failed: It was not so in time; `message` says what is demanded.
        """
        deadline_s = self.elapsed_s + timeout_s
        while not (found := true()):
            need(self.elapsed_s < deadline_s, message)
            await asyncio.sleep(every_s)
        return found

    async def asked_until(
        self,
        path: str,
        wanted: Callable[[Any], OUTCOME],
        timeout_s: float,
        message: str,
        *,
        every_s: float = 0.2,
    ) -> OUTCOME:
        """Ask the owner's way until what comes is wanted; gives what `wanted` gave.

        Raises:
            Failed: It never was in time; the last answer is in the message.
        """
        deadline_s = self.elapsed_s + timeout_s
        while True:
            held = await self.owner.get(path, quiet=True)
            if found := wanted(held):
                return found
            need(self.elapsed_s < deadline_s, f"{message}; GET {path} gave {short(held)}")
            await asyncio.sleep(every_s)

    def app(
        self, name: str, *, token: str = "", cookie: str = "", where: Target | None = None, source: str = ""
    ) -> App:
        """A caller; it is closed with the bench."""
        made = App(
            name,
            where or self.target,
            self.transcript,
            lambda: self.elapsed_s,
            token=token,
            cookie=cookie,
            source=source,
        )
        self._apps.append(made)
        return made

    def early(self, *scenarios: Callable[[HubBench], Awaitable[Any]]) -> None:
        """Begin scenarios that take their time now, beside all others."""
        for scenario in scenarios:
            task = asyncio.ensure_future(self.once(scenario))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tasks.add(task)

    async def settled(self) -> None:
        """Wait until all that was begun early is over: what comes now would disturb it."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # People

    async def log_in(self, name: str, password: str, *, where: Target | None = None) -> App:
        """A person with a session of their own.

        Raises:
            Failed: They are not let in.
        """
        made = self.app(name, where=where)
        answer = await made.request("POST", "/session", {"name": name, "password": password})
        need(answer.status == 200, f"POST /session with the right password: {answer.status} {answer.code}")
        made.cookie = cookie_of(answer)
        return made

    async def user(self, role: str, **other: Any) -> App:
        """Let somebody in and log them in.

        Raises:
            Failed: The hub does not.
        """
        name, password = f"{role.title()} {secrets.token_hex(3)}", secrets.token_hex(8)
        body = {"name": name, "password": password, "role": role, **other}
        answer = await self.owner.request("POST", "/users", body)
        need(answer.status == 201, f"POST /users for the role {role}: {answer.status} {answer.code}")
        return await self.log_in(name, password)

    async def token(self, role: str, **other: Any) -> tuple[App, Json]:
        """An app with a token of a role, and what the hub says of it.

        Raises:
            Failed: The hub makes none.
        """
        name = f"{role} app {secrets.token_hex(3)}"
        answer = await self.owner.request("POST", "/tokens", {"name": name, "role": role, **other})
        need(answer.status == 201, f"POST /tokens for the role {role}: {answer.status} {answer.code}")
        return self.app(name, token=answer.json["token"]), answer.json["info"]

    # Modules

    async def player(
        self, name: str, *parts: Part, paired: bool = True, reached_by: str = "", **how: Any
    ) -> Player:
        """A played module, which hangs on the house; paired unless it is said otherwise.

        Args:
            name: Of the module.
            parts: Its elements.
            paired: The hub is to pair with it.
            reached_by: The address on which it listens; without one, that by which the hub is reached.
            how: What else is special about it.

        Raises:
            Failed: The hub does not pair with it.
        """
        made = Player(name, list(parts), self.house, self.transcript, lambda: self.elapsed_s, **how)
        return await self.bring(made, paired=paired, reached_by=reached_by)

    async def bring(self, player: Player, *, paired: bool = True, reached_by: str = "") -> Player:
        """Start a played module that is made already, and hang it on the house.

        Raises:
            Failed: The hub does not pair with it.
        """
        self.players[player.name] = player
        self.all_players.append(player)
        self.house.parts.extend(player.parts.values())
        await player.start(reached_by or self.hub_host)
        if paired:
            await self.pair(player)
        return player

    async def pair(self, player: Player, *, control: bool = True) -> Json:
        """Let the hub pair with a played module; `control` also allows it to command.

        Raises:
            Failed: It does not.
        """
        answer = await self.owner.request(
            "POST", "/modules", {"code": player.code, "address": player.address}, timeout_s=30.0
        )
        need(
            answer.status == 201,
            f"POST /modules with the code and address of a module was answered with {answer.status} "
            f"{answer.code} {short(answer.raw)}; 201 is demanded",
        )
        info: Json = answer.json
        if control and info.get("watch_only"):
            await self.watch(player, watch_only=False)
        return info

    async def watch(self, player: Player, *, watch_only: bool) -> None:
        """Set watch mode.

        Raises:
            Failed: Refused.
        """
        answer = await self.owner.request("PUT", f"/modules/{player.id}/watch", {"watch_only": watch_only})
        need(
            answer.status == 200,
            f"PUT /modules/{{id}}/watch with watch_only {watch_only}: {answer.status} {answer.code}",
        )

    async def gone(self, player: Player) -> bool:
        """Whether the hub lists a module as paired no more."""
        listed = (await self.owner.get("/modules"))["modules"]
        return not any(one["id"] == player.id and one["paired"] for one in listed)

    async def online(self, *players: Player, timeout_s: float = 10.0) -> None:
        """Wait until the hub has heard these modules.

        Raises:
            Failed: It does not show them as online in time.
        """
        await self.asked_until(
            "/live",
            lambda live: all(
                live["modules"].get(player.id, {}).get("status") == "online" for player in players
            ),
            timeout_s,
            f"{' and '.join(player.name for player in players)} reported, and the hub did not show "
            f"status online within {timeout_s:g} s",
        )

    async def remove(self, player: Player) -> Json:
        """Let the hub forget a module, and take it out of the house.

        Raises:
            Failed: It does not.
        """
        answer = await self.owner.request("DELETE", f"/modules/{player.id}", timeout_s=20.0)
        need(answer.status == 200, f"DELETE /modules/{{id}}: {answer.status} {answer.code}")
        await self.drop(player)
        found: Json = answer.json
        return found

    async def drop(self, player: Player) -> None:
        """Take a played module out of the house."""
        self.players = {name: one for name, one in self.players.items() if one is not player}
        gone = list(player.parts.values())
        self.house.parts = [part for part in self.house.parts if not any(part is one for one in gone)]
        await player.close()

    # What the owner wants

    async def prefer(self, **changes: Any) -> Json:
        """Change preferences; None takes one away.

        Raises:
            Failed: The hub refuses them.
        """
        wanted = {"self_consumption": False, "ev_mode": "off", "reserve_pct": 0, **changes}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        answer = await self.owner.request("PUT", "/preferences", wanted)
        need(
            answer.status == 200,
            f"PUT /preferences with {short(wanted)} was answered with {answer.status} {answer.code}",
        )
        found: Json = answer.json
        return found

    def proposal(self, player: Player, element: str, **other: Any) -> Json:
        """A wish about an element, as the owner has it; `other` overrides fields."""
        return {
            "id": f"kit-{element}",
            "subject": {"kind": "element", "module": player.id, "element": element},
            "rank": "owner_wish",
            "source": self.name,
            "reason": "the conformance kit looks at what the hub does",
            "ttl_s": 60,
            **other,
        }

    async def propose(self, proposal: Mapping[str, Any], *, by: App | None = None) -> Json:
        """Propose, and have it accepted.

        Raises:
            Failed: Refused.
        """
        answer = await (by or self.owner).request("POST", "/proposals", dict(proposal))
        need(
            answer.status == 201,
            f"POST /proposals: {answer.status} {answer.code} {short(answer.raw)}; 201 is demanded",
        )
        found: Json = answer.json
        return found

    async def withdraw(self, proposal: Mapping[str, Any], *, by: App | None = None) -> Answer:
        """Take a proposal back."""
        source, name = str(proposal["source"]).replace(" ", "%20"), proposal["id"]
        return await (by or self.owner).request("DELETE", f"/proposals/{source}/{name}")

    async def stream(self) -> Stream:
        """The owner's stream, opened where it is not."""
        if self._stream is None or self._stream.closed:
            self._stream = await self.owner.open_stream()
        return self._stream

    # Restart and end

    async def restart(self) -> None:
        """Switch the hub off and on.

        Raises:
            Failed: Nobody can, or it is not back within `RESTART_S`.
        """
        before = await self.owner.get("/status", quiet=True)
        command = self.options.restart_command
        for app in self._apps:
            await app.close()
        if command is not None:
            process = await asyncio.create_subprocess_shell(command)
            need(await process.wait() == 0, f"the restart command ended with status {process.returncode}")
        elif not await self.ask("Switch the hub off and on again."):
            fail("nobody could restart the hub: give --restart COMMAND, or run the kit where it can ask you")
        deadline_s = self.elapsed_s + RESTART_S
        while self.elapsed_s < deadline_s:
            try:
                now = await self.owner.get("/status", quiet=True)
            except Unreachable:
                await asyncio.sleep(0.1)
                continue
            except Failed:
                await self._in_again()
                continue
            if now["cycles"] < before["cycles"] or now.get("epoch") != before.get("epoch"):
                return
            await asyncio.sleep(0.1)
        fail(f"the hub was not back {RESTART_S:g} s after it was restarted")

    async def _in_again(self) -> None:
        """A hub may forget sessions over a restart.

        Raises:
            Failed: The owner is not let in again.
        """
        need(self.password, "the token of the owner is not taken after a restart of the hub")
        app = await self.log_in(self.name, self.password)
        self.owner.cookie = app.cookie

    async def close(self) -> None:
        """Remove what the kit has brought, and end all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, self.once.stop(), return_exceptions=True)
        for player in tuple(self.players.values()):
            try:
                async with asyncio.timeout(10.0):
                    await self.owner.request("DELETE", f"/modules/{player.id}")
            except (Failed, TimeoutError):
                continue
            finally:
                await player.close()
        if self.preferences:
            try:
                await self.owner.request("PUT", "/preferences", self.preferences)
            except Failed:
                self.say("The preferences that were there before could not be put back.")
        for app in self._apps:
            await app.close()


def cookie_of(answer: Answer) -> str:
    """The session that an answer sets.

    Raises:
        Failed: It sets none.
    """
    text = answer.headers.get("set-cookie", "")
    name, _, rest = text.partition("=")
    if name != COOKIE or not rest:
        raise Failed(f"Set-Cookie: found {text[:60]!r}; the cookie {COOKIE} is demanded")
    return rest.partition(";")[0]


def own_address() -> str:
    """The address by which this machine is reached from others; loopback where it has none."""
    return _way_out(FAR)


def _way_out(host: str) -> str:
    """The address of this machine by which it reaches a host."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return "127.0.0.1"
        found: str = probe.getsockname()[0]
        return found
