"""Readers of the file formats that sequence tasks come in; all read `.gz` as well, and stream."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from tinyseq.contracts.pairing import is_whole
from tinyseq.data.files import CARRIAGE_RETURNS, PathLike, Records, Report, lines, located
from tinyseq.data.text import read_text
from tinyseq.errors import ConfigError, DataError


class Slots(NamedTuple):
    """An utterance, the tag of each of its words, and what it is for."""

    words: list[str]
    tags: list[str]
    intent: str


def read_conll(
    path: PathLike,
    columns: Sequence[int] = (0, -1),
    *,
    separator: str | None = None,
    skip: Sequence[str] = ("-DOCSTART-",),
    encoding: str = "utf-8",
) -> Records[tuple[list[str], ...]]:
    """Sentences of one token a line and a blank line after each: for each sentence, the chosen columns.

    Columns stand between `separator`; by default between tabs, if the first token has any, and otherwise
    between spaces. A line before a sentence that begins with one of `skip` is left out ("#" for comments),
    but not one that has a token's columns, as "#NLProc B-group"; within a sentence no line is a comment.
    -DOCSTART- ends a sentence wherever it stands. Of files named `.conllu`, ranges (1-2) and empty nodes
    (3.1) are left out. A line with another number of columns than the first, or with nothing in one that is
    asked for, is malformed, and so is one in which two of `columns` are the same.
    """
    if isinstance(columns, str | int) or not columns or not all(map(is_whole, columns)):
        raise ConfigError(
            f"read_conll(): columns is a list of numbers of columns, such as [0, -1], not {columns!r}."
        )
    prefixes = (skip,) if isinstance(skip, str) else tuple(skip)
    nodes = Path(path).name.removesuffix(".gz").endswith(".conllu")
    wanted = _Columns(tuple(columns), separator, prefixes, nodes)
    return Records(path, lambda report: _sentences(lines(path, report, encoding), report, wanted))


DOCUMENT = "-DOCSTART-"


class _Columns(NamedTuple):
    """What is wanted of a file of tokens, and how its lines are told apart."""

    columns: tuple[int, ...]
    separator: str | None
    skip: tuple[str, ...]
    has_nodes: bool  # whether ids like 1-2 and 3.1 stand in the first column

    def split(self, line: str, separator: str | None) -> list[str]:
        """The columns of a line; a no-break space is part of a word."""
        return line.split(separator) if separator else re.findall(r"[^ \t\v\f]+", line)

    def mistake(self, token: list[str], width: int, line: str) -> str:
        """What is wrong with a token's line, or an empty string."""
        needed = max(c + 1 if c >= 0 else -c for c in self.columns)
        places = [c if c >= 0 else c + len(token) for c in self.columns]
        if "\r" in line:
            return CARRIAGE_RETURNS
        if len(token) < needed or len(set(places)) < len(set(self.columns)):
            least = max(needed, len(set(self.columns)))
            others = {"a comma": ",", "a tab": "\t", "a space": " "}
            found = [name for name, mark in others.items() if mark in line and mark != self.separator]
            hint = f" Are they separated by {' or '.join(found)}?" if found else ""
            hint += " Put tabs there, or read with another separator." if found else ""
            return f"has {_columns(len(token))}, and {least} are needed.{hint}"
        if width and len(token) != width:
            return f"has {_columns(len(token))}, and the lines before have {width}."
        if not all(token[c].strip() for c in self.columns):
            return "has nothing in a column that is needed."
        return ""

    def is_comment(self, line: str, token: list[str], width: int) -> bool:
        """Whether a line that stands before a sentence is none of its tokens."""
        prefix = next((p for p in self.skip if p and p != DOCUMENT and line.startswith(p)), None)
        if prefix is None:
            return False
        rest = line[len(prefix) :]
        return prefix[-1].isspace() or not rest or rest[0].isspace() or bool(self.mistake(token, width, line))


def _sentences(
    numbered: Iterator[tuple[int, str]], report: Report, wanted: _Columns
) -> Iterator[tuple[list[str], ...]]:
    width, tokens = 0, list[list[str]]()
    separator = wanted.separator

    def chosen() -> tuple[list[str], ...]:
        return tuple([token[c] for token in tokens] for c in wanted.columns)

    for number, line in numbered:
        if separator is None and not width and "\t" in line:
            separator = "\t"
        token = wanted.split(line, separator)
        begins = DOCUMENT in wanted.skip and token[:1] and token[0].split()[:1] == [DOCUMENT]
        if not line.strip() or begins:
            if tokens:
                yield chosen()
            tokens = []
        elif wanted.has_nodes and re.fullmatch(r"\d+[-.]\d+", token[0]):
            continue
        elif tokens or not wanted.is_comment(line, token, width):
            if mistake := wanted.mistake(token, width, line):
                report(f"line {number}", mistake)
            else:
                width = len(token)
                tokens.append(token)
    if tokens:
        yield chosen()


def read_table(
    path: PathLike,
    columns: int,
    *,
    separator: str | None = None,
    header: bool = False,
    encoding: str = "utf-8",
    parse: Callable[..., Any] | None = None,
) -> Records[Any]:
    """The rows of a table of that many columns, such as pairs of sentences; `header` leaves out the first.

    `parse`, called with the columns of a row, makes a record of them; where it raises ValueError, which says
    what is wrong, the line is malformed.

    Files named `.csv` have commas between columns and may quote (RFC 4180); others have `separator`, by
    default tabs, and every character stands for itself.
    """
    if separator is None:
        separator = "," if Path(path).name.removesuffix(".gz").endswith(".csv") else "\t"
    if columns < 1 or len(separator) != 1:
        raise ConfigError(
            f"A table has 1 column or more and one character between them, not {columns} and {separator!r}."
        )
    made = (lambda *row: row) if parse is None else parse
    return Records(path, lambda report: _rows(path, report, columns, separator, header, encoding, made))


def _rows(
    path: PathLike,
    report: Report,
    columns: int,
    separator: str,
    header: bool,
    encoding: str,
    parse: Callable[..., Any],
) -> Iterator[Any]:
    for number, row in table_rows(lines(path, report, encoding), report, separator):
        if header:
            header = False
        elif len(row) != columns:
            report(f"line {number}", f"has {_columns(len(row))}, and {columns} are needed.")
        else:
            try:
                record = parse(*row)
            except ValueError as error:
                report(f"line {number}", str(error))
                continue
            yield record


def table_rows(
    numbered: Iterator[tuple[int, str]], report: Report, separator: str
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table with the numbers of their (last) lines; between commas, cells may be quoted."""
    if separator == ",":
        return _quoted(numbered, report, separator)
    return ((number, line.split(separator)) for number, line in numbered if line.strip())


def _quoted(
    numbered: Iterator[tuple[int, str]], report: Report, separator: str
) -> Iterator[tuple[int, list[str]]]:
    at = 0

    def with_ends() -> Iterator[str]:
        nonlocal at
        for number, line in numbered:
            at = number
            yield line + "\n"  # a field in quotes may go on over several lines

    reader = csv.reader(with_ends(), delimiter=separator, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            report(f"line {at}", f"is not CSV: {error}.")
            continue
        if row:
            yield at, row


def read_jsonl(path: PathLike, keys: Sequence[str] = (), *, encoding: str = "utf-8") -> Records[Any]:
    """The values of a file of one JSON value a line; with `keys`, a tuple of these values of each object."""
    keys = (keys,) if isinstance(keys, str) else keys
    return Records(path, lambda report: _json_values(lines(path, report, encoding), report, keys))


def _json_values(numbered: Iterator[tuple[int, str]], report: Report, keys: Sequence[str]) -> Iterator[Any]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            report(f"line {number}", f"is not JSON: {error}.")
            continue
        missing = [key for key in keys if not (isinstance(value, dict) and key in value)]
        if missing:
            report(f"line {number}", f"is no object with the keys {', '.join(map(repr, missing))}.")
        else:
            yield tuple(value[key] for key in keys) if keys else value


def read_json(path: PathLike) -> Any:
    """The value of a JSON file, held in memory. Raises DataError with the line of a mistake."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{located(path)}, line {error.lineno}: is not JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{located(path)} is not JSON that can be read: {error}.") from None


def read_slots(folder: PathLike) -> Records[Slots]:
    """The utterances of a folder with the files `seq.in` (words), `seq.out` (tags) and `label` (intents)."""
    return Records(folder, lambda report: _utterances(Path(folder), report))


def _utterances(folder: Path, report: Report) -> Iterator[Slots]:
    def numbered(name: str) -> Iterator[tuple[int, str]]:
        return lines(folder / name, lambda where, what: report(f"{name}, {where}", what))

    files = zip_longest(numbered("seq.in"), numbered("seq.out"), numbered("label"))
    for number, found in enumerate(files, 1):
        if None in found or any(at != number for at, _ in found):
            report(f"line {number}", "is not in all of seq.in, seq.out and label.")
            return  # from here on, lines would be put together that do not belong together
        words, tags, intent = (text.split() for _, text in found)
        if len(words) != len(tags) or not words:
            report(f"seq.out, line {number}", f"has {len(tags)} tags for {len(words)} words.")
        elif len(intent) != 1:
            report(f"label, line {number}", f"has {len(intent)} words, and an intent is one.")
        else:
            yield Slots(words, tags, intent[0])


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"
