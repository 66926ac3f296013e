"""What `ores adapter serve mqtt` runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console

from ores.adapters.mqtt.address import broker_of
from ores.adapters.mqtt.broker import Message
from ores.adapters.mqtt.device import MqttDevices
from ores.adapters.mqtt.discovery import PREFIX
from ores.adapters.mqtt.found import Catalogue, about, assembled, look, save
from ores.adapters.mqtt.guess import Guessed
from ores.adapters.mqtt.shown import Shown
from ores.adapters.mqtt.topic_map import TopicMap, load
from ores.adapters.serve import serving
from ores.cli.until import asked_to_end
from ores.link import clock as clocks
from ores.link.clock import Clock

OPTIONS = ("discovery",)
QUIET_S = 5.0
"""A device that comes says so in many messages; when it has not said more for so long, it is shown."""


def serve(
    broker: str,
    directory: Path,
    map_file: Path | None,
    *,
    control: bool,
    name: str,
    period_s: float,
    port: int,
    as_json: bool,
) -> None:
    """Show the devices behind a broker as a module until the process is asked to end.

    Args:
        broker: Its address, `mqtt://user:password@host:1883` or `host`.
        directory: Of this module alone.
        map_file: What a person says of topics and devices; None for what is found.
        control: Whether they may be commanded.
        name: What their owner calls them.
        period_s: Between two states.
        port: Of the module; 0 picks a free one.
        as_json: For programs.

    Raises:
        ConfigError: Something in the command or the map is not right; says what.
        OresError: The broker does not answer.
    """
    where = broker_of(broker, "BROKER", OPTIONS)
    said = TopicMap() if map_file is None else load(map_file)

    async def main(clock: Clock) -> None:
        stop = asked_to_end()
        told, listens_on = False, port
        while not stop.is_set():
            catalogue = await look(where, clock, directory, where.options.get("discovery", PREFIX))
            guessed = assembled(catalogue, said, control=control)
            again = Again(clock, catalogue, guessed, lambda: assembled(catalogue, said, control=control))  # noqa: B023
            adapter = MqttDevices(
                where,
                guessed.shown,
                clock,
                about=about(where, guessed.shown, catalogue, name),
                directory=directory,
                period_s=period_s,
                listen_also=catalogue.topics,
                heard_also=again.hear,
            )
            async with serving(
                adapter, directory, clock=clock, port=listens_on, report_period_s=period_s
            ) as it:
                listens_on, code = it.server.port, it.desk.code if it.pins.controller() is None else None
                if as_json and not told:
                    _say({"id": it.identity.id, "port": listens_on, "code": code})
                elif not as_json:
                    _tell(adapter.about.name, it.identity.id, listens_on, code, guessed, control=control)
                told = True
                await _first(stop, again.wanted)
            save(directory, catalogue)

    clocks.run(main, speed=1)


class Again:
    """Notices that other devices are there than before, so that the module describes itself anew.

    Args:
        clock: Process time.
        catalogue: Hears what devices say of themselves.
        guessed: What is shown.
        make: What would be shown now.
    """

    def __init__(
        self, clock: Clock, catalogue: Catalogue, guessed: Guessed, make: Callable[[], Guessed]
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._shown = _shape(guessed.shown)
        self._make = make
        self._timer: clocks.Handle | None = None
        self.wanted = asyncio.Event()

    def hear(self, message: Message) -> None:
        """A message; it may be a device that is new."""
        if not message.topic.endswith(("/config", "/sensors")):
            return
        self._catalogue.hear(message)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_at(self._clock.now() + QUIET_S, self._look)

    def _look(self) -> None:
        if _shape(self._make().shown) != self._shown:
            self.wanted.set()


def _shape(shown: list[Shown]) -> list[object]:
    """What of elements makes a difference to who reads them."""
    return [(one.element, sorted(one.topics()), [order.topic for order in one.steering]) for one in shown]


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _tell(name: str, id_: str, port: int, code: str | None, guessed: Guessed, *, control: bool) -> None:
    paired = "paired" if code is None else f"pairing code [bold]{code}[/]"
    mode = "controlled" if control else "only read"
    console = Console(stderr=True)
    console.print(f"{name} {id_} listens on port {port}, {paired}; the devices are {mode}")
    for one in guessed.shown:
        points = ", ".join(source.point for source in one.sources)
        console.print(f"  {one.element.id}: {one.element.kind} ({points})")
    for words in guessed.left_out:
        console.print(f"  not shown: {words}", highlight=False)


def _say(message: object) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()
