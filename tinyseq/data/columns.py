"""Columns by name or number, of tables and of JSON, whatever else stands beside them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tinyseq.data.files import PathLike, Records, Report, lines
from tinyseq.data.readers import read_json, read_jsonl, table_rows
from tinyseq.errors import ConfigError

JSON_LINES = (".jsonl", ".ndjson", ".json")


def read_columns(
    path: PathLike,
    columns: Sequence[str | int],
    *,
    separator: str | None = None,
    encoding: str = "utf-8",
    parse: Callable[..., Any] | None = None,
) -> Records[Any]:
    """The values of these columns, row by row, in this order; other columns are left alone.

    Of a table, names stand in its first line; if all are numbers, from 0 (or -1 for the last), there is no
    such line. Of JSON lines (`.jsonl`, `.ndjson`) and of a list in a `.json` file, names are keys of objects.
    Files named `.csv` may quote, others have `separator`, by default tabs, as in `read_table`, which also
    says what `parse` does.
    """
    suffix = Path(Path(path).name.removesuffix(".gz")).suffix
    wanted = (columns,) if isinstance(columns, str | int) else tuple(columns)
    if suffix in JSON_LINES:
        named = [name for name in wanted if isinstance(name, str)]
        if len(named) < len(wanted):
            raise ConfigError(f"JSON has keys, not numbers of columns: name them instead of {list(wanted)}.")
        made = (lambda *row: row) if parse is None else parse
        return Records(path, lambda report: _objects(path, report, named, encoding, made))
    if not wanted or (separator is not None and len(separator) != 1):
        raise ConfigError(
            f"read_columns() takes one column or more and one character between columns, not {list(wanted)} "
            f"and {separator!r}."
        )
    between = separator or ("," if suffix == ".csv" else "\t")
    made = (lambda *row: row) if parse is None else parse
    return Records(path, lambda report: _cells(path, report, wanted, between, encoding, made))


def _cells(
    path: PathLike,
    report: Report,
    columns: tuple[str | int, ...],
    separator: str,
    encoding: str,
    parse: Callable[..., Any],
) -> Iterator[Any]:
    width, places = 0, list[int]()
    for number, row in table_rows(lines(path, report, encoding), report, separator):
        if not places:
            width = len(row)
            names = [cell.strip() for cell in row]
            wrong = "; ".join(said for column in columns if (said := _mistake(column, names)))
            if wrong:
                report(f"line {number}", wrong + ".")
                return
            places = [names.index(c) if isinstance(c, str) else c % width for c in columns]
            if any(isinstance(column, str) for column in columns):
                continue
        if len(row) != width:
            report(f"line {number}", f"has {len(row)} column{'s' * (len(row) != 1)}, and {width} are needed.")
            continue
        yield from _parsed(parse, [row[place] for place in places], f"line {number}", report)


def _mistake(column: str | int, names: list[str]) -> str:
    """Why a table whose first line is `names` has no such column, or an empty string."""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if isinstance(column, int):
        return "" if -len(names) <= column < len(names) else f"has {len(names)} columns, and no {column}"
    count = names.count(column)
    return "" if count == 1 else f"has {count or 'no'} column{'s' * (count > 1)} {column!r}, but {shown}"


def _objects(
    path: PathLike, report: Report, keys: list[str], encoding: str, parse: Callable[..., Any]
) -> Iterator[Any]:
    rows: Iterable[Any]
    rows, at = read_jsonl(path, encoding=encoding), "record {}"
    if Path(path).name.removesuffix(".gz").endswith(".json"):
        found = read_json(path)
        rows, at = found if isinstance(found, list) else [found], "element {}"
    for number, row in enumerate(rows, 1):
        missing = [key for key in keys if not (isinstance(row, dict) and key in row)]
        if missing:
            has = f"has {', '.join(map(repr, list(row)[:12]))}" if isinstance(row, dict) else "is no object"
            report(at.format(number), f"{has}: there is no {', '.join(map(repr, missing))}.")
        else:
            yield from _parsed(parse, [row[key] for key in keys], at.format(number), report)


def _parsed(parse: Callable[..., Any], values: list[Any], where: str, report: Report) -> list[Any]:
    try:
        return [parse(*values)]
    except ValueError as error:
        report(where, str(error))
        return []
