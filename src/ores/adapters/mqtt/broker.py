"""An MQTT broker behind a small interface; nothing else knows the library.

Whatever goes wrong on a connection ends it. Who uses it decides when to try again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiomqtt
import msgspec

from ores.adapters.mqtt.address import Broker
from ores.link.clock import Clock
from ores.link.errors import ConfigError, Disconnected, Forbidden, OresError

ANSWER_S: Final = 5.0
"""For a connection, and for each answer; of the wall."""
AT_ONCE: Final = 32
"""Topics in one request."""
CANCEL_AGAIN_S: Final = 1.0
KEEP_ALIVE_S: Final = 20
"""After one and a half of these the broker tells the others that we are gone (MQTT 3.1.1, 3.1.2.10)."""
PAYLOAD_MAX_BYTES: Final = 65_536
WAITING_MAX: Final = 2_000
"""Messages that have come and are not read yet; those beyond are lost, for a flood must fill no memory."""
_SILENT: Final = logging.getLogger("ores.adapters.mqtt.library")
_SILENT.setLevel(logging.CRITICAL)  # what the library would log, comes to us as an exception
_REFUSED: Final = frozenset({134, 135})
"""Bad user name or password, not authorised (MQTT 5, 3.2.2.2; paho gives these for 3.1.1 too)."""


class Message(msgspec.Struct, frozen=True):
    """What came.

    Attributes:
        topic: On which.
        payload: Text; what is none, or too long, never comes here.
        retained: Whether the broker had kept it from before.
    """

    topic: str
    payload: str
    retained: bool


class Will(msgspec.Struct, frozen=True):
    """What the broker says for us, retained, when we have gone without a word."""

    topic: str
    payload: str


class Connection:
    """An open connection.

    Args:
        client: Of the library.
        label: Of the broker.
    """

    def __init__(self, client: aiomqtt.Client, label: str) -> None:
        self._client: Final = client
        self._label: Final = label

    async def publish(self, topic: str, payload: str, *, retain: bool = False, sure: bool = False) -> None:
        """Say something; back when it has left this machine, or with `sure` when the broker has it.

        Raises:
            Disconnected: The broker is gone, or takes nothing.
        """
        try:
            await self._client.publish(topic, payload, qos=1 if sure else 0, retain=retain)
        except (aiomqtt.MqttError, ValueError, OSError) as error:
            raise Disconnected(f"{self._label}: {error}") from error

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Hear what is said on these from now on, and what was retained there.

        Raises:
            Disconnected: The broker is gone.
            Forbidden: It does not let us hear one of them.
        """
        for at in range(0, len(topics), AT_ONCE):
            await self._subscribe(topics[at : at + AT_ONCE])

    async def _subscribe(self, topics: Sequence[str]) -> None:
        try:
            granted = await self._client.subscribe([(topic, 0) for topic in topics])
        except (aiomqtt.MqttError, ValueError, OSError) as error:
            raise Disconnected(f"{self._label}: {error}") from error
        codes = [one if isinstance(one, int) else one.value for one in granted]
        for topic, code in zip(topics, codes, strict=False):
            if code >= 128:
                raise Forbidden(f"{self._label}: the broker does not let this user subscribe to {topic}")

    async def messages(self) -> AsyncIterator[Message]:
        """What comes, until the connection ends.

        Raises:
            Disconnected: It has ended.
        """
        try:
            async for came in self._client.messages:
                if len(came.payload) > PAYLOAD_MAX_BYTES:
                    continue
                try:
                    text = bytes(came.payload).decode()
                except UnicodeDecodeError:
                    continue  # a picture, or something else that is not for us
                yield Message(came.topic.value, text, bool(came.retain))
        except (aiomqtt.MqttError, OSError) as error:
            raise Disconnected(f"{self._label}: {error}") from error


@asynccontextmanager
async def connected(
    broker: Broker, clock: Clock, *, client_id: str | None = None, will: Will | None = None
) -> AsyncIterator[Connection]:
    """A connection for as long as the context lasts.

    Args:
        broker: With whom.
        clock: Held while it is awaited.
        client_id: By which the broker knows us; a second connection of the same ends the first.
        will: Said when this connection ends without a word.

    Raises:
        Disconnected: There is none, or it has ended.
        Forbidden: The broker does not let us in.
        ConfigError: The file of the authority cannot be used.
    """
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user or None,
        password=broker.password or None,
        identifier=client_id,
        logger=_SILENT,
        tls_context=tls_of(broker),
        timeout=ANSWER_S,
        keepalive=KEEP_ALIVE_S,
        max_queued_incoming_messages=WAITING_MAX,
        will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
    )
    _take_note_of_its_end(client)
    try:
        with clock.hold():
            await client.__aenter__()
    except (aiomqtt.MqttError, OSError) as error:
        await _end(client)  # else one that answers late would stay, as a ghost of ours
        raise _as_ours(error, broker) from error
    try:
        yield Connection(client, broker.label)
    finally:
        await _end(client)


async def end(*tasks: asyncio.Task[None]) -> None:
    """End tasks that use a connection: each is cancelled until it has ended.

    Until Python 3.12 `asyncio.wait_for`, which the library uses, forgets a cancellation that comes together
    with what it waits for.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


def _as_ours(error: Exception, broker: Broker) -> OresError:
    code = getattr(getattr(error, "rc", None), "value", None)
    if code in _REFUSED:
        return Forbidden(f"{broker.label}: the broker does not let {broker.user or 'us'} in")
    return Disconnected(f"{broker.label}: {error}")


def _take_note_of_its_end(client: aiomqtt.Client) -> None:
    """Why a connection ends is told by whoever uses it; the library would have it logged once more."""
    future = getattr(client, "_disconnected", None)
    if isinstance(future, asyncio.Future):
        future.add_done_callback(lambda done: None if done.cancelled() else done.exception())


async def _end(client: aiomqtt.Client) -> None:
    """Say good-bye; a broker that does not answer is left."""
    with suppress(aiomqtt.MqttError, OSError, asyncio.InvalidStateError):  # it is gone all the same
        await client.__aexit__(None, None, None)


def tls_of(broker: Broker) -> ssl.SSLContext | None:
    """Whom to believe that it is the broker; None where the connection is not encrypted.

    Raises:
        ConfigError: The file of the authority cannot be used.
    """
    if not broker.tls:
        return None
    try:
        return ssl.create_default_context(cafile=broker.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("ca", found=broker.ca, allowed="a file with certificates in PEM form") from error
