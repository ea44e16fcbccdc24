"""What recipes share in which one sequence of words is answered by another: two columns, read and written."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_heads.decoder import Decoder

import tinyseq
from tinyseq.data import LengthBatches, Vocabulary, read_table, with_tags
from tinyseq.data.vocabulary import Ids
from tinyseq.engine import no_grad
from tinyseq.evaluation import ErrorRate, ExactMatch
from tinyseq.nn import Dropout, Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.sequences import Sequences
from tinyseq.training import Outcome, Trainer
from tinyseq_recipes.common import losses, show, show_epoch, split

Words = list[str]
Pair = tuple[Words, Words]

END, UNKNOWN = "<end>", "<unknown>"
PARTS = ("train", "valid", "test")


def read_pairs(data: Path, words: Callable[[str], Words]) -> list[list[Pair]]:
    """Training, validation and test pairs of a folder with one .tsv for each, or of one file, split here."""

    def both(a: str, b: str) -> Pair:
        pair = words(a), words(b)
        if not all(pair):
            raise ValueError(f"has no words in column {1 + bool(pair[0])}.")
        return pair

    if data.is_dir():
        files = [next(iter(sorted(data.glob(f"*{part}*.tsv*"))), data / f"{part}.tsv") for part in PARTS]
        return [list(read_table(file, 2, parse=both)) for file in files]
    return split(list(read_table(data, 2, parse=both)), 0.8, 0.1, 0.1)


class PairModel:
    """A bidirectional encoder and a decoder with attention (or without: None) for pairs of word lists."""

    def __init__(
        self,
        train: list[Pair],
        *,
        cell: str,
        attention: str | None,
        embedding: int,
        hidden: int,
        dropout: float,
        min_count: int = 1,
        max_length: int = 30,
    ) -> None:
        self.read, self.written = (
            Vocabulary.build(
                (word for pair in train for word in pair[column]),
                unit="word", min_count=min_count, specials=[END, UNKNOWN], unknown=UNKNOWN,
            )
            for column in (0, 1)
        )  # fmt: skip
        make = tinyseq.cells[cell]
        directions = Bidirectional(make(embedding, hidden // 2), make(embedding, hidden // 2))
        head = Decoder(
            hidden, len(self.written), make(embedding, hidden),
            end=0, attention=attention, pooling="mean", dropout=dropout, max_length=max_length,
        )  # fmt: skip
        encoder = Deep(Dropout(dropout), directions)
        self.model = SequenceModel(Embedding(len(self.read), embedding, init="normal"), encoder, head)

    def fit(self, train: list[Pair], valid: list[Pair], *, epochs: int, batch: int, lr: float) -> Trainer:
        """Train, and keep what was best on the validation pairs."""
        trainer = Trainer(self.model, Adam(self.model, lr=lr), clip=1.0, after_epoch=[show_epoch])
        trainer.fit(
            LengthBatches(self._ids(train), batch, with_tags),
            LengthBatches(self._ids(valid), batch, with_tags),
            epochs=epochs,
        )
        trainer.restore_best()
        return trainer

    def answers(
        self,
        questions: Sequence[Words],
        *,
        beam: int = 1,
        length_penalty: float = 0.0,
        temperature: float = 0.0,
    ) -> list[Words]:
        """What is written for each: greedily, by the best of a beam search, or with words drawn at random.

        UNKNOWN, which is no word, is never written.
        """
        exclude = [self.written.id(UNKNOWN)]
        found: list[Words] = []
        for start in range(0, len(questions), 256):
            batch = Sequences.from_list([self.read.encode(q) for q in questions[start : start + 256]])
            with no_grad(), self.model.evaluating():
                features = self.model(batch)
                if beam == 1:
                    written = self.model.head.sample(features, temperature=temperature, exclude=exclude)
                else:
                    searched = self.model.head.beam(
                        features, beam, length_penalty=length_penalty, exclude=exclude
                    )
                    written = [hypotheses[0].ids for hypotheses in searched]
            found += [[self.written.symbols[i] for i in ids] for ids in written]
        return found

    def _ids(self, pairs: list[Pair]) -> list[tuple[Ids, Ids]]:
        return [(self.read.encode(a), self.written.encode([*b, END])) for a, b in pairs]


def nearest_answers(
    train: list[Pair], questions: Sequence[Words], features: Callable[[Words], Iterable[Hashable]] = set
) -> list[Words]:
    """The answer of the training pair that has most features in common with each question (Jaccard)."""
    where: defaultdict[Hashable, list[int]] = defaultdict(list)
    sizes = np.zeros(len(train))
    for i, (question, _) in enumerate(train):
        own = set(features(question))
        sizes[i] = len(own)
        for feature in own:
            where[feature].append(i)
    found = []
    for question in questions:
        own, common = set(features(question)), np.zeros(len(train))
        for feature in own:
            common[where.get(feature, [])] += 1
        found.append(train[int((common / (sizes + len(own) - common)).argmax())][1])
    return found


def letter_pairs(letters: Words) -> set[tuple[str, str]]:
    """Neighbouring letters, with the edges of the word."""
    return set(zip(["", *letters], [*letters, ""], strict=True))


def figures(answers: Sequence[Words], wanted: Sequence[Words]) -> dict[str, float]:
    """Edits per word, and the share of answers without any."""
    metrics = {"error rate": ErrorRate(), "exact match": ExactMatch()}
    for metric in metrics.values():
        metric.update(answers, wanted)
    return {name: metric.value() for name, metric in metrics.items()}


def compared(
    model: str,
    found: dict[str, float],
    baseline: dict[str, float],
    trainer: Trainer,
    names: Sequence[str] = ("error rate", "exact match"),
) -> list[Outcome]:
    """The `figures` of a model beside the baseline's, under these names, printed."""
    return [
        show(Outcome(model, name, found[key], baseline[key], key == "error rate", losses(trainer)))
        for key, name in zip(found, names, strict=True)
    ]
