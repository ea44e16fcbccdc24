"""A string where a list of strings is meant is refused: its characters would be taken for the items."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq.baselines import MostFrequentTag, NaiveBayes
from tinyseq.data import (
    ContiguousWindows,
    LengthBatches,
    PairBatches,
    Vocabulary,
    duplicate_groups,
    read_conll,
    read_vectors,
    token_ids,
)
from tinyseq.decoding.sampling import choose, generate
from tinyseq.errors import TinyseqError
from tinyseq.evaluation import BLEU, ErrorRate, ExactMatch, SpanF1, convert_tags, find_scheme
from tinyseq.sequences import Sequences
from tinyseq.tasks import Predictor, Tagging

WORDS = Vocabulary(["a", "O"], unit="word", specials=["<unk>"], unknown="<unk>")

TAKERS: dict[str, Callable[[str], Any]] = {
    "vocabulary of words": lambda s: Vocabulary(s, unit="word"),
    "words of a token": lambda s: token_ids(s, WORDS, WORDS),
    "wanted vectors": lambda s: read_vectors("nowhere", s),
    "columns": lambda s: read_conll("nowhere", s),  # type: ignore[arg-type]
    "pairs": lambda s: duplicate_groups([s, s]),  # type: ignore[list-item]
    "batches of pairs": lambda s: PairBatches([s, s], 2),  # type: ignore[list-item]
    "examples": lambda s: LengthBatches(s, 2),
    "ids of windows": lambda s: ContiguousWindows(s, 1, 1),
    "sequences": lambda s: Sequences.from_list(s),
    "a bag": lambda s: NaiveBayes([s], [0], 1),
    "a new bag": lambda s: NaiveBayes([["a"]], [0], 1).predict(s),
    "words to tag": lambda s: MostFrequentTag([(["a"], ["O"])]).predict(s),
    "tagged words": lambda s: MostFrequentTag([(s, ["O"] * len(s))]),
    "tags of words": lambda s: MostFrequentTag([(["a"] * len(s), s)]),
    "names of tags": lambda s: SpanF1(s),
    "names of a tagger's tags": lambda s: tinyseq.heads["tagger"](2, len(s), names=s),
    "tags to convert": lambda s: convert_tags(s, "IOB2", "IOB1"),
    "sequences of a scheme": lambda s: find_scheme(s),
    "tags of a scheme": lambda s: find_scheme([s]),
    "spans predicted": lambda s: SpanF1(["O"]).update(s, s),
    "tags predicted": lambda s: SpanF1(["O"]).update([s], [s]),
    "texts for bleu": lambda s: BLEU().update([s], [s]),
    "a text for bleu": lambda s: BLEU().update(s, s),
    "a text for the error rate": lambda s: ErrorRate().update(s, s),
    "a text beside words": lambda s: ErrorRate().update([s], [[*s]]),
    "words beside a text": lambda s: ExactMatch().update([[*s]], [s]),
    "a text to match": lambda s: ExactMatch().update(s, s),
    "a prompt": lambda s: generate(None, s, 1),
    "excluded classes": lambda s: choose(np.zeros(3), np.random.default_rng(0), exclude=s),  # type: ignore[arg-type]
    "class weights": lambda s: tinyseq.losses["cross-entropy"](class_weights=s),
    "labels": lambda s: tinyseq.losses["ctc"]()(tinyseq.Tensor(np.zeros((1, 9, 3), "f")), [s]),
    "texts of a task": lambda s: Tagging(WORDS, WORDS).predict(None, s),
    "texts of a predictor": lambda s: Predictor(None, Tagging(WORDS, WORDS)).predict(s),
}


@pytest.mark.parametrize("text", ["O", "12", "OO"])
@pytest.mark.parametrize("taker", TAKERS)
def test_a_string_is_no_list(taker: str, text: str) -> None:
    with pytest.raises(TinyseqError) as raised:
        TAKERS[taker](text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("given", [[["a", "O"]], [1, 2], np.array([1, 2]), 5, None])
def test_symbols_are_strings(given: Any) -> None:
    with pytest.raises(TinyseqError, match=r"encode\(\) takes"):
        WORDS.encode(given)
    if given is not None and not isinstance(given, int):
        with pytest.raises(TinyseqError, match="strings"):
            Vocabulary.build(given, unit="word")


def test_tokens_where_texts_are_meant() -> None:
    pytest.importorskip("sacrebleu")
    with pytest.raises(TinyseqError, match="cuts texts"):
        BLEU(tokenize="13a").update([["a"]], [["a"]])


def test_tags_of_an_estimator() -> None:
    pytest.importorskip("sklearn")
    from tinyseq.sklearn import SequenceTagger

    with pytest.raises(ValueError, match="that of 1 is a string"):
        SequenceTagger(epochs=1).fit([["the", "dog"], ["a", "cat"]], [["D", "N"], "DN"])
