"""A hub's API, as the command line uses it: short requests, structs back, errors a person can act on."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TypeVar

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
        if not url.startswith(("http://", "https://")):
            raise ConfigError("--url", found=url, allowed="http://HOST:PORT or https://HOST:PORT")
        self._base = url.rstrip("/") + "/ores/v1"
        self._headers = {"Content-Type": "application/json"}
        self._tls: ssl.SSLContext | None = None
        if data is not None:
            token = data / "local-token"
            if token.is_file():
                self._headers["Authorization"] = f"Bearer {token.read_text().strip()}"
            certificate = data / "identity.pem"
            if url.startswith("https://") and certificate.is_file():
                self._tls = ssl.create_default_context(cafile=str(certificate))
                self._tls.check_hostname = False  # the certificate is pinned, its name says nothing

    def get(self, path: str, kind: type[T]) -> T:
        """The resource at `path`."""
        return self._call("GET", path, None, kind)

    def send(self, method: str, path: str, message: object, kind: type[T]) -> T:
        """Send a message to `path`; its answer."""
        return self._call(method, path, msgspec.json.encode(message), kind)

    def _call(self, method: str, path: str, body: bytes | None, kind: type[T]) -> T:
        request = urllib.request.Request(  # noqa: S310  the scheme was checked above
            self._base + path, data=body, method=method, headers=self._headers
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S, context=self._tls) as answer:  # noqa: S310
                text = answer.read(LARGEST_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise Unavailable(
                f"no hub answers at {self._base}: {reason}. Is `ores hub` or `ores demo` running?"
            ) from error
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
