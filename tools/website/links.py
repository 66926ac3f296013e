"""Every link of the built site, files and anchors alike; Zensical looks only at those from page to page."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_TARGETS: Final = {"a": "href", "img": "src", "script": "src", "link": "href"}


class _Page(HTMLParser):
    """What one page can be reached at, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if name := found.get("id") or (tag == "a" and found.get("name")):
            self.ids.add(name)
        if target := found.get(_TARGETS.get(tag, "")):
            self.links.append(target)


def broken(site: Path) -> Iterator[str]:
    """Each link of a site that leads nowhere within it, as a sentence."""
    pages = {path.relative_to(site).as_posix(): _Page(path.read_text()) for path in site.rglob("*.html")}
    for name, page in sorted(pages.items()):
        if name == "404.html":  # its links are from the root of a server
            continue
        for target in dict.fromkeys(page.links):
            to = urlsplit(target)
            if to.scheme or to.netloc:
                continue
            whole = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(to.path)))
            whole = whole if to.path else name
            if not (site / whole).is_file():
                yield f"{name}: {target}: the target does not exist"
            elif whole in pages and to.fragment and unquote(to.fragment) not in pages[whole].ids:
                yield f"{name}: {target}: the anchor does not exist"
