"""Duplicate questions: not a class of a sentence, but how near two sentences are.

One encoder reads both (a Siamese network, Bromley et al. 1993); duplicates are pulled together, and all other
sentences of the batch pushed away. Duplicates are transitive, so no batch holds two pairs of one group. From
which similarity on two sentences are duplicates is chosen on validation data, never on the test.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_heads.siamese import Siamese

import tinyseq
from tinyseq import Sequences
from tinyseq.baselines import word_overlap
from tinyseq.data import PairBatches, Vocabulary, read_table
from tinyseq.data import words as words_of
from tinyseq.engine import no_grad
from tinyseq.evaluation import AUC, best_threshold
from tinyseq.nn import Dropout, Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.texts import questions

Pair = tuple[str, str, int]


class Batches:
    """Paired batches for the Siamese head: anchors, then their partners, and the group of each."""

    def __init__(self, pairs: list[Pair], words: Vocabulary, size: int) -> None:
        self.pairs = pairs
        self.words = words
        self.batches = PairBatches([(a, b) for a, b, _ in pairs], size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        for indices, groups in self.batches:
            chosen = [self.pairs[i] for i in indices]
            texts = [a for a, _, _ in chosen] + [b for _, b, _ in chosen]
            yield Sequences.from_list([self.words.encode(_words(text)) for text in texts]), np.tile(groups, 2)


def duplicate_questions(
    data: Path | None = None,
    *,
    embedding: int = 64,
    hidden: int = 64,
    dropout: float = 0.2,
    epochs: int = 15,
    batch: int = 64,
    lr: float = 2e-3,
    loss: str = "mean-closest-triplet",
    examples: int = 2500,
    seed: int = 0,
) -> list[Outcome]:
    """Same or not, by a Siamese network.

    Data: a folder of train, valid, test .tsv: two texts and 0 or 1.
    """
    if data:
        parts = (
            list(read_table(data / f"{part}.tsv", 3, parse=_pair)) for part in ("train", "valid", "test")
        )
        train, valid, test = parts
    else:
        train, valid, test = split(questions(examples), 0.8, 0.1, 0.1)
    pairs = [pair for pair in train if pair[2]]  # all other pairs of a batch are the negatives
    print(f"{len(pairs):,} pairs of duplicates to train on; {len(test):,} pairs for the test")

    baseline = _figures(
        [word_overlap(a, b) for a, b, _ in valid], valid, [word_overlap(a, b) for a, b, _ in test], test
    )
    print(f"baseline: words in common, {baseline}")

    tinyseq.seed(seed)
    words = Vocabulary.build(
        (word for a, b, _ in train for word in _words(f"{a} {b}")),
        unit="word", min_count=2, specials=["?"], unknown="?",
    )  # fmt: skip
    encoder = Deep(Dropout(dropout), Bidirectional(GRU(embedding, hidden), GRU(embedding, hidden)))
    head = Siamese(2 * hidden, pooling="mean", loss=tinyseq.losses[loss]())
    model = SequenceModel(Embedding(len(words), embedding), encoder, head)
    trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
    valid_batches, test_batches = (
        Batches([pair for pair in part if pair[2]], words, batch) for part in (valid, test)
    )
    trainer.fit(Batches(pairs, words, batch), valid_batches, epochs=epochs)
    trainer.restore_best()

    figures = _figures(_cosines(model, valid, words), valid, _cosines(model, test, words), test)
    measured = {name: metric.value() for name, metric in measure(model, test_batches).items()}
    print(f"its partner is the nearest of about {batch} sentences: {measured['recall_at_1']:.4f}")
    if "active" in measured:
        print(f"triplets that still cost something: {measured['active']:.4f}")
    return [
        show(Outcome("siamese bigru", name, figures[name], baseline[name], losses=losses(trainer)))
        for name in figures
    ]


LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "no": 0, "yes": 1, "false": 0, "true": 1}


def _pair(a: str, b: str, same: str) -> Pair:
    if not (_words(a) and _words(b)):
        raise ValueError("has an empty text.")
    if same.strip().lower() not in LABELS:
        raise ValueError(f"has the label {same!r}, and 1 (the same) or 0 is needed; a header is left out.")
    return a, b, LABELS[same.strip().lower()]


def _words(text: str) -> list[str]:
    return words_of(text.lower())


def _cosines(model: SequenceModel, pairs: list[Pair], words: Vocabulary) -> list[float]:
    texts = [a for a, _, _ in pairs] + [b for _, b, _ in pairs]
    batch = Sequences.from_list([words.encode(_words(text)) for text in texts])
    with no_grad(), model.evaluating():
        cosines: list[float] = model.head.similarity(model(batch)).numpy().tolist()
    return cosines


def _figures(
    valid_scores: list[float], valid: list[Pair], test_scores: list[float], test: list[Pair]
) -> dict[str, float]:
    """Accuracy at the threshold that is best on validation data, and the area under the ROC curve."""
    threshold = best_threshold(valid_scores, [same for *_, same in valid])
    wanted = np.array([same for *_, same in test])
    area = AUC()
    area.update(np.array(test_scores), wanted)
    accuracy = float(((np.array(test_scores) > threshold) == wanted).mean())
    return {"accuracy": round(accuracy, 4), "AUC": round(area.value(), 4)}
