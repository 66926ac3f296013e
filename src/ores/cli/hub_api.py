"""A hub's API, as the command line uses it: short requests, structs back, errors a person can act on."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from ores.link.errors import ConfigError, Forbidden, OresError, Unavailable
from ores.model import Problem

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8080"
ANSWER_WITHIN_S = 10.0
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024


class HubApi:
    """Talks to one hub.

    Args:
        url: Where it listens, such as `http://127.0.0.1:8080`.
        data: The hub's data directory where the command runs on the same machine: it holds the token that
            lets its own user in, and the certificate to trust.
    """

    def __init__(self, url: str = DEFAULT_URL, data: Path | None = None) -> None:
        host = _host_of(url)
        self._base = url.rstrip("/") + "/ores/v1"
        self._headers = {"Content-Type": "application/json"}
        self._tls: ssl.SSLContext | None = None
        if data is not None:
            try:
                self._know(url, host, data)
            except OSError as error:
                allowed = "the data directory of a hub of this user; leave it out for another one's"
                raise ConfigError(
                    "--data", found=f"{data}: {error.strerror or error}", allowed=allowed
                ) from error
        # a proxy of the surroundings has no business between a person and the house
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )

    def get(self, path: str, kind: type[T]) -> T:
        """The resource at `path`."""
        return self._call("GET", path, None, kind)

    def send(self, method: str, path: str, message: object, kind: type[T]) -> T:
        """Send a message, or nothing, to `path`; its answer."""
        return self._call(method, path, None if message is None else msgspec.json.encode(message), kind)

    def _know(self, url: str, host: str, data: Path) -> None:
        token = data / "local-token"
        if _is_loopback(host) and token.is_file():  # elsewhere it opens nothing, and is nobody's business
            self._headers["Authorization"] = f"Bearer {token.read_text().strip()}"
        certificate = data / "identity.pem"
        if url.startswith("https://") and certificate.is_file():
            self._tls = ssl.create_default_context(cafile=str(certificate))
            self._tls.check_hostname = False  # the certificate is pinned, its name says nothing

    def _call(self, method: str, path: str, body: bytes | None, kind: type[T]) -> T:
        request = urllib.request.Request(  # noqa: S310  the scheme was checked above
            self._base + path, data=body, method=method, headers=self._headers
        )
        try:
            with self._opener.open(request, timeout=ANSWER_WITHIN_S) as answer:
                text = answer.read(LARGEST_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(
                f"no hub answers at {self._base}: {reason}. Is `ores hub` or `ores demo` running?"
            ) from error
        except http.client.HTTPException as error:
            raise OresError(f"what answers at {self._base}{path} is not an ORES hub: {error!r}") from error
        if kind is type(None) and not text:
            return None
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as error:
            raise OresError(f"what answers at {self._base}{path} is not an ORES hub: {error}") from error

    def _refusal(self, error: urllib.error.HTTPError) -> OresError:
        try:
            problem = msgspec.json.decode(error.read(LARGEST_ANSWER_BYTES), type=Problem)
        except msgspec.DecodeError:
            return OresError(f"what answers at {self._base} is not an ORES hub (HTTP {error.code})")
        detail = problem.detail or problem.title
        kind = Forbidden if error.code in {401, 403} else OresError
        return kind(str(detail), code=problem.code)


def _host_of(url: str) -> str:
    """The host of an address; raises `ConfigError` for what cannot be one."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise ConfigError("--url", found=url, allowed="http://HOST:PORT or https://HOST:PORT")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
