"""Ids that come from outside: what is no whole number within bounds is refused, never wrapped or cut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.baselines import NaiveBayes, NGram
from tinyseq.data import ContiguousWindows, Vocabulary, store_ids
from tinyseq.decoding.sampling import choose, generate
from tinyseq.errors import TinyseqError
from tinyseq.evaluation import Accuracy, MacroF1, Perplexity, RecallAtK, SpanF1
from tinyseq.nn import Embedding, SequenceModel, TokenFeatures

COUNT = 3  # classes, symbols, rows: ids are 0, 1 and 2
SCORES = np.zeros((1, COUNT), np.float32)
STEPS = Tensor(np.zeros((1, 4, COUNT), np.float32))

TARGETS: dict[str, Callable[[Any], Any]] = {
    "cross-entropy": lambda y: tinyseq.losses["cross-entropy"]()(Tensor(SCORES), y),
    "cross-entropy, ignoring": lambda y: tinyseq.losses["cross-entropy"](ignore_index=-7)(Tensor(SCORES), y),
    "cross-entropy, weight": lambda y: tinyseq.losses["cross-entropy"](class_weights=[1, 2, 3]).weight(y),
    "crf": lambda y: tinyseq.losses["crf"](COUNT)(Tensor(SCORES[None]), Tensor(y[None])),
    "ctc": lambda y: tinyseq.losses["ctc"](blank=0)(STEPS, [y]),
    "decoder": lambda y: _decoder().loss(STEPS, Sequences.from_list([np.append(y, y.dtype.type(1))])),
    "accuracy": lambda y: Accuracy().update(SCORES, y),
    "macro f1": lambda y: MacroF1(COUNT).update(SCORES, y),
    "macro f1, predictions": lambda y: MacroF1(COUNT).update(y, np.zeros(1, int)),
    "perplexity": lambda y: Perplexity().update(SCORES, y),
    "recall": lambda y: RecallAtK().update(SCORES, y),
    "spans": lambda y: SpanF1(["O", "B-X", "I-X"]).update([[0]], [y]),
    "spans, predictions": lambda y: SpanF1(["O", "B-X", "I-X"]).update([y], [[0]]),
    "embedding": lambda y: Embedding(COUNT, 2)(y),
    "token features": lambda y: _features()(Tensor(np.array([[*y, *y, *y, *y]], y.dtype))),
    "n-grams": lambda y: NGram([y], COUNT),
    "naive bayes": lambda y: NaiveBayes([["a"]], y.tolist(), COUNT),
    "vocabulary": lambda y: Vocabulary(["a", "b", "c"]).decode(y),
    "vocabulary, a list": lambda y: Vocabulary(["a", "b", "c"]).decode(list(y)),
    "a prompt": lambda y: list(generate(_model(), y, 1)),
    "excluded": lambda y: choose(SCORES[0], np.random.default_rng(0), exclude=y.tolist()),
}
BAD = [-1, COUNT, 2**40, 0.5, 1.0, True, np.uint64(2**64 - 1)]


def _decoder() -> Any:
    return tinyseq.heads["decoder"](COUNT, COUNT, tinyseq.cells["gru"](4, 5), end=1)


def _features() -> Any:
    return TokenFeatures(*[Embedding(COUNT, 2) for _ in range(3)])


def _model() -> Any:
    head = tinyseq.heads["language-model"](2, COUNT)
    return SequenceModel(Embedding(COUNT, 2), tinyseq.Recurrent(tinyseq.cells["gru"](2, 2)), head)


@pytest.mark.parametrize("bad", BAD, ids=str)
@pytest.mark.parametrize("taker", TARGETS)
def test_what_is_no_id_is_refused_in_a_sentence(taker: str, bad: Any) -> None:
    with pytest.raises(TinyseqError) as raised:
        TARGETS[taker](np.array([bad]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("taker", TARGETS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint64"])
def test_ids_of_any_integer_type_are_taken(taker: str, dtype: str) -> None:
    TARGETS[taker](np.array([2], dtype))


@pytest.mark.parametrize("bad", [[0.5], [2**31], [-1], [True], [[1, 2]], ["1"], 5])
def test_stored_ids_fit_the_file(tmp_path: Any, bad: Any) -> None:
    with pytest.raises(TinyseqError, match="piece 1 is"):
        store_ids(tmp_path / "ids", [[1, 2**31 - 1], bad])


@pytest.mark.parametrize("k", [-1, 5, 1.0, True, slice(0, 1)])
def test_windows_are_counted_by_whole_numbers(k: Any) -> None:
    with pytest.raises(IndexError, match="There is no window"):
        ContiguousWindows(np.arange(21), 2, 2)[k]


IGNORING: dict[str, Callable[[Any], Any]] = {
    "cross-entropy": lambda i: tinyseq.losses["cross-entropy"](ignore_index=i),
    "crf": lambda i: tinyseq.losses["crf"](3, ignore_index=i),
    "accuracy": lambda i: Accuracy(ignore_index=i),
    "macro f1": lambda i: MacroF1(3, ignore_index=i),
    "perplexity": lambda i: Perplexity(ignore_index=i),
    "spans": lambda i: SpanF1(["O"], ignore_index=i),
}


@pytest.mark.parametrize("bad", [0.5, True, "0"])
@pytest.mark.parametrize("taker", IGNORING)
def test_an_ignored_target_is_an_integer(taker: str, bad: Any) -> None:
    with pytest.raises(TinyseqError, match="ignore_index is an integer or None"):
        IGNORING[taker](bad)


CLASSES = 100  # the square of a tag fits no byte


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint64"])
@pytest.mark.parametrize("loss", sorted(tinyseq.losses))
def test_losses_do_not_depend_on_the_type_of_integers(loss: str, dtype: str) -> None:
    """Small types hold the targets, but not what is computed from them."""
    rng = np.random.default_rng(0)
    scores, tags = rng.normal(size=(2, 6, CLASSES)), rng.integers(1, CLASSES, (2, 6))
    tinyseq.seed(0)
    made = tinyseq.losses[loss](CLASSES) if loss == "crf" else tinyseq.losses[loss]()

    def value(kind: str) -> float:
        given = tags.astype(kind)
        if loss == "ctc":
            return float(made(Tensor(scores), list(given[:, :2])).item())
        if loss in ("cross-entropy", "crf"):
            return float(made(Tensor(scores), Tensor(given)).item())
        if loss in ("binary-cross-entropy", "squared-error"):
            return float(made(Tensor(scores), Tensor((scores > 0).astype(kind))).item())
        if loss == "contrastive":
            return float(made((Tensor(scores[0]), Tensor(scores[1])), given[0] % 2).item())
        if loss == "triplet":
            return float(made(Tensor(scores[0]), given[0] % 3).item())
        return float(made(Tensor(scores[0]), Tensor(scores[1]), given[0] % 3).item())  # with groups

    assert value(dtype) == value("int64")
