"""Columns of frames, data sets and dictionaries as rows; tokenizers; archives; whole texts."""

import zipfile
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Sequences
from tinyseq.data import (
    LengthBatches,
    TokenizerVocabulary,
    Vocabulary,
    load_vectors,
    rows_of,
    with_class,
    with_tags,
)
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.training import predictions

COLUMNS = {"id": [7, 8], "text": ["a b", "c"], "tags": [["X", "Y"], ["Z"]], "label": [0, 1]}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def pandas_frame(columns: Any) -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(columns, index=None)


def polars_frame(columns: Any) -> Any:
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(columns)


def data_set(columns: Any) -> Any:
    return pytest.importorskip("datasets", reason="datasets is not installed").Dataset.from_dict(columns)


MAKERS = [pandas_frame, polars_frame, data_set, lambda columns: columns]


@pytest.mark.filterwarnings("ignore")  # of what pandas and datasets import
@pytest.mark.parametrize("make", MAKERS)
def test_columns_by_name(make):
    data = make(COLUMNS)
    assert rows_of(data, "label", "text") == [(0, "a b"), (1, "c")]
    assert [list(tags) for (tags,) in rows_of(data, "tags")] == [["X", "Y"], ["Z"]]
    with pytest.raises(DataError, match=r"no column 'lable'. Did you mean 'label'\? The columns: id, text"):
        rows_of(data, "lable")
    with pytest.raises(DataError, match="Row 1 has nothing in the column 'text'"):
        rows_of(make({"text": ["a", None]}), "text")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [*MAKERS, lambda columns: ROWS])
def test_batches_are_measured_right_or_refused(make):
    data = make(COLUMNS)
    with pytest.raises(DataError, match=r"rows_of\(|length=lambda row"):
        LengthBatches(data, 2)
    batches = LengthBatches(rows_of(ROWS, "text", "label"), 1)
    assert batches._lengths.tolist() == [3, 1]
    assert LengthBatches(ROWS, 1, length=lambda row: len(row["tags"]))._lengths.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("data", "columns", "message"),
    [
        (ROWS, (), "needs the names of columns"),
        ("text", ("a",), "not str"),
        (3, ("a",), "not int"),
        ([{"a": 1}, 2], ("a",), "Row 1 is a int"),
        ([{"a": 1}, {"b": 1}], ("a",), "Row 1 has no 'a': it has b"),
        ([{"a": float("nan")}], ("a",), "Row 0 has nothing"),
        ({"a": [1], "b": [1, 2]}, ("a", "b"), "have 1, 2 rows"),
    ],
)
def test_what_has_no_such_rows_is_refused(data, columns, message):
    with pytest.raises(DataError, match=message):
        rows_of(data, *columns)


def test_collating():
    inputs, labels = with_class([([1, 2], 3), ([4], 5)])
    assert [row.numpy().tolist() for row in inputs.to_list()] == [[1, 2], [4]]
    assert labels.tolist() == [3, 5]
    _, tags = with_tags([([1, 2], [3, 4]), ([4], [5])])
    assert [row.numpy().tolist() for row in tags.to_list()] == [[3, 4], [5]]


def test_whole_texts_are_no_symbols():
    for unit in ("word", "char"):
        with pytest.raises(DataError, match="was given texts, such as 'a good film'"):
            Vocabulary.build(["a good film", "a dull one"], unit=unit)
    assert len(Vocabulary.build(["New York", "is", "far"], unit="word")) == 3  # a word with a space


def test_predictions_stand_in_the_order_of_the_data():
    tinyseq.seed(0)
    examples = [(list(range(1, n + 1)), 0) for n in (3, 1, 4, 1, 5, 9, 2, 6)]
    for name, classes in (("classifier", 4), ("tagger", 3)):
        head = tinyseq.heads[name](4, classes)
        model = SequenceModel(Embedding(10, 4), tinyseq.cells["gru"](4, 4), head)
        found = predictions(model, LengthBatches(examples, 3, with_class))
        assert len(found) == len(examples)
        for (ids, _), answer in zip(examples, found, strict=True):
            alone = model.predict(Sequences.from_list([ids]))
            expected = alone.numpy()[0] if name == "classifier" else alone.to_list()[0].numpy()
            np.testing.assert_allclose(answer, expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_tokenizer_is_a_vocabulary():
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["[UNK]"], vocab_size=40, show_progress=False)
    made.train_from_iterator(["low lower lowest", "new newer newest"], trainer)
    vocabulary = TokenizerVocabulary(made)
    assert len(vocabulary) == made.get_vocab_size()
    assert vocabulary.encode("lower newest").tolist() == made.encode("lower newest").ids
    assert vocabulary.encode(list(vocabulary.symbols)).tolist() == list(range(len(vocabulary)))
    assert vocabulary.decode(vocabulary.encode("low")) == made.decode(made.encode("low").ids)
    again = TokenizerVocabulary.from_json(vocabulary.to_json())
    assert again.symbols == vocabulary.symbols
    assert again.encode("newer").tolist() == vocabulary.encode("newer").tolist()
    with pytest.raises(DataError, match="no id 999"):
        vocabulary.decode([999])
    with pytest.raises(DataError, match="no tokenizer that"):
        TokenizerVocabulary.from_json("{}")
    with pytest.raises(ConfigError, match=r"takes a tokenizers.Tokenizer, not a dict"):
        TokenizerVocabulary({})


def test_vectors_from_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as file:
        file.writestr("small.txt", "dog 1 2\n")
        file.writestr("large.txt", "dog 1 2 3\n")
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("any name.txt", "dog 3 4\n")
    words = Vocabulary(["dog"], unit="word")
    for path, expected in (("v.zip/small.txt", [1, 2]), ("one.zip", [3, 4])):
        table = Embedding(1, 2)
        assert load_vectors(table, tmp_path / path, words) == 1
        assert table.weight.numpy()[0].tolist() == expected
    for path, message in (
        ("v.zip", "more than one file: name one, as .*small.txt"),
        ("v.zip/none.txt", "has no 'none.txt'"),
        ("none.zip/a.txt", "There is no file"),
    ):
        with pytest.raises(DataError, match=message):
            load_vectors(table, tmp_path / path, words)
    (tmp_path / "bad.zip").write_bytes(b"PK no archive")
    with pytest.raises(DataError, match="cannot be unpacked"):
        load_vectors(table, tmp_path / "bad.zip", words)


@pytest.mark.parametrize("columns", [True, False])
def test_word_dropout_replaces_words_by_the_unknown_one(columns):
    tinyseq.seed(0)
    ids = np.arange(1, 4001).reshape(-1, 4)
    layer = tinyseq.nn.WordDropout(0.3, unknown=0, columns=columns)
    assert (layer.eval()(tinyseq.Tensor(ids)).numpy() == ids).all()
    found = layer.train()(tinyseq.Tensor(ids)).numpy()
    changed = found != ids
    assert (found[changed] == 0).all()
    places = changed[:, 0] if columns else changed
    assert not columns or not changed[:, 1:].any()
    assert abs(places.mean() - 0.3) < 4 * np.sqrt(0.21 / places.size)
    with pytest.raises(ConfigError, match="probability"):
        tinyseq.nn.WordDropout(1.0)
    with pytest.raises(ConfigError, match="0 or more"):
        tinyseq.nn.WordDropout(unknown=-1)
