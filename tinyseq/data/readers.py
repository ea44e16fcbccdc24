"""Readers of the file formats that sequence tasks come in; all read `.gz` as well, and stream."""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from tinyseq.data.files import PathLike, Records, Report, lines, located
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

    Columns stand between `separator`, by default any white space. Lines that begin with one of `skip` are
    left out ("#" for comments). A line with another number of columns than the first, or with nothing in one
    that is asked for, is malformed.
    """
    return Records(
        path, lambda report: _sentences(lines(path, report, encoding), report, columns, separator, skip)
    )


def _sentences(
    numbered: Iterator[tuple[int, str]],
    report: Report,
    columns: Sequence[int],
    separator: str | None,
    skip: Sequence[str],
) -> Iterator[tuple[list[str], ...]]:
    width, tokens = 0, list[list[str]]()
    for number, line in numbered:
        if not line.strip():
            if tokens:
                yield tuple([token[c] for token in tokens] for c in columns)
            tokens = []
        elif not line.startswith(tuple(skip)):
            token = line.split(separator)
            needed = max(c + 1 if c >= 0 else -c for c in columns)
            if len(token) < needed:
                report(f"line {number}", f"has {_columns(len(token))}, and {needed} are needed.")
            elif width and len(token) != width:
                report(f"line {number}", f"has {_columns(len(token))}, and the lines before have {width}.")
            elif not all(token[c].strip() for c in columns):
                report(f"line {number}", "has nothing in a column that is needed.")
            else:
                width = len(token)
                tokens.append(token)
    if tokens:
        yield tuple([token[c] for token in tokens] for c in columns)


def read_table(
    path: PathLike,
    columns: int,
    *,
    separator: str | None = None,
    header: bool = False,
    encoding: str = "utf-8",
) -> Records[tuple[str, ...]]:
    """The rows of a table of that many columns, such as pairs of sentences; `header` leaves out the first.

    Files named `.csv` have commas between columns and may quote (RFC 4180); others have `separator`, by
    default tabs, and every character stands for itself.
    """
    if separator is None:
        separator = "," if Path(path).name.removesuffix(".gz").endswith(".csv") else "\t"
    if columns < 1 or len(separator) != 1:
        raise ConfigError(
            f"A table has 1 column or more and one character between them, not {columns} and {separator!r}."
        )
    return Records(path, lambda report: _rows(path, report, columns, separator, header, encoding))


def _rows(
    path: PathLike, report: Report, columns: int, separator: str, header: bool, encoding: str
) -> Iterator[tuple[str, ...]]:
    numbered = lines(path, report, encoding)
    rows = _quoted(numbered, report, separator) if separator == "," else _plain(numbered, separator)
    for number, row in rows:
        if header:
            header = False
        elif len(row) != columns:
            report(f"line {number}", f"has {_columns(len(row))}, and {columns} are needed.")
        else:
            yield tuple(row)


def _plain(numbered: Iterator[tuple[int, str]], separator: str) -> Iterator[tuple[int, list[str]]]:
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
    return Records(path, lambda report: _values(lines(path, report, encoding), report, keys))


def _values(numbered: Iterator[tuple[int, str]], report: Report, keys: Sequence[str]) -> Iterator[Any]:
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
