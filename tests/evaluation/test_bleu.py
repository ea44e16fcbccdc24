"""BLEU by hand, for any split, and without its extra. tests/peers compares with sacrebleu."""

import math
import random
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Sequences
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.evaluation import BLEU


def test_by_hand(backend: str) -> None:
    bleu = BLEU()
    bleu.update([[1, 2, 3, 4, 5]], Sequences.from_list([np.array([1, 2, 3, 4, 6, 7])]))
    precisions = 4 / 5 * 3 / 4 * 2 / 3 * 1 / 2
    assert bleu.value() == pytest.approx(100 * math.exp(1 - 6 / 5) * precisions**0.25, rel=1e-12)
    perfect = BLEU()
    perfect.update([["a", "b", "c", "d"]], [["a", "b", "c", "d"]])
    assert perfect.value() == 100


def test_a_repeated_word_counts_as_often_as_it_is_in_the_reference() -> None:
    bleu = BLEU()
    bleu.update([["the"] * 7], [["the", "cat", "is", "on", "the", "mat"]])
    assert bleu.right.tolist() == [2, 0, 0, 0]
    assert bleu.total.tolist() == [7, 6, 5, 4]


@given(seed=st.integers(0, 2**32 - 1), sentences=st.integers(1, 6))
def test_any_split_gives_the_same(seed: int, sentences: int) -> None:
    rng = random.Random(seed)
    batch = [[rng.choices("abc", k=rng.randint(0, 9)) for _ in range(2)] for _ in range(sentences)]
    whole, parts = BLEU(), BLEU()
    whole.update([p for p, _ in batch], [t for _, t in batch])
    for predicted, wanted in batch:
        one = BLEU()
        one.update([predicted], [wanted])
        parts.merge(one)
    assert parts.value() == whole.value()
    assert 0 <= whole.value() <= 100


def test_nothing_right_and_nothing_seen_are_zero() -> None:
    bleu = BLEU()
    assert bleu.value() == 0
    bleu.update([["a"] * 5, []], [["b"] * 5, ["c"]])
    assert bleu.value() == 0


def test_requests_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="tokenize is None, for tokens, or '13a', for texts, not 'zh'"):
        BLEU(tokenize="zh")
    with pytest.raises(ShapeError, match="BLEU: there are 1 predictions, but 0 targets"):
        BLEU().update([["a"]], [])
    monkeypatch.setitem(sys.modules, "sacrebleu.tokenizers.tokenizer_13a", None)
    with pytest.raises(ConfigError, match=r"needs sacrebleu: pip install 'tinyseq\[bleu\]'"):
        BLEU(tokenize="13a")
