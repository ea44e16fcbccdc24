"""What of the site is made from code: the reference, the page of cells, and a check of every link."""

from pathlib import Path
from typing import Any

from _site import cells, links, reference


def write_pages(app: Any) -> None:
    """Write the pages below docs/reference, those whose text is another only."""
    folder = Path(app.srcdir) / "reference"
    folder.mkdir(exist_ok=True)
    pages = reference.pages() | {"literature": cells.page()}
    for old in folder.glob("*.md"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls for an extension."""
    from pygments.lexers.python import PythonLexer

    app.add_lexer("pair", PythonLexer)  # two ways to say the same, with a line between
    app.connect("builder-inited", write_pages)
    app.connect("build-finished", links.check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
