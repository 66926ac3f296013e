"""Debian's mosquitto on a free port of this machine, with nothing retained; and a listener of our own."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

aiomqtt = pytest.importorskip("aiomqtt", reason="aiomqtt is not installed: pip install 'ores-energy[hub]'")
MISSING = "mosquitto is not installed: apt-get install mosquitto (Debian)"
WITHIN_S = 20.0


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


@contextmanager
def mosquitto(
    directory: Path, port: int | None = None, *, passwords: str = "", tls: bool = False
) -> Iterator[int]:
    """A broker for as long as the context lasts; its port.

    Args:
        directory: For its settings.
        port: To listen on; None for a free one.
        passwords: Name and password, `user:password`, that everybody needs; empty lets everybody in.
        tls: Encrypt, with the certificate in `directory`/broker.pem.
    """
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip(MISSING)
    port = free_port() if port is None else port
    directory.mkdir(parents=True, exist_ok=True)
    settings = [f"listener {port} 127.0.0.1", "persistence false", "user root"]
    settings.append(f"allow_anonymous {'false' if passwords else 'true'}")
    if passwords:
        file = directory / "passwords"
        user, _, password = passwords.partition(":")
        file.touch(mode=0o600)
        subprocess.run(["mosquitto_passwd", "-b", file, user, password], check=True, capture_output=True)
        settings.append(f"password_file {file}")
    if tls:
        certificate(directory)
        settings += [f"certfile {directory / 'broker.pem'}", f"keyfile {directory / 'broker.key'}"]
    config = directory / "mosquitto.conf"
    config.write_text("\n".join(settings) + "\n")
    with (directory / "mosquitto.log").open("ab") as log:
        broker = subprocess.Popen([program, "-c", config], stdout=log, stderr=log)
    try:
        _wait_for(port, broker)
        yield port
    finally:
        broker.terminate()
        broker.wait(10)


def certificate(directory: Path) -> None:
    """One for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "broker.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "broker.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _wait_for(port: int, broker: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until and broker.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"mosquitto does not listen on {port} (exit {broker.poll()})")


class Listener:
    """Hears everything on a broker."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.newest: dict[str, str] = {}
        self.heard: list[tuple[str, str, bool]] = []
        self._news = asyncio.Event()

    async def run(self) -> None:
        async for message in self._client.messages:
            topic, payload = message.topic.value, bytes(message.payload).decode()
            self.heard.append((topic, payload, bool(message.retain)))
            self.newest[topic] = payload
            self._news.set()

    async def say(self, topic: str, payload: object, *, retain: bool = False) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        await self._client.publish(topic, text, qos=1, retain=retain)

    async def until(self, holds: Callable[[dict[str, str]], object], within_s: float = WITHIN_S) -> None:
        """Wait until this holds for the newest payloads by topic."""
        async with asyncio.timeout(within_s):
            while not holds(self.newest):
                self._news.clear()
                await self._news.wait()

    def retained_again(self) -> None:
        """Forget what was heard."""
        self.newest.clear()
        self.heard.clear()


@asynccontextmanager
async def listening(port: int, *topics: str, **login: str) -> AsyncIterator[Listener]:
    """A listener to these topics, or to all."""
    async with aiomqtt.Client("127.0.0.1", port, **login) as client:
        it = Listener(client)
        task = asyncio.create_task(it.run())
        for topic in topics or ("#",):
            await client.subscribe(topic)
        try:
            yield it
        finally:
            task.cancel()
            await asyncio.wait({task})
