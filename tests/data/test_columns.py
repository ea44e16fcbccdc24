"""Columns by name and by number: of tables and of JSON, with what is wrong in a sentence."""

import json

import pytest

from tinyseq.data import read_columns
from tinyseq.errors import ConfigError, DataError

ROWS = [{"id": 1, "text": 'a "b", c', "label": "x"}, {"id": 2, "text": "d\te", "label": "y"}]


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.tsv"])
def test_named_columns_in_any_order_without_the_others(tmp_path, name):
    path = tmp_path / name
    texts = {
        "x.csv": 'id,text,label\n1,"a ""b"", c",x\n2,d\te,y\n',
        "x.jsonl": "\n".join(map(json.dumps, ROWS)),
        "x.json": json.dumps(ROWS),
        "x.tsv": 'id\ttext\tlabel\n1\ta "b", c\tx\n2\td e\ty\n',
    }
    path.write_text(texts[name])
    found = list(read_columns(path, ["label", "text"]))
    assert found == [("x", 'a "b", c'), ("y", "d e" if name == "x.tsv" else "d\te")]
    assert list(read_columns(path, "label", parse=str.upper)) == ["X", "Y"]


def test_numbers_count_columns_of_tables_without_a_header(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\tc\nd\te\tf\n")
    assert list(read_columns(path, (0, -1))) == [("a", "c"), ("d", "f")]
    assert list(read_columns(path, (-1, "a"))) == [("f", "d")]


@pytest.mark.parametrize(
    ("name", "text", "columns", "message"),
    [
        ("x.csv", "a,b\n1,2\n", ["c"], r"line 1: has no column 'c', but a, b"),
        ("x.csv", "a,a\n1,2\n", ["a"], "line 1: has 2 columns 'a', but a, a"),
        ("x.csv", "a,b\n1,2,3\n", ["a"], "line 2: has 3 columns, and 2 are needed"),
        ("x.tsv", "a\tb\n", [2], "line 1: has 2 columns, and no 2"),
        (
            "x.jsonl",
            '{"a": 1}\n[1]\n',
            ["b"],
            r"record 1: has 'a': there is no 'b'(.|\n)*record 2: is no obj",
        ),
        ("x.json", '[{"a": 1}, 2]', ["a"], "element 2: is no object: there is no 'a'"),
        ("x.csv", "", ["a"], "is empty"),
    ],
)
def test_what_is_not_there_is_named_with_its_place(tmp_path, name, text, columns, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_columns(path, columns))


def test_questions_that_make_no_sense(tmp_path):
    with pytest.raises(ConfigError, match="JSON has keys"):
        read_columns("x.jsonl", [0])
    with pytest.raises(ConfigError, match="one column or more"):
        read_columns("x.csv", [])
