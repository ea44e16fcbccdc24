"""Vocabulary: texts survive it, files survive it, and unknown symbols are named."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import Vocabulary
from tinyseq.errors import ConfigError, DataError

words = st.lists(st.text("abcé☃", min_size=1, max_size=3), min_size=1, max_size=30)


@given(text=st.text(min_size=1))
def test_characters_come_back(text: str) -> None:
    vocabulary = Vocabulary.build(text, specials=["<pad>"])
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int64
    assert vocabulary.decode(ids) == text
    assert len(vocabulary) == len(set(text)) + 1


@given(tokens=words, min_count=st.integers(1, 3))
def test_rare_words_become_the_unknown_token(tokens: list[str], min_count: int) -> None:
    text = " ".join(tokens)
    vocabulary = Vocabulary.build(
        text, unit="word", min_count=min_count, specials=["<pad>", "<unk>"], unknown="<unk>"
    )
    counts = Counter(tokens)
    expected = [t if counts[t] >= min_count else "<unk>" for t in tokens]
    assert vocabulary.decode(vocabulary.encode(text)) == " ".join(expected)
    assert vocabulary.decode(vocabulary.encode(text), skip_specials=True) == " ".join(
        t for t in expected if t != "<unk>"
    )
    assert vocabulary.id("never seen") == 1


@given(tokens=words)
def test_order_is_by_count_then_code_point(tokens: list[str]) -> None:
    symbols = Vocabulary.build(tokens, unit="word").symbols
    counts = Counter(tokens)
    assert sorted(symbols, key=lambda s: (-counts[s], s)) == list(symbols)
    assert set(symbols) == set(tokens)


@given(tokens=words, max_size=st.integers(0, 6))
def test_max_size_keeps_the_most_frequent(tokens: list[str], max_size: int) -> None:
    whole = Vocabulary.build(tokens, unit="word", specials=["<s>"])
    cut = Vocabulary.build(tokens, unit="word", specials=["<s>"], max_size=max_size)
    assert cut.symbols == whole.symbols[: max(1, max_size)]


@given(tokens=words)
def test_json_round_trip(tokens: list[str]) -> None:
    for vocabulary in (
        Vocabulary.build(tokens, unit="word", specials=["<unk>", "<s>"], unknown="<unk>"),
        Vocabulary.build("".join(tokens)),
    ):
        again = Vocabulary.from_json(vocabulary.to_json())
        assert again == vocabulary
        assert hash(again) == hash(vocabulary)
        assert again.symbols == vocabulary.symbols
    assert Vocabulary("ab") != Vocabulary(["a", "b"], unit="word")


@pytest.mark.parametrize(
    "text",
    [
        "not json", "[]", "{}", '{"version": 2}', '{"version": 1, "unit": "char"}',
        json.dumps({"version": 1, "unit": "char", "specials": [], "unknown": None, "symbols": [1]}),
        json.dumps({"version": 1, "unit": "byte", "specials": [], "unknown": None, "symbols": []}),
        json.dumps({"version": 1, "unit": "char", "specials": [], "unknown": None, "symbols": ["a", "a"]}),
    ],
)  # fmt: skip
def test_broken_json_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"no vocabulary that to_json\(\) wrote"):
        Vocabulary.from_json(text)


def test_an_unknown_symbol_is_named_with_its_position() -> None:
    vocabulary = Vocabulary("abc")
    with pytest.raises(DataError) as caught:
        vocabulary.encode("abxcxy")
    assert str(caught.value) == (
        "char 'x' at position 2 is not in the vocabulary of 3 chars (3 such position(s) in all): build the "
        "vocabulary with an unknown token, or from this text as well."
    )
    with pytest.raises(DataError, match="'z' at position 0"):
        vocabulary.id("z")


def test_an_id_without_symbol_is_refused() -> None:
    for bad in (-1, 3):
        with pytest.raises(DataError, match=f"no id {bad} in a vocabulary of 3 chars"):
            Vocabulary("abc").decode([0, bad])


def test_senseless_vocabularies_are_refused() -> None:
    with pytest.raises(ConfigError, match="these come twice: 'a'"):
        Vocabulary("aba")
    with pytest.raises(ConfigError, match="unit 'char' or 'word', not 'byte'"):
        Vocabulary("ab", unit="byte")
    with pytest.raises(ConfigError, match="'<unk>' is not among the specials"):
        Vocabulary("ab", unknown="<unk>")


def test_membership_ids_and_repr() -> None:
    vocabulary = Vocabulary("ab", specials=["<s>"])
    assert [vocabulary.id(s) for s in ("<s>", "a", "b")] == [0, 1, 2]
    assert "a" in vocabulary
    assert "z" not in vocabulary
    assert repr(vocabulary) == "Vocabulary(3 chars, 1 special)"
