"""A module on the bench: the kit's connections to it, leases, restarts, and what is put back at the end."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ores.conformance.check import Failed, Unreachable, fail, need, not_applicable, short
from ores.conformance.once import Once
from ores.conformance.standard import Standard
from ores.conformance.transcript import Transcript
from ores.conformance.verdict import Result
from ores.conformance.wire import pairing
from ores.conformance.wire.caller import MISSING, Answer
from ores.conformance.wire.identity import Identity, fingerprint_of, new_identity
from ores.conformance.wire.peer import Peer
from ores.conformance.wire.stream import Stream
from ores.conformance.wire.target import RawConnection, Target, connect, context

RESULT_S: Final = 3.0
RESTART_S: Final = 60.0
CLOSING_S: Final = 0.05
PAGES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What the person allows.

    Attributes:
        power_max_w: No set-point of the kit goes beyond, in either direction; > 0.
        restart_command: A shell command that switches the module off and on.
        may_ask: Somebody sits at the terminal and can be asked to do it by hand.
    """

    power_max_w: float = 1000.0
    restart_command: str | None = None
    may_ask: bool = False


Element = Mapping[str, Any]


@dataclass(slots=True)
class Kept:
    """What the module held when the kit came, to be put back."""

    failsafe: Any = None
    policy: Any = None
    settings: Any = None

    @property
    def nothing(self) -> bool:
        """The kit has never been let in."""
        return self.failsafe is None and self.policy is None and self.settings is None


@dataclass
class Bench:
    """Everything a check of a module needs.

    Attributes:
        standard: What is demanded.
        target: Where the module is.
        secret: The 16 bytes of its pairing code.
        options: What the person allows.
        say: Tells the person what happens.
        ask: Asks the person to do something at the device, and waits until it is done.
        controller: The kit as the module's hub, once paired.
        stranger: The kit without a certificate.
        unknown: The kit with a certificate that the module has never seen.
        someone: A key of another hub that would like to pair.
        description: All pages as one; empty before `read_description`.
        pages: Each page as it came, with its size in bytes.
        pages_trouble: Why the pages cannot be followed to their end; empty where they can.
        fingerprint: Of the module's key, as first met.
        profile: What the person wants judged, beside the profiles that the module claims.
        verdicts: Of the checks so far.
        hopeless: Why nothing more can be judged; empty while it can.
    """

    standard: Standard
    target: Target
    secret: bytes
    options: Options
    say: Callable[[str], None]
    ask: Callable[[str], Awaitable[bool]]
    transcript: Transcript = field(default_factory=Transcript)
    description: dict[str, Any] = field(default_factory=dict)
    pages: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    pages_trouble: str = ""
    fingerprint: str = ""
    paired: bool = False
    kept: Kept = field(default_factory=Kept)
    epoch: int = 1
    seq: int = 0
    boots: list[str] = field(default_factory=list)
    profile: str | None = None
    verdicts: list[Result] = field(default_factory=list)
    hopeless: str = ""

    def __post_init__(self) -> None:
        self._began_s = time.monotonic()
        self._folder = tempfile.TemporaryDirectory(prefix="ores-conform-")
        self.once: Once[Bench] = Once(self)
        self._stream: Stream | None = None
        self._peers: list[Peer] = []
        self.identity: Identity = new_identity()
        self.controller: Peer = self.peer("controller", self.identity)
        self.stranger: Peer = self.peer("stranger")
        self.unknown: Peer = self.peer("unknown key", new_identity())
        self.someone: Identity = new_identity()

    # Time and parties

    @property
    def elapsed_s(self) -> float:
        """Seconds since the judgement began, by the kit's own clock."""
        return time.monotonic() - self._began_s

    async def pause(self, length_s: float) -> None:
        """Let time go by."""
        await asyncio.sleep(length_s)

    def peer(self, name: str, identity: Identity | None = None) -> Peer:
        """A party as which to talk; it is closed with the bench."""
        path = self.identity_file(identity) if identity else None
        made = Peer(
            name,
            self.target,
            self.transcript,
            lambda: self.elapsed_s,
            identity=identity,
            identity_file=path,
        )
        self._peers.append(made)
        return made

    def identity_file(self, identity: Identity) -> Path:
        """Key and certificate as the file that `ssl` wants."""
        path = Path(self._folder.name) / f"{identity.certificate.serial_number:x}.pem"
        return path if path.exists() else identity.write(path)

    def use(self, peer: Peer, identity: Identity) -> None:
        """Go on as another party that has paired: from now on it is the controller."""
        self.controller, self.identity, self.paired = peer, identity, True

    async def raw(self, identity: Identity | None = None, **how: Any) -> RawConnection:
        """A TLS connection by hand, as a stranger or as somebody."""
        tls = how.pop("tls", None) or (context(self.identity_file(identity)) if identity else None)
        return await connect(self.target, tls, **how)

    async def meet(self) -> None:
        """See the module's key for the first time.

        Raises:
            Unreachable: There is no TLS 1.3 server.
        """
        raw = await self.raw()
        try:
            self.fingerprint = fingerprint_of(raw.certificate)
        finally:
            await raw.close()

    # What the module is

    async def read_description(self) -> dict[str, Any]:
        """All pages, joined; also kept as `description`.

        Raises:
            Failed: A page is missing, or is none.
        """
        peer = self.controller if self.paired else self.stranger
        path: str | None = "/description"
        self.pages, self.pages_trouble, seen = [], "", set[str]()
        while path is not None:
            seen.add(path)
            answer = await peer.request("GET", path)
            need(answer.status == 200, f"GET {path} was answered with {answer.status}; 200 is demanded")
            page = answer.json
            need(isinstance(page, dict), f"GET {path} gave {short(page)}; a Description is demanded")
            self.pages.append((page, len(answer.raw)))
            path = page.get("next")
            if path in seen:
                self.pages_trouble = (
                    f"page {len(self.pages)} of the description gives {path} as the next one, again"
                )
                break
            need(len(self.pages) <= PAGES_MAX, f"the description has more than {PAGES_MAX} pages")
        joined = dict(self.pages[0][0])
        joined.pop("next", None)
        joined["elements"] = [element for page, _ in self.pages for element in page.get("elements", [])]
        self.description = joined
        return joined

    @property
    def elements(self) -> Sequence[Element]:
        """The elements of the description."""
        found: Sequence[Element] = self.description.get("elements", [])
        return found

    def having(self, *capabilities: str) -> list[Element]:
        """The elements that declare all of these."""
        return [
            element
            for element in self.elements
            if all(name in element.get("capabilities", {}) for name in capabilities)
        ]

    def some(self, *capabilities: str) -> Element:
        """The first element that declares all of these.

        Raises:
            NotApplicable: None does.
        """
        found = self.having(*capabilities)
        if not found:
            not_applicable("no element declares " + " and ".join(capabilities))
        return found[0]

    @property
    def period_s(self) -> float:
        """The declared report period."""
        return float(self.description.get("report_period_s", 1))

    # Pairing

    async def start_pairing(
        self,
        peer: Peer,
        *,
        role: str = "controller",
        identity: Identity | None = None,
        nonce: str | None = None,
    ) -> tuple[Answer, str]:
        """Send a start; returns the answer and the nonce that was sent."""
        who = identity or self.identity
        sent = nonce or pairing.new_nonce()
        message = {
            "hub_certificate": _base64(who.der),
            "hub_nonce": sent,
            "name": "ORES conformance kit",
            "role": role,
        }
        return await peer.request("POST", "/pairing/start", message), sent

    def proof(
        self, of: str, hub_nonce: str, module_nonce: str, *, role: str = "controller", **other: Any
    ) -> str:
        """A proof of this pairing; `secret` and `identity` may be others."""
        identity: Identity = other.get("identity", self.identity)
        return pairing.proof(
            other.get("secret", self.secret),
            of="module" if of == "module" else "hub",
            module_fingerprint=self.fingerprint,
            hub_fingerprint=identity.fingerprint,
            hub_nonce=hub_nonce,
            module_nonce=module_nonce,
            role=role,
        )

    async def pair(self) -> bool:
        """Become the module's controller.

        Returns:
            Whether the module's proof fitted. The kit goes on where it does not, to judge the rest: its key
            is worth nothing elsewhere, and a proof gives the code away to nobody.

        Raises:
            Failed: The module does not let the kit in; the message says why.
        """
        try:
            fits = await self._exchange_proofs()
        except Failed as error:
            if self.kept.nothing:
                self.hopeless = f"not judged, for want of a pairing: {error}"
            raise
        self.paired = True
        await self.stranger.close()
        if self.kept.nothing:
            await self._remember()
        return fits

    async def _exchange_proofs(self) -> bool:
        answer, hub_nonce = await self.start_pairing(self.stranger)
        if answer.status != 200:
            fail(f"pairing was refused with {answer.status} {answer.code}{_what_to_do(answer.code)}")
        module_nonce = pairing.hex_bytes(answer.json.get("module_nonce"), "module_nonce", 32)
        fits = answer.json.get("module_proof") == self.proof("module", hub_nonce, module_nonce)
        mine = {"hub_nonce": hub_nonce, "hub_proof": self.proof("hub", hub_nonce, module_nonce)}
        confirmed = await self.stranger.request("POST", "/pairing/confirm", mine)
        refused = f"the confirmation of pairing was refused with {confirmed.status} {confirmed.code}"
        other = "" if fits else ", and the module's own proof does not fit the code: is it another module's?"
        need(confirmed.status == 200, refused + other)
        return bool(fits)

    async def _remember(self) -> None:
        """What the module holds before the kit changes anything."""
        found = {}
        for path in ("/failsafe", "/policy", "/settings"):
            answer = await self.controller.request("GET", path)
            found[path] = answer.json if answer.status == 200 else None
        self.kept = Kept(found["/failsafe"], found["/policy"], found["/settings"])

    async def release(self) -> Answer:
        """Give up the kit's own pin."""
        answer = await self.controller.request("DELETE", "/pairing")
        if answer.status == 200:
            self.paired = False
            await self.close_stream()
            await self.controller.close()
        return answer

    # Stream and leases

    async def stream(self) -> Stream:
        """The controller's stream, opened where it is not.

        Raises:
            Unreachable: It does not open.
        """
        if self._stream is None or self._stream.closed:
            await self.close_stream()
            self._stream = await self.controller.open_stream()
        return self._stream

    async def close_stream(self) -> None:
        """Close the controller's stream."""
        if self._stream is not None:
            await self._stream.close()
            self._stream = None

    async def state(self) -> dict[str, Any]:
        """The newest state on the stream; waits for the first.

        Raises:
            Failed: None comes.
        """
        stream = await self.stream()
        if not stream.states:
            await self.next_state()
        return stream.states[-1][1]

    async def next_state(
        self,
        wanted: Callable[[dict[str, Any]], object] = bool,
        *,
        timeout_s: float | None = None,
        what: str = "",
    ) -> dict[str, Any]:
        """The first state from now on that is wanted.

        Args:
            wanted: Whether a state is the one.
            timeout_s: How long to wait; None is three periods and a second.
            what: For the sentence when none comes.

        Raises:
            Failed: None came in time.
        """
        stream = await self.stream()
        frame = await stream.until(
            lambda found: isinstance(found.get("state"), dict) and wanted(found["state"]),
            timeout_s=3 * self.period_s + 1 if timeout_s is None else timeout_s,
            what=what or "a state",
            since=len(stream.frames),
        )
        found: dict[str, Any] = frame["state"]
        return found

    async def state_now(self, wanted: Callable[[dict[str, Any]], object] = bool) -> dict[str, Any]:
        """What `GET /state` says; where that is not what is wanted, what the stream says next.

        Raises:
            Failed: Not answered with 200, or no state came.
        """
        found: dict[str, Any] = await self.get("/state")
        return found if wanted(found) else await self.next_state()

    async def lease(self, elements: Mapping[str, Any], *, ttl_s: float = 5.0, **other: Any) -> dict[str, Any]:
        """A lease message with the next `seq`, answering the newest state; `other` overrides fields."""
        state = await self.state()
        self.seq += 1
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "boot_id": state.get("boot_id"),
            "uptime_ms": state.get("uptime_ms"),
            "ttl_s": ttl_s,
            "elements": dict(elements),
            **other,
        }

    async def send(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Send a lease message on the stream; returns its result, or the problem.

        Raises:
            Failed: No answer within `RESULT_S`.
        """
        stream = await self.stream()
        since = len(stream.frames)
        await stream.send({"lease": lease})
        frame = await stream.until(
            lambda found: "result" in found or "problem" in found,
            timeout_s=RESULT_S,
            what=f"the result of lease {lease.get('epoch')}/{lease.get('seq')}",
            since=since,
        )
        found: dict[str, Any] = frame.get("result") or frame["problem"]
        return found

    async def give(self, elements: Mapping[str, Any], *, ttl_s: float = 5.0) -> dict[str, Any]:
        """A lease that is to be accepted; returns its result.

        Raises:
            Failed: It was refused as a whole, or not answered.
        """
        result = await self.send(await self.lease(elements, ttl_s=ttl_s))
        if result.get("result") not in {"applied", "clipped", "refused"} or "code" in result:
            fail(f"a valid lease was answered with {short(result)}")
        return result

    async def calm(self) -> None:
        """An empty lease, so that nothing of the check before still holds."""
        await self.give({}, ttl_s=2.0)

    async def put(self, path: str, body: Any) -> Answer:
        """PUT as controller."""
        return await self.controller.request("PUT", path, body)

    async def get(self, path: str) -> Any:
        """What a resource holds, as controller.

        Raises:
            Failed: Not answered with 200.
        """
        answer = await self.controller.request("GET", path, MISSING)
        need(
            answer.status == 200,
            f"GET {path} was answered with {answer.status} {answer.code}; 200 is demanded",
        )
        return answer.json

    # Restart

    async def restart(self) -> None:
        """Switch the module off and on: by the person's command, by its own request, or by hand.

        Raises:
            Failed: Nothing of these works, or it does not come back within `RESTART_S`.
        """
        before = (await self.state()).get("boot_id")
        await self._switch_off_and_on()
        await self.back_after_restart(before)

    async def back_after_restart(self, before: str | None) -> None:
        """Wait until it is there again with another boot.

        Raises:
            Failed: It does not come back within `RESTART_S`.
        """
        await self.close_stream()
        await self.controller.close()
        deadline_s = self.elapsed_s + RESTART_S
        while self.elapsed_s < deadline_s:
            try:
                if (await self.state()).get("boot_id") != before:
                    return
            except Failed:
                await self.pause(0.1)
            await self.close_stream()
            await self.pause(0.1)
        fail(f"the module was not back with a new boot_id {RESTART_S:g} s after it was restarted")

    async def restart_by_request(self) -> None:
        """Ask the module to restart.

        Raises:
            Failed: It refuses, though it offers to.
        """
        answer = await self.controller.request("POST", "/requests", {"request": "restart"})
        need(
            answer.status == 200 and answer.json.get("result") == "accepted",
            f"the request `restart`, which the description offers, was answered with {answer.status} "
            f"{short(answer.raw)}",
        )

    async def _switch_off_and_on(self) -> None:
        if self.options.restart_command is not None:
            process = await asyncio.create_subprocess_shell(self.options.restart_command)
            need(await process.wait() == 0, f"the restart command ended with status {process.returncode}")
        elif "restart" in self.description.get("requests", []):
            await self.restart_by_request()
        elif not await self.ask("Switch the module off and on again."):
            fail(
                "nobody could switch the module off and on: it offers no request `restart`; "
                "give --restart COMMAND, or run the kit where it can ask you"
            )

    # How sections begin and end

    async def described(self) -> None:
        """Be paired, with the description read.

        Raises:
            Failed: Pairing did not succeed, or a page is none.
        """
        need(self.paired, "pairing has to succeed, and did not")
        await self.read_description()

    async def at_rest(self) -> None:
        """The same, with nothing in force.

        Raises:
            Failed: As `described`; or an empty lease is refused.
        """
        await self.described()
        await self.calm()

    async def put_back(self) -> None:
        """Restore failsafe limits, policy and settings as they were found.

        Raises:
            Failed: The module does not take back what it had.
        """
        for path, value in (
            ("/failsafe", self.kept.failsafe),
            ("/policy", self.kept.policy),
            ("/settings", self.kept.settings),
        ):
            if value is not None:
                answer = await self.put(path, value)
                need(
                    answer.status == 200,
                    f"PUT {path} with what was there before: {answer.status} {answer.code}",
                )

    async def close(self) -> None:
        """End all connections and remove the kit's keys from the disk."""
        await self.close_stream()
        for peer in self._peers:
            await peer.close()
            peer.cut()
        await asyncio.sleep(CLOSING_S)  # a connection to who hangs is closed by the loop, after this
        self._folder.cleanup()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _what_to_do(code: str | None) -> str:
    """The person's next step after a refusal of pairing."""
    return {
        "pairing_closed": ": release the module from its hub, or reset it, and try again",
        "pairing_locked": ": switch the module off and on, and try again",
    }.get(code or "", "")


__all__ = ["Bench", "Element", "Options", "Unreachable"]
