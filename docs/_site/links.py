"""Links of the finished pages: each leads to a file, and to a place in it that exists."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The places of a page that a link can lead to, and where its own links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = {""}
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")
            elif name in ("href", "src") and tag in ("a", "img", "link", "script"):
                self.targets.append(value or "")


def broken(folder: Path) -> Iterator[str]:
    """A line for every link within the folder that leads nowhere; others' addresses are not asked for."""
    pages = {
        file.resolve(): Page(file.read_text(encoding="utf-8")) for file in sorted(folder.rglob("*.html"))
    }
    for file, page in pages.items():
        for target in dict.fromkeys(page.targets):
            address = urlsplit(target)
            if address.scheme or address.netloc:
                continue
            path = (file.parent / unquote(address.path)).resolve() if address.path else file
            if not path.is_file():
                yield f"{file.relative_to(folder.resolve())}: {target} is no file"
            elif path in pages and unquote(address.fragment) not in pages[path].places:
                yield f"{file.relative_to(folder.resolve())}: {target} is no place on that page"


def check(app: Any, exception: Exception | None) -> None:
    """A warning for every link of the built site that leads nowhere."""
    from sphinx.util import logging

    if exception is None and app.builder.format == "html":
        for line in broken(Path(app.outdir)):
            logging.getLogger(__name__).warning("dead link: %s", line)
