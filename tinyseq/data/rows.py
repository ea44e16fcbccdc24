"""Rows of whatever has columns: frames, data sets, lists of dictionaries; and batches of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyseq.errors import DataError, listed, near
from tinyseq.sequences import Sequences


def rows_of(data: Any, *columns: str) -> list[tuple[Any, ...]]:
    """A tuple of these columns for each row, further columns left alone.

    data: a frame of pandas or polars, a data set of Hugging Face, a dictionary of columns, or rows that are
    dictionaries, one after another. Raises DataError for a column that is not there, and for a row that has
    nothing in one.
    """
    if not columns:
        raise DataError('rows_of() needs the names of columns: rows_of(data, "text", "label").')
    names = _names(data)
    if names is None:
        return _of_dictionaries(data, columns)
    for column in columns:
        if column not in names:
            raise DataError(
                f"There is no column {column!r}.{near(column, map(str, names))} The columns: "
                f"{listed(names, 12)}."
            )
    found = [_listed(data[column]) for column in columns]
    lengths = {len(column) for column in found}
    if len(lengths) > 1:
        raise DataError(f"The columns {listed(columns)} have {listed(map(len, found))} rows: give as many.")
    rows = list(zip(*found, strict=True))
    for number, row in enumerate(rows):
        _check(row, columns, number)
    return rows


def with_class(examples: Sequence[tuple[Any, int]]) -> tuple[Sequences, Any]:
    """A batch of pairs (ids, class): the ids as Sequences, the classes as an array. For `collate`."""
    return Sequences.from_list([ids for ids, _ in examples]), np.array([label for _, label in examples])


def with_tags(examples: Sequence[tuple[Any, Any]]) -> tuple[Sequences, Sequences]:
    """A batch of pairs (ids, one target for each), or of two sequences of any lengths. For `collate`."""
    inputs = Sequences.from_list([ids for ids, _ in examples])
    return inputs, Sequences.from_list([tags for _, tags in examples])


def _names(data: Any) -> list[Any] | None:
    """The names of the columns of what is made of columns; None for rows."""
    if isinstance(data, Mapping):
        return list(data)
    for attribute in ("column_names", "columns"):
        names = getattr(data, attribute, None)
        if names is not None and not callable(names):
            return list(names)
    return None


def _of_dictionaries(data: Any, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if isinstance(data, str) or not hasattr(data, "__iter__"):
        raise DataError(
            f"rows_of() takes a frame, a data set or rows that are dictionaries, not {type(data).__name__}."
        )
    rows = []
    for number, row in enumerate(data):
        if not isinstance(row, Mapping):
            raise DataError(f"Row {number} is a {type(row).__name__}, not a dictionary with {columns[0]!r}.")
        missing = [column for column in columns if column not in row]
        if missing:
            raise DataError(f"Row {number} has no {missing[0]!r}: it has {listed(row, 12)}.")
        rows.append(tuple(row[column] for column in columns))
        _check(rows[-1], columns, number)
    return rows


def _listed(column: Any) -> list[Any]:
    for method in ("to_list", "tolist"):
        if hasattr(column, method):
            found: list[Any] = getattr(column, method)()
            return found
    return list(column)


def _check(row: tuple[Any, ...], columns: tuple[str, ...], number: int) -> None:
    for column, value in zip(columns, row, strict=True):
        if value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and value != value):
            raise DataError(
                f"Row {number} has nothing in the column {column!r}: fill it in, or leave it out."
            )
