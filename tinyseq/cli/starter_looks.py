"""Which columns of a data file hold what, as far as a look at it tells."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tinyseq.data import read_jsonl
from tinyseq.data.columns import JSON_LINES
from tinyseq.data.files import lines
from tinyseq.data.readers import read_json, table_rows
from tinyseq.errors import DataError, listed

ROWS = 2000  # that are looked at

COLUMNS = {
    "tagging": ("words", "tags"),
    "classification": ("text", "label"),
    "pairs": ("first", "second", "label"),
    "sequence-to-sequence": ("source", "target"),
}
"""The options of [data] that name columns."""

LABELS = ("label", "tags")

NAMES = {
    "words": ("tokens", "words"),
    "tags": ("tags", "ner_tags", "pos_tags", "labels", "ner", "slots"),
    "text": ("text", "sentence", "review", "comment", "content", "question", "message", "utterance", "name"),
    "first": ("first", "question1", "sentence1", "text1", "premise", "a"),
    "second": ("second", "question2", "sentence2", "text2", "hypothesis", "b"),
    "source": ("source", "src", "input", "question", "prompt"),
    "target": ("target", "tgt", "output", "answer", "response", "translation"),
    "label": (
        "label",
        "class",
        "category",
        "sentiment",
        "intent",
        "target",
        "language",
        "duplicate",
        "is_duplicate",
        "same",
        "score",
    ),
}
"""What columns are often called, by option of [data]; the first that is there."""


def columns_of(task: str, path: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Options of [data] for the columns of a file, but those that are `said`."""
    suffix = Path(path.name.removesuffix(".gz")).suffix
    wanted = COLUMNS[task]
    left = [option for option in wanted if option not in said]
    if path.is_dir() or not left:
        return {}
    if suffix in JSON_LINES:
        found = read_json(path) if suffix == ".json" else list(islice(read_jsonl(path), ROWS))
        objects = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
        if not objects:
            raise DataError(f"{path} has no objects with keys: say which columns with --set.")
        return _named(path, left, list(objects[0]), [list(row.values()) for row in objects[:ROWS]], said)
    if task == "tagging":
        return {"words": 1, "tags": 3} if suffix == ".conllu" else {}
    encoding = said.get("encoding", "utf-8")
    rows = [row for _, row in islice(_rows(path, "," if suffix == ".csv" else "\t", encoding), ROWS)]
    if not rows:
        raise DataError(f"{path} is empty: there is nothing to learn from.")
    return _of_table(path, left, rows, said)


def _rows(path: Path, separator: str, encoding: str) -> Any:
    return table_rows(lines(path, lambda where, what: None, encoding), lambda where, what: None, separator)


def _of_table(path: Path, left: list[str], rows: list[list[str]], said: dict[str, Any]) -> dict[str, Any]:
    """By the names of the first line; without a name that is known, by what stands in the columns."""
    head, body = [cell.strip() for cell in rows[0]], [row for row in rows[1:] if len(row) == len(rows[0])]
    told = any(isinstance(said.get(option), str) for option in NAMES)
    if told or any(_known(option, head) for option in left):
        return _named(path, left, head, body, said)
    numbered = _named(path, left, list(range(len(head))), body, said)
    label = numbered.get("label")
    if label is None:  # two texts, without names that are known: nothing tells a header from a row
        return numbered
    repeats = isinstance(label, int) and head[label] in {row[label].strip() for row in body}
    if repeats or len(set(head)) < len(head):  # the first line is a row like the others
        return numbered
    return {option: head[place] for option, place in numbered.items()}


def _known(option: str, names: Sequence[Any]) -> str | None:
    lower = {str(name).lower(): name for name in names}
    return next((lower[name] for name in NAMES[option] if name in lower), None)


def _named(
    path: Path, left: list[str], names: Sequence[Any], rows: list[list[Any]], said: dict[str, Any]
) -> dict[str, Any]:
    """A column for each option: by its name; else labels where fewest values differ, texts where longest."""
    found = {option: name for option in left if (name := _known(option, names)) is not None}
    taken = {*found.values(), *(said[option] for option in NAMES if option in said)}
    rest = [i for i, name in enumerate(names) if name not in taken]
    missing = [option for option in left if option not in found]
    if len(missing) > len(rest):
        raise DataError(
            f"{path} has the columns {listed(names, 12)}, and none for {missing[-1]}: say it with "
            f"--set {missing[-1]}=NAME."
        )
    for option in [option for option in missing if option in LABELS]:
        place = min(rest, key=lambda i: _variety(rows, i))
        found[option] = names[place]
        rest.remove(place)
    texts = [option for option in missing if option not in LABELS]
    longest = sorted(sorted(rest, key=lambda i: -_length(rows, i))[: len(texts)])
    found |= {option: names[place] for option, place in zip(texts, longest, strict=True)}
    return {option: found[option] for option in left}


def _variety(rows: list[list[Any]], place: int) -> float:
    """How many values a column has; one value is no label."""
    count = len({str(row[place]) for row in rows if place < len(row)})
    return count if count > 1 else float("inf")


def _length(rows: list[list[Any]], place: int) -> float:
    return sum(len(str(row[place])) for row in rows if place < len(row))
