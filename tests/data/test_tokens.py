"""Ids of tokens for TokenFeatures, and ids on disk."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import CAPITALISATIONS, ContiguousWindows, Vocabulary, capitalisation, store_ids, token_ids
from tinyseq.errors import ConfigError, DataError

WORDS = Vocabulary(["the", "cat"], unit="word", specials=["?"], unknown="?")
CHARACTERS = Vocabulary("acehtT", specials=["", "?"], unknown="?")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("cat", "lower"), ("Cat", "initial"), ("I", "initial"), ("NATO", "upper"), ("iPhone", "mixed"),
        ("d'Or", "mixed"), ("3rd", "digits"), ("B2B", "digits"), ("...", "symbols"), ("don't", "lower"),
        ("\u00c9t\u00e9", "initial"), ("\u732b", "lower"), ("'Tis", "mixed"), ("U.S.", "upper"),
    ],
)  # fmt: skip
def test_capitalisations(word: str, name: str) -> None:
    assert CAPITALISATIONS[capitalisation(word)] == name


@given(st.text(min_size=1, max_size=6))
def test_every_word_has_a_capitalisation(word: str) -> None:
    assert 0 <= capitalisation(word) < len(CAPITALISATIONS)


def test_ids_of_tokens() -> None:
    assert token_ids(["The", "cat", "zebra"], WORDS, CHARACTERS, width=4).tolist() == [
        [1, 1, *CHARACTERS.encode("The").tolist(), 0],
        [2, 0, *CHARACTERS.encode("cat").tolist(), 0],
        [0, 0, *CHARACTERS.encode("zebr").tolist()],
    ]
    with pytest.raises(ConfigError, match="whose symbol 0 is a special one"):
        token_ids(["a"], WORDS, Vocabulary("abc"))
    with pytest.raises(ConfigError, match="width=0"):
        token_ids(["a"], WORDS, CHARACTERS, width=0)
    with pytest.raises(DataError, match=r"Word 1 of \['a', ''\] is empty"):
        token_ids(["a", ""], WORDS, CHARACTERS)


@given(pieces=st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5), max_size=5))
def test_ids_on_disk_are_the_ids(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("ids") / "ids"
    if not any(pieces):
        with pytest.raises(DataError, match="no ids to store"):
            store_ids(path, pieces)
        return
    stored = store_ids(path, (np.array(piece, np.int64) for piece in pieces))
    assert isinstance(stored, np.memmap)
    assert stored.tolist() == [i for piece in pieces for i in piece]


def test_windows_of_ids_on_disk_are_those_of_ids_in_memory(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 9, 100)
    on_disk = store_ids(tmp_path / "ids", [ids[:30], ids[30:]])
    stored = ContiguousWindows(on_disk, 4, 7)
    for ours, theirs in zip(stored, ContiguousWindows(ids, 4, 7), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.data.numpy(), b.data.numpy())
    assert np.shares_memory(stored._inputs, on_disk)  # nothing was read into memory
