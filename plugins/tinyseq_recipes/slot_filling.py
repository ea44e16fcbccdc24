"""Slot filling: what is said of what, and what it is for, from one reading.

Two heads share an encoder, so that what helps the intent helps the slots (Goo et al. 2018 go further). The
pair is a head itself, written here in a dozen lines: a plugin need not be installed to be used.
"""

from pathlib import Path
from typing import Any

from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.tagger import Tagger

import tinyseq
from tinyseq import Head, Sequences, Tensor
from tinyseq.baselines import MostFrequentTag, NaiveBayes
from tinyseq.contracts import Metric
from tinyseq.data import LengthBatches, Slots, Vocabulary, read_slots
from tinyseq.evaluation import Accuracy, SpanF1
from tinyseq.nn import Dropout, Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import BatchLoss, Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.texts import utterances


class SlotsAndIntent(Head):
    """A tagger and a classifier on the same features; targets: tags of each step, and a class of each row."""

    def __init__(self, slots: Tagger, intent: Classifier) -> None:
        self.slots = slots
        self.intent = intent

    def loss(self, features: Any, targets: tuple[Sequences, Any]) -> Tensor:
        """The sum of both losses."""
        tags, classes = targets
        return self.slots.loss(features, tags) + self.intent.loss(features, classes)

    def predict(self, features: Any) -> tuple[Sequences, Tensor]:
        """Tags, and log-probabilities of intents."""
        return self.slots.predict(features), self.intent.predict(features)

    def metrics(self) -> dict[str, Metric]:
        """Span F1 of slots and accuracy of intents."""
        return {
            "slot F1": Part(0, self.slots.metrics()["span_f1"]),
            "intent accuracy": Part(1, self.intent.metrics()["accuracy"]),
        }


class Part(Metric):
    """A metric of one of the two answers."""

    def __init__(self, which: int, metric: Metric) -> None:
        self.which = which
        self.metric = metric

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch."""
        self.metric.update(predictions[self.which], targets[self.which])

    def merge(self, other: "Part") -> None:
        """Take in all that `other` has seen."""
        self.metric.merge(other.metric)

    def value(self) -> Any:
        """The figure of the metric inside."""
        return self.metric.value()


def slot_filling(
    data: Path | None = None,
    *,
    embedding: int = 64,
    hidden: int = 96,
    dropout: float = 0.25,
    epochs: int = 12,
    batch: int = 16,
    lr: float = 3e-3,
    examples: int = 800,
    seed: int = 0,
) -> list[Outcome]:
    """Slots and intents of utterances.

    Data: a folder of train, valid, test, each with seq.in, seq.out, label.
    """
    if data:
        train, valid, test = (list(read_slots(data / part)) for part in ("train", "valid", "test"))
    else:
        train, valid, test = split([Slots(*parts) for parts in utterances(examples)], 0.8, 0.1, 0.1)
    everything = [*train, *valid, *test]
    tags = Vocabulary(sorted({tag for example in everything for tag in example.tags}), unit="word")
    intents = Vocabulary(sorted({example.intent for example in everything}), unit="word")
    words = Vocabulary.build(
        (word for example in train for word in example.words),
        unit="word",
        min_count=2,
        specials=["?"],
        unknown="?",
    )
    print(
        f"{len(train):,} utterances, {len(tags)} tags, {len(intents)} intents; {len(test):,} are for the test"
    )

    tagger = MostFrequentTag([(example.words, example.tags) for example in train])
    slot_baseline, intent_baseline = SpanF1(tags.symbols), Accuracy()
    slot_baseline.update([tagger.predict(e.words) for e in test], [e.tags for e in test])
    bayes = NaiveBayes(
        [e.words for e in train], intents.encode([e.intent for e in train]).tolist(), len(intents)
    )
    intent_baseline.update(
        tinyseq.Tensor([bayes.predict(e.words) for e in test]), intents.encode([e.intent for e in test])
    )
    baselines = {"slot F1": slot_baseline.value(), "intent accuracy": intent_baseline.value()}
    print(f"baselines: most frequent tag and naive Bayes, {baselines}")

    tinyseq.seed(seed)
    encoder = Deep(
        Dropout(dropout), Bidirectional(LSTM(embedding, hidden), LSTM(embedding, hidden)), Dropout(dropout)
    )
    head = SlotsAndIntent(
        Tagger(2 * hidden, len(tags), names=tags.symbols, scheme="IOB2"),
        Classifier(2 * hidden, len(intents), pooling="max"),
    )
    model = SequenceModel(Embedding(len(words), embedding), encoder, head)

    def collate(examples: list[Slots]) -> tuple[Sequences, tuple[Sequences, Any]]:
        slots = Sequences.from_list([tags.encode(example.tags) for example in examples])
        classes = intents.encode([example.intent for example in examples])
        return Sequences.from_list([words.encode(example.words) for example in examples]), (slots, classes)

    def objective(model: SequenceModel, batch: Any, state: Any) -> BatchLoss:
        inputs, targets = batch
        return BatchLoss(model.loss(inputs, targets), len(inputs))

    trainer = Trainer(model, Adam(model, lr=lr), objective, clip=5.0, after_epoch=[show_epoch])
    train_batches, valid_batches, test_batches = (
        LengthBatches(part, batch, collate) for part in (train, valid, test)
    )
    trainer.fit(train_batches, valid_batches, epochs=epochs)
    trainer.restore_best()
    found = measure(model, test_batches)
    return [
        show(Outcome("bilstm", name, metric.value(), baselines[name], losses=losses(trainer)))
        for name, metric in found.items()
    ]
