"""The page: static files that the dashboard's build has put beside this code."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from aiohttp import web

from ores.hub.api.problems import ApiError

PAGE_DIR: Final = Path(__file__).parent.parent / "page"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_NOT_BUILT: Final = b"""<!doctype html><meta charset="utf-8"><title>ORES hub</title>
<h1>The hub runs; its page is not built</h1>
<p>Run <code>make setup</code> in the ORES checkout, then start the hub again.
The API answers at <a href="/ores/v1/live">/ores/v1/live</a>.</p>
"""


class PageFiles:
    """The files of the page, read once: they are few and small.

    Args:
        directory: Where the build has put them.
    """

    def __init__(self, directory: Path = PAGE_DIR) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        if directory.is_dir():
            for path in sorted(directory.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    data = path.read_bytes()
                    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
                    self._files[path.relative_to(directory).as_posix()] = (data, kind, tag)

    async def get(self, request: web.Request) -> web.Response:
        """A file, or the one page for every address that the page draws itself."""
        path = request.match_info.get("path", "") or "index.html"
        found = self._files.get(path)
        if found is None and "." not in path.rpartition("/")[2] and not path.startswith("ores/"):
            found = self._files.get("index.html") or (_NOT_BUILT, "text/html", '"none"')
        if found is None and path == "index.html":
            found = (_NOT_BUILT, "text/html", '"none"')
        if found is None:
            raise ApiError("not_found", f"nothing is at /{path[:80]}")
        data, kind, tag = found
        # names with a hash in them never change; all others are asked for again
        fresh = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        headers = {**HEADERS, "ETag": tag, "Cache-Control": fresh}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if kind.startswith("text/") else None
        return web.Response(body=data, content_type=kind, charset=charset, headers=headers)
