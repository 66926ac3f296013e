"""Whatever answers in a hub's place, and whatever address is typed, ends in one sentence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from ores.cli.hub_api import HubApi
from ores.link.errors import ConfigError, OresError, Unavailable


class Anything(msgspec.Struct):
    """An answer."""


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says this to whoever asks, and what it was asked."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(5)


@pytest.mark.parametrize(
    "url", ["localhost:8080", "http://localhost:abc", "http://[::1", "http://", "http://a b/", "ftp://a"]
)
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="--url"):
        HubApi(url)


def test_whatever_else_listens_there_is_no_hub() -> None:
    with answering(b"SSH-2.0-other\r\n") as (port, _), pytest.raises(OresError, match="is not an ORES hub"):
        HubApi(f"http://127.0.0.1:{port}").get("/live", Anything)


def test_the_token_is_shown_to_this_machine_only_and_to_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local-token").write_text("secret")
    assert "Authorization" not in HubApi("http://192.0.2.1:8080", tmp_path)._headers
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as (port, heard):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        HubApi(f"http://127.0.0.1:{port}", tmp_path).get("/live", Anything)
        assert b"Bearer secret" in heard[0]
        assert heard[0].startswith(b"GET /ores/v1/live ")


def test_a_directory_of_somebody_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(ConfigError, match=r"--data.*Permission denied"):
        HubApi("http://127.0.0.1:8080", tmp_path)


def test_where_nobody_answers_it_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unavailable, match="no hub answers"):
        HubApi(f"http://127.0.0.1:{port}").get("/live", Anything)
