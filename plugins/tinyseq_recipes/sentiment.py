"""Sentiment: does order matter? Four models side by side on the same data.

The mean of the embeddings knows which words there are; RNN, GRU and LSTM know in which order. Where "not
good" and "good, not" differ, that shows; on short film reviews it hardly does, and naive Bayes is strong.
"""

from pathlib import Path

from tinyseq_cells.deep import Deep
from tinyseq_heads.classifier import Classifier

import tinyseq
from tinyseq.baselines import NaiveBayes, mean_of_embeddings
from tinyseq.data import LengthBatches, Vocabulary, likely_encoding, read_lines, with_class
from tinyseq.nn import Dropout, Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, show, show_epoch, split
from tinyseq_recipes.made.texts import reviews

MODELS = ("mean", "rnn", "gru", "lstm")


def sentiment(
    data: Path | None = None,
    *,
    embedding: int = 48,
    hidden: int = 48,
    pooling: str = "last",
    dropout: float = 0.5,
    epochs: int = 6,
    batch: int = 32,
    lr: float = 2e-3,
    examples: int = 1500,
    encoding: str | None = None,
    seed: int = 0,
) -> list[Outcome]:
    """Good or bad, by four models.

    Data: a folder of a *.neg and a *.pos file, a review a line. Without an encoding, UTF-8 if they are that.
    """
    labelled = _read(data, encoding) if data else reviews(examples)
    train, valid, test = split(labelled, 0.8, 0.1, 0.1)
    vocabulary = Vocabulary.build(
        (word for words, _ in train for word in words), unit="word", min_count=2, specials=["?"], unknown="?"
    )
    print(f"{len(labelled):,} reviews, {len(vocabulary):,} words; {len(test):,} reviews are for the test")

    bayes = NaiveBayes([words for words, _ in train], [y for _, y in train], 2)
    baseline = sum(bayes.predict(words) == y for words, y in test) / len(test)
    print(f"baseline: naive Bayes on words, accuracy {baseline:.4f}")

    parts = ([(vocabulary.encode(words), y) for words, y in part] for part in (train, valid, test))
    train_batches, valid_batches, test_batches = (LengthBatches(part, batch, with_class) for part in parts)
    outcomes = []
    for name in MODELS:
        print(f"\n{name}")
        tinyseq.seed(seed)
        model = _model(name, len(vocabulary), embedding, hidden, pooling, dropout)
        trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
        trainer.fit(train_batches, valid_batches, epochs=epochs)
        trainer.restore_best()
        accuracy = measure(model, test_batches)["accuracy"].value()
        outcomes.append(show(Outcome(name, "accuracy", accuracy, baseline, losses=losses(trainer))))
    return outcomes


def _model(name: str, words: int, embedding: int, hidden: int, pooling: str, dropout: float) -> SequenceModel:
    if name == "mean":
        return mean_of_embeddings(words, embedding, 2)
    recurrent = tinyseq.Recurrent(tinyseq.cells[name](embedding, hidden))
    encoder = Deep(Dropout(dropout), recurrent, Dropout(dropout))
    return SequenceModel(Embedding(words, embedding), encoder, Classifier(hidden, 2, pooling=pooling))


def _read(folder: Path, encoding: str | None = None) -> list[tuple[list[str], int]]:
    found = []
    for label, suffix in enumerate(("neg", "pos")):
        file = next(iter(sorted(folder.glob(f"*.{suffix}*"))), folder / f"reviews.{suffix}")
        found += [
            (line.split(), label) for line in read_lines(file, encoding=encoding or likely_encoding(file))
        ]
    return found
