"""Vectors of words from files: what was written is loaded, into the right rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import Vocabulary, load_vectors, read_vectors
from tinyseq.errors import DataError
from tinyseq.nn import Embedding

words = st.text(st.characters(exclude_characters="\0\n\r\ufeff", codec="utf-8"), min_size=1, max_size=5)
numbers = st.floats(-1e3, 1e3, width=32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors") / "vectors.txt"


@given(
    vectors=st.dictionaries(words, st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=6),
    header=st.booleans(),
)
def test_round_trip(path: Path, vectors: dict[str, list[float]], header: bool) -> None:
    """Words may hold spaces, even at their ends, once a count says how many numbers a line has."""
    if not header and (" " in next(iter(vectors)) or not next(iter(vectors)).strip()):
        return  # nothing tells how many numbers there are
    lines = [f"{word} {' '.join(map(repr, vector))}" for word, vector in vectors.items()]
    path.write_text("\n".join([f"{len(vectors)} 3", *lines] if header else lines), encoding="utf-8")
    read = dict(read_vectors(path))
    assert list(read) == list(vectors)
    for word, vector in vectors.items():
        np.testing.assert_array_equal(read[word], np.array(vector, np.float32))


def test_malformed_lines(path: Path) -> None:
    path.write_text("a 1 2\nb 1\nc 1 x\nd 1 nan\ne\n")
    with pytest.raises(DataError) as caught:
        list(read_vectors(path))
    said = [line.removeprefix(f"{path}, ") for line in str(caught.value).split("\n")]
    assert said[0] == "line 2: has 1 numbers, and 2 are needed."
    assert said[1].startswith("line 3: has something else than 2 numbers: ")
    assert said[2] == "line 4: has a number in the vector of 'd' that is not finite."
    assert said[3] == "line 5: has 0 numbers, and 2 are needed."


def test_rows_of_an_embedding(path: Path, backend: str) -> None:
    vocabulary = Vocabulary(["cat", "Cat", "Dog", "unseen"], unit="word", specials=["<unk>"], unknown="<unk>")
    path.write_text("dog 1 2\ncat 3 4\n<unk> 5 6\nzebra 7 8\nCat 9 9\n")
    embedding = Embedding(5, 2).to(backend)
    before = embedding.weight.numpy().copy()
    assert load_vectors(embedding, path, vocabulary) == 2
    after = embedding.weight.numpy()
    np.testing.assert_array_equal(after[1:3], [[3, 4], [9, 9]])
    np.testing.assert_array_equal(after[[0, 3, 4]], before[[0, 3, 4]])  # special, other case, not there
    assert load_vectors(embedding, path, vocabulary, lowercase=True) == 3
    np.testing.assert_array_equal(embedding.weight.numpy()[1:4], [[3, 4], [9, 9], [1, 2]])
    assert load_vectors(embedding, path, Vocabulary("vwxyz")) == 0
    path.write_text("Cat 9 9\ncat 3 4\n")  # the exact form wins, whichever comes first
    load_vectors(embedding, path, vocabulary, lowercase=True)
    np.testing.assert_array_equal(embedding.weight.numpy()[1:3], [[3, 4], [9, 9]])


def test_sizes_that_differ(path: Path) -> None:
    path.write_text("a 1 2 3\n")
    with pytest.raises(DataError, match="vectors of 3 numbers, the embedding of 2"):
        load_vectors(Embedding(2, 2), path, Vocabulary("ab"))
    with pytest.raises(DataError, match="the embedding has 3 rows, the vocabulary 2 symbols"):
        load_vectors(Embedding(3, 2), path, Vocabulary("ab"))
