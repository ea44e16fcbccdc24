"""Errors about something in a shuffled batch say which example of the data that is, whoever raises them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Recurrent, Sequences
from tinyseq.contracts import Metric
from tinyseq.data import LengthBatches, StreamedBatches, Vocabulary
from tinyseq.errors import DataError, NonFiniteError, TinyseqError
from tinyseq.nn import Embedding, SequenceModel, Sequential, TokenFeatures
from tinyseq.optim import Adam
from tinyseq.training import Trainer

BAD, COUNT, WIDTH = 37, 60, 4
Example = tuple[Any, Any]
heads, losses = tinyseq.heads, tinyseq.losses
VOCABULARY = Vocabulary("abc")


def examples(good: Callable[[int, Any], Example], bad: Example) -> list[Example]:
    rng = np.random.default_rng(0)
    made = [good(int(n), rng) for n in rng.integers(3, 9, COUNT)]
    made[BAD] = bad
    return made


def lists(batch: list[Example]) -> tuple[Sequences, Sequences]:
    return Sequences.from_list([x for x, _ in batch]), Sequences.from_list([y for _, y in batch])


def labelled(batch: list[Example]) -> tuple[Sequences, Any]:
    return Sequences.from_list([x for x, _ in batch]), np.array([y for _, y in batch])


def ragged(batch: list[Example]) -> tuple[Sequences, Any]:
    return Sequences.from_list([x for x, _ in batch]), [y for _, y in batch]


def encoded(batch: list[Example]) -> tuple[Sequences, Any]:
    return labelled([(VOCABULARY.encode(x), y) for x, y in batch])


def floats(n: int, rng: Any, last: Any = 0) -> Any:
    return rng.normal(size=(n, WIDTH)).astype("f")


def ids(n: int, rng: Any, last: int = 1) -> Any:
    return np.append(rng.integers(0, 3, n - 1), last)


def model(head: Any, embed: Any = None) -> SequenceModel:
    embed = Sequential() if embed is None else embed
    width = getattr(embed, "embedding_size", WIDTH)
    return SequenceModel(embed, Recurrent(tinyseq.cells["gru"](width, 5)), head)


def features() -> Any:
    return TokenFeatures(Embedding(9, 2), Embedding(6, 2), Embedding(9, 2))


class Counting(Metric):
    """A metric that takes no class above 1."""

    def update(self, predictions: Any, targets: Any) -> None:
        if wrong := np.flatnonzero(np.asarray(targets) > 1).tolist():
            raise DataError("A metric that refuses.").about(wrong[0], len(targets))

    def merge(self, other: Any) -> None: ...

    def value(self) -> float:
        return 0.0


class Measured(heads["classifier"]):  # type: ignore[misc, name-defined]
    """A classifier with that metric."""

    def metrics(self) -> dict[str, Metric]:
        return {"counting": Counting()}


def one(n: int, rng: Any) -> Example:
    return floats(n, rng), int(rng.integers(2))


def many(n: int, rng: Any) -> Example:
    return floats(n, rng), ids(n, rng)


def written(n: int, rng: Any) -> Example:
    return floats(n, rng), np.append(ids(n, rng), 0)


RNG = np.random.default_rng(1)
CASES: dict[str, tuple[Callable[[], Any], Callable[[list[Example]], Any], list[Example]]] = {
    "too short for ctc": (lambda: heads["ctc"](5, 4), ragged, examples(
        lambda n, rng: (floats(n + 2, rng), [1, 2]), (floats(2, RNG), [1, 2, 3]))),
    "a label of ctc": (lambda: heads["ctc"](5, 4), ragged, examples(
        lambda n, rng: (floats(n + 2, rng), [1, 2]), (floats(5, RNG), [1, -1]))),
    "a tag": (lambda: heads["tagger"](5, 3), lists, examples(many, (floats(5, RNG), [0, 1, 7, 1, 0]))),
    "a tag of a crf": (lambda: heads["tagger"](5, 3, loss=losses["crf"](3)), lists, examples(
        many, (floats(5, RNG), [0, 1, 7, 1, 0]))),
    "a tag of a crf that ignores": (
        lambda: heads["tagger"](5, 3, loss=losses["crf"](3, ignore_index=1)), lists,
        examples(lambda n, rng: (floats(n, rng), [1] * n), (floats(5, RNG), [0, 1, 7, 1, 0]))),
    "tags for other words": (lambda: heads["tagger"](5, 3), lists, examples(many, (floats(5, RNG), [0, 1]))),
    "a class": (lambda: heads["classifier"](5, 2), labelled, examples(one, (floats(5, RNG), 7))),
    "a class that is measured": (lambda: Measured(5, 3), labelled, examples(one, (floats(5, RNG), 2))),
    "an id": (lambda: (heads["classifier"](5, 2), Embedding(3, 4)), labelled, examples(
        lambda n, rng: (ids(n, rng), 1), ([0, 1, 9], 1))),
    "an id of a letter": (lambda: (heads["classifier"](5, 2), features()), labelled, examples(
        lambda n, rng: (rng.integers(0, 6, (n, 6)), 1), ([[0, 1, 2, 2, 2, 2], [0, 1, 2, 2, 99, 2]], 1))),
    "a target without its end": (lambda: heads["decoder"](5, 4, tinyseq.cells["gru"](4, 5), end=0), lists,
        examples(written, (floats(4, RNG), [1, 1, 1]))),
    "a symbol to write": (lambda: heads["decoder"](5, 4, tinyseq.cells["gru"](4, 5), end=0), lists,
        examples(written, (floats(4, RNG), [1, 9, 0]))),
    "no steps": (lambda: heads["classifier"](5, 2), labelled, examples(one, (np.zeros((0, 4), "f"), 1))),
    "another width": (lambda: heads["classifier"](5, 2), labelled, examples(one, (np.zeros((3, 7), "f"), 1))),
    "an unknown letter": (lambda: (heads["classifier"](5, 2), Embedding(3, 4)), encoded, examples(
        lambda n, rng: ("abc"[: n % 3 + 1], 1), ("abx", 1))),
}  # fmt: skip
ONLY_MEASURED = ("a class that is measured",)


@pytest.mark.parametrize("kind", [LengthBatches, StreamedBatches])
@pytest.mark.parametrize("way", ["fit", "accumulate", "evaluate"])
@pytest.mark.parametrize("case", CASES)
def test_the_example_is_named(case: str, way: str, kind: type) -> None:
    made, collate, data = CASES[case]
    if case in ONLY_MEASURED and way != "evaluate":
        return
    tinyseq.seed(0)
    parts = made()
    net = model(*parts) if isinstance(parts, tuple) else model(parts)
    trainer = Trainer(net, Adam(net), accumulate=3 if way == "accumulate" else 1)
    run = trainer.evaluate if way == "evaluate" else partial(trainer.fit, epochs=1)
    with pytest.raises(TinyseqError) as raised:
        run(kind(data, 7, collate))
    assert f" is example {BAD} of the data." in str(raised.value)
    assert str(raised.value).count("of the data") == 1


def test_batches_that_are_not_shuffled_are_counted() -> None:
    _, collate, data = CASES["a class"]
    net = model(heads["classifier"](5, 2))
    batches = [collate(data[i : i + 7]) for i in range(0, COUNT, 7)]
    with pytest.raises(DataError, match=f"at position {BAD % 7} .* in batch {BAD // 7} of the epoch"):
        Trainer(net, Adam(net), accumulate=2).fit(batches, epochs=1)


def test_a_loss_that_is_not_finite_names_all_that_it_is_of() -> None:
    data = examples(one, (np.full((3, WIDTH), np.nan, "f"), 1))
    net = model(heads["classifier"](5, 2))
    with pytest.raises(NonFiniteError, match=r"This batch holds examples .*\b37\b.* of the data"):
        Trainer(net, Adam(net)).fit(LengthBatches(data, 7, labelled), epochs=1)


def test_errors_of_ones_own_collate_are_located_too() -> None:
    data = examples(one, (floats(3, RNG), "no class"))
    with pytest.raises(ValueError, match="invalid literal") as raised:
        list(LengthBatches(data, 7, lambda batch: [int(y) for _, y in batch]))
    assert raised.value.__notes__[0].endswith(f"is example {BAD} of the data.")


def test_numbers_say_what_a_part_of_the_data_is_of_the_whole() -> None:
    data = examples(one, (np.zeros((3, 7), "f"), 1))
    part = [5, BAD, 9, 11]
    with pytest.raises(TinyseqError, match=f"is example {BAD} of the data"):
        list(LengthBatches([data[i] for i in part], 4, labelled, numbers=part))
