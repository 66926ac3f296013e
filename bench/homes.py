"""Homes to measure with: light devices behind the real SDK, each on its own socket with its own key."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from bench.bench_control import ELEMENTS, element_state
from ores.link.clock import Clock
from ores.link.desk import PairingDesk
from ores.link.endpoint import Endpoint, Peer, Reply, Stream
from ores.link.identity import Identity, new_identity
from ores.link.pins import Pin, Pins, pin
from ores.link.server import Server, serve
from ores.link.tls import client_context, server_context
from ores.model import AcMeasure, DcMeasure, Element, ElementState, SetpointState
from ores.module import About, Effective, Module

EIGHT = ("meter", "battery", "hybrid", "panel", "evse", "heat", "micro", "plug")
FIFTY_ONE_STORAGE = ("meter", "battery", "panel", "evse", "heat", *("micro",) * 25, *("plug",) * 20)
"""Every panel on the roof has its own inverter, and many things their plug."""
FIFTY = (
    *("meter", "panel"),
    *("micro",) * 20,
    *("battery",) * 8,
    *("hybrid",) * 4,
    *("evse",) * 6,
    *("heat",) * 6,
    *("plug",) * 4,
)
"""As in bench_control: twelve storages share each change of the load."""


STORAGE_W = 500.0
"""What a storage takes or gives at present."""


@dataclass
class World:
    """What flows in the house, in W, passive sign."""

    load_w: float = 1000.0
    stores_w: dict[str, float] = field(default_factory=dict)

    @property
    def grid_w(self) -> float:
        """Import: the load and what the storages take."""
        return self.load_w + sum(self.stores_w.values())


class Light:
    """A device that costs next to nothing to read; a storage follows its set-point at once."""

    def __init__(self, kind: str, key: str, world: World) -> None:
        self.kind = kind
        self.elements = msgspec.convert(ELEMENTS[kind], list[Element])
        self._key = key
        self._world = world
        self._readings = {
            e.id: msgspec.convert(element_state(e.kind, e.capabilities, 3), ElementState)
            for e in self.elements
        }
        if kind in {"battery", "hybrid"}:
            world.stores_w[key] = 0.0
            range_now = SetpointState(consume_max_w=STORAGE_W, produce_max_w=STORAGE_W)
            self._readings["battery"] = msgspec.structs.replace(self._readings["battery"], setpoint=range_now)

    def read(self, element: str, /) -> ElementState:
        """A fixed reading, but for the power of meter and storage."""
        reading = self._readings[element]
        if self.kind == "meter":
            return _with_power(reading, self._world.grid_w)
        if self.kind == "battery" or (self.kind == "hybrid" and element in {"battery", "inverter"}):
            return _with_power(reading, self._world.stores_w[self._key])
        return _with_power(reading, 0.0) if self.kind == "hybrid" else reading

    def apply(self, element: str, command: Effective, /) -> None:
        """Follow."""
        if self.kind == "battery" or (self.kind == "hybrid" and element == "battery"):
            self._world.stores_w[self._key] = command.power_w or 0.0


class Tapped:
    """An endpoint that says when a frame leaves it or reaches it."""

    def __init__(
        self, inner: Endpoint, sent: Callable[[bytes], None], received: Callable[[bytes], None]
    ) -> None:
        self._inner = inner
        self._sent = sent
        self._received = received

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        """As the endpoint."""
        return self._inner.request(peer, method, path, body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        """As the endpoint, with a tap in each direction."""

        def tapped_send(frame: bytes) -> None:
            self._sent(frame)
            send(frame)

        return _TappedStream(self._inner.open_stream(peer, tapped_send), self._received)


class _TappedStream:
    def __init__(self, inner: Stream, received: Callable[[bytes], None]) -> None:
        self._inner = inner
        self._received = received

    def receive(self, frame: bytes) -> None:
        self._received(frame)
        self._inner.receive(frame)

    def closed(self) -> None:
        self._inner.closed()


@dataclass
class Served:
    """A module on its socket."""

    kind: str
    module: Module
    desk: PairingDesk
    server: Server

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.server.port}"


Tap = Callable[[str, Module], Endpoint]
"""What is served in place of a module of a kind."""


@asynccontextmanager
async def served(
    kinds: tuple[str, ...], world: World, clock: Clock, tap: Tap = lambda _kind, module: module
) -> AsyncIterator[list[Served]]:
    """Modules of these kinds, each on a socket of its own with mutual TLS."""
    async with AsyncExitStack() as stack:
        modules = []
        for number, kind in enumerate(kinds):
            identity = new_identity(number + 1)
            about = About(name=kind, maker="Bench", model=kind, serial=str(number))
            device = Light(kind, str(number), world)
            boot_id = f"{number:08x}"
            module = Module(device, about, module_id=identity.id, clock=clock, boot_id=boot_id)
            pins = Pins()
            desk = PairingDesk(identity, pins, clock, secret=number.to_bytes(16))
            server = await serve(tap(kind, module), identity, pins, clock=clock, host="127.0.0.1", desk=desk)
            stack.push_async_callback(server.close)
            module.start()
            stack.callback(module.stop)
            modules.append(Served(kind, module, desk, server))
        yield modules


def mutual_tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server and a client that have pinned each other, as the link makes them."""
    ours, theirs = new_identity(), new_identity()
    return server_context(ours, Pins([_pin(theirs)])), client_context(theirs, ours.fingerprint)


def _pin(identity: Identity) -> Pin:
    return pin(identity.certificate, "controller")


def _with_power(reading: ElementState, power_w: float) -> ElementState:
    if reading.ac_measure is not msgspec.UNSET:
        return msgspec.structs.replace(reading, ac_measure=AcMeasure(power_w=power_w))
    return msgspec.structs.replace(reading, dc_measure=DcMeasure(power_w=power_w))
