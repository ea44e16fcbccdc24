"""Names by language: many symbols in, one class out.

A recurrence reads a name letter by letter; its last state is all that the classifier sees. Names are split
by name, so that one which two languages share is never in training and test at once.
"""

from pathlib import Path
from typing import Any

from tinyseq_heads.classifier import Classifier

import tinyseq
from tinyseq.baselines import NaiveBayes
from tinyseq.data import LengthBatches, Vocabulary, with_class
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Outcome, Trainer, measure
from tinyseq_recipes.common import losses, names_of, show, show_epoch, split
from tinyseq_recipes.made.texts import names


def names_by_language(
    data: Path | None = None,
    *,
    cell: str = "gru",
    embedding: int = 32,
    hidden: int = 96,
    epochs: int = 12,
    batch: int = 32,
    lr: float = 2e-3,
    examples: int = 2500,
    seed: int = 0,
) -> list[Outcome]:
    """The language of a name, beside naive Bayes on pairs of letters.

    Data: a folder of LANGUAGE.txt files.
    """
    pairs = names_of(data) if data else names(examples)
    languages = Vocabulary.build((language for _, language in pairs), unit="word")
    letters = Vocabulary.build("".join(name for name, _ in pairs), specials=["?"], unknown="?")
    different = split(sorted({name for name, _ in pairs}), 0.8, 0.1, 0.1)
    train, valid, test = (
        [(letters.encode(name), languages.id(language)) for name, language in pairs if name in part]
        for part in map(set, different)
    )
    print(f"{len(pairs):,} names in {len(languages)} languages; {len(test):,} are for the test")

    bayes = NaiveBayes([_bigrams(ids) for ids, _ in train], [y for _, y in train], len(languages))
    baseline = sum(bayes.predict(_bigrams(ids)) == y for ids, y in test) / len(test)
    most = sum(y == 0 for _, y in test) / len(test)
    print(f"always {languages.symbols[0]}: accuracy {most:.4f}")
    print(f"baseline: naive Bayes on pairs of letters, accuracy {baseline:.4f}")

    tinyseq.seed(seed)
    encoder = tinyseq.Recurrent(tinyseq.cells[cell](embedding, hidden))
    model = SequenceModel(Embedding(len(letters), embedding), encoder, Classifier(hidden, len(languages)))
    trainer = Trainer(model, Adam(model, lr=lr), clip=5.0, after_epoch=[show_epoch])
    trainer.fit(LengthBatches(train, batch, with_class), LengthBatches(valid, 256, with_class), epochs=epochs)
    trainer.restore_best()

    accuracy = measure(model, LengthBatches(test, 256, with_class))["accuracy"].value()
    return [show(Outcome(cell, "accuracy", accuracy, baseline, losses=losses(trainer)))]


def _bigrams(ids: Any) -> list[tuple[int, int]]:
    return list(zip([-1, *ids], [*ids, -1], strict=True))
