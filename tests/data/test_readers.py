"""Readers: what was written is read, and what is malformed is said, line by line."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import Slots, read_conll, read_json, read_jsonl, read_slots, read_table
from tinyseq.errors import ConfigError, DataError

plain = st.characters(exclude_categories=["C", "Z"])
words = st.text(plain, min_size=1, max_size=8).filter(lambda w: not w.startswith("-DOCSTART-"))
sentences = st.lists(st.lists(st.tuples(words, words, words), min_size=1, max_size=4), min_size=1, max_size=4)
cells = st.text(st.characters(exclude_characters="\0\ufeff", codec="utf-8"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readers") / "file"


@given(data=sentences, separator=st.sampled_from(["\t", " "]), blank=st.integers(1, 3))
def test_conll_round_trip(path: Path, data: list[list[tuple[str, ...]]], separator: str, blank: int) -> None:
    text = ("\n" * blank).join("".join(separator.join(token) + "\n" for token in tokens) for tokens in data)
    path.write_text("-DOCSTART- X\n\n" + text, encoding="utf-8")
    for given_separator in (separator, None):
        read = list(read_conll(path, (0, -1, 1), separator=given_separator))
        assert read == [tuple([t[c] for t in tokens] for c in (0, 2, 1)) for tokens in data]


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("a X\nb\n", ["line 2: has 1 column, and 2 are needed."]),
        ("a b X\nc X\n\nd e X\n", ["line 2: has 2 columns, and the lines before have 3."]),
        ("a\n\nb X Y\n", ["line 1: has 1 column, and 2 are needed."]),
    ],
)
def test_malformed_conll(path: Path, text: str, mistakes: list[str]) -> None:
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        list(read_conll(path, (0, 1)))
    assert str(caught.value) == "\n".join(f"{path}, {mistake}" for mistake in mistakes)


def test_conll_with_comments_and_empty_columns(path: Path) -> None:
    path.write_text("# id = 1\na\tX\n#\tY\n")
    assert list(read_conll(path, skip=["# "])) == [(["a", "#"], ["X", "Y"])]
    path.write_text("a\tX\nb\t\n")
    with pytest.raises(DataError, match="line 2: has nothing in a column that is needed"):
        list(read_conll(path, separator="\t"))


@given(rows=st.lists(st.tuples(cells, cells), min_size=1))
def test_csv_round_trip(path: Path, rows: list[tuple[str, str]]) -> None:
    """Text that Python's own writer quotes, with line ends, quotes and commas in it."""
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("first", "second"), *rows])
    read = list(read_table(path.with_suffix(".csv"), 2, header=True)) if rows else []
    wanted = [tuple(cell.replace("\r\n", "\n") for cell in row) for row in rows]
    assert read == wanted


@given(rows=st.lists(st.tuples(words, words, words), min_size=1))
def test_tables_with_tabs_take_quotes_as_text(path: Path, rows: list[tuple[str, ...]]) -> None:
    path.write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8")
    assert list(read_table(path, 3)) == rows


def test_malformed_tables(path: Path) -> None:
    path.write_text('a,b\n"c\nd",e\n"f"g,h\ni\nj,k,l\n')
    with pytest.raises(DataError) as caught:
        list(read_table(path, 2, separator=","))
    first, second, third = str(caught.value).split("\n")
    assert first.startswith(f"{path}, line 4: is not CSV: ")
    assert second == f"{path}, line 5: has 1 column, and 2 are needed."
    assert third == f"{path}, line 6: has 3 columns, and 2 are needed."
    for columns, separator in ((0, None), (2, ""), (2, "ab")):
        with pytest.raises(ConfigError, match="A table has 1 column or more"):
            read_table(path, columns, separator=separator)


@given(values=st.lists(json_values, min_size=1, max_size=5))
def test_json_round_trip(path: Path, values: list[Any]) -> None:
    path.write_text("\n\n".join(json.dumps(value) for value in values), encoding="utf-8")
    assert list(read_jsonl(path)) == values
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")
    assert read_json(path) == values


def test_objects_by_their_keys(path: Path) -> None:
    path.write_text('{"a": 1, "b": 2}\n{"b": 4, "a": 3, "c": 0}\n')
    assert list(read_jsonl(path, ["b", "a"])) == [(2, 1), (4, 3)]
    path.write_text('{"a": 1}\n[1]\n{"a": \n' + "[" * 100_000)
    with pytest.raises(DataError) as caught:
        list(read_jsonl(path, ["a", "b"]))
    said = [line.removeprefix(f"{path}, ") for line in str(caught.value).split("\n")]
    assert said[:2] == [
        "line 1: is no object with the keys 'b'.",
        "line 2: is no object with the keys 'a', 'b'.",
    ]
    assert [line[: len("line 3: is not JSON: ")] for line in said[2:]] == [
        "line 3: is not JSON: ",
        "line 4: is not JSON: ",
    ]


def test_a_wrong_json_file_has_a_line(path: Path) -> None:
    path.write_text("[1,\n 2,\n oops]")
    with pytest.raises(DataError, match="file, line 3: is not JSON: Expecting value"):
        read_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="is not JSON"):
        read_json(path)


def write_slots(folder: Path, words: str, tags: str, labels: str) -> None:
    for name, text in (("seq.in", words), ("seq.out", tags), ("label", labels)):
        (folder / name).write_text(text)


def test_slots(tmp_path: Path) -> None:
    write_slots(tmp_path, "play jazz \nrain ?\n", "O B-genre \nO O\n", "Play\nWeather\n")
    assert list(read_slots(tmp_path)) == [
        Slots(["play", "jazz"], ["O", "B-genre"], "Play"),
        Slots(["rain", "?"], ["O", "O"], "Weather"),
    ]


def test_a_line_that_is_no_text_does_not_shift_the_others(tmp_path: Path) -> None:
    write_slots(tmp_path, "a\nb\nc\n", "", "X\nX\nX\n")
    (tmp_path / "seq.out").write_bytes(b"O\n\xe9\nB-x\n")
    with pytest.raises(DataError) as caught:
        list(read_slots(tmp_path))
    first, second = str(caught.value).split("\n")
    assert first.startswith(f"{tmp_path}, seq.out, line 2: is not utf-8")
    assert second == f"{tmp_path}, line 2: is not in all of seq.in, seq.out and label."


@pytest.mark.parametrize(
    ("files", "mistake"),
    [
        (("a b\n", "O\n", "X\n"), "seq.out, line 1: has 1 tags for 2 words."),
        (("a\n\n", "O\n\n", "X\nX\n"), "seq.out, line 2: has 0 tags for 0 words."),
        (("a\n", "O\n", "X Y\n"), "label, line 1: has 2 words, and an intent is one."),
        (("a\nb\n", "O\nO\n", "X\n"), "line 2: is not in all of seq.in, seq.out and label."),
    ],
)
def test_malformed_slots(tmp_path: Path, files: tuple[str, str, str], mistake: str) -> None:
    write_slots(tmp_path, *files)
    with pytest.raises(DataError) as caught:
        list(read_slots(tmp_path))
    assert str(caught.value) == f"{tmp_path}, {mistake}"
