"""Plain text in: files that may be anything, and the prose that every Python carries."""

import importlib
import os
import re
import unicodedata

from tinyseq.data.files import likely_encoding, located, opened
from tinyseq.errors import DataError

MAX_BYTES = 256 * 2**20  # in memory: the bytes, the text, and 8 bytes for the id of each character


def read_text(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file, or of a gzip-compressed one (`.gz`), with `\\n` at the end of every line.

    The whole text is held in memory, so files of more than `max_bytes` (uncompressed) are refused.
    Raises DataError, in one sentence, for a file that is missing, a directory, unreadable, empty, too large,
    binary, or in another encoding.
    """
    path = located(path)
    with opened(path) as file:
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise DataError(
            f"{path} holds more than {max_bytes / 2**20:g} MiB, the most that is read into memory at once: "
            "cut it into smaller files."
        )
    nul = raw.find(b"\0")
    if nul >= 0:
        raise DataError(
            f"{path} is not text: it has a NUL byte at offset {nul} (a binary file, or UTF-16, which has to "
            "be converted to UTF-8 first)."
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start} ({error.reason}); "
            f"convert it first, most likely with: iconv -f {likely_encoding(path)} -t utf-8."
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{path} is empty: there is nothing to learn from.")
    return text


def demo_text() -> str:
    """English prose for a first run: the sentences of the language reference that CPython ships for `help()`.

    One paragraph a line, each once, plain ASCII, about 200 kB. The text is fixed for one Python version and
    changes a little from one to the next. Raises DataError where a Python was stripped of it.
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        raise DataError(
            "This Python was installed without pydoc_data, from which the demo text comes: name a text file "
            "of your own."
        ) from None
    # Topics quote whole other topics, so a paragraph is kept at its first place only.
    paragraphs: dict[str, None] = {}
    for name in sorted(topics):
        for block in re.split(r"\n\s*\n", topics[name]):
            unwrapped = re.sub(r"(?<=\w-)\n\s*(?=\w)", "", block)  # lines were also broken after hyphens
            paragraph = _as_ascii(" ".join(unwrapped.replace("*", "").split()))
            if _is_prose(paragraph):
                paragraphs[paragraph] = None
    return "\n".join(paragraphs) + "\n"


def _is_prose(paragraph: str) -> bool:
    """Whether it reads as sentences: no grammar rules, code, tables, headings or signatures."""
    letters = sum(c.isalpha() or c == " " for c in paragraph)
    return (
        re.match(r"[A-Z][a-z]* ", paragraph) is not None
        and paragraph[-1] in ".:"
        and letters >= 0.85 * len(paragraph)
        and len(paragraph) >= 60
    )


_PUNCTUATION = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")


def _as_ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(_PUNCTUATION))
    return plain.encode("ascii", "ignore").decode("ascii")
