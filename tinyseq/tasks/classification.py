"""A class for each text."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyseq.data import words
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Example, Task


class Classified(NamedTuple):
    """The likeliest class of a text, and how likely each is; no label and no probability without words."""

    text: str
    label: str | None
    probabilities: dict[str, float]


class Classification(Task):
    """Examples are words and a class."""

    name = "classification"
    told_by_head = "classes"

    @staticmethod
    def labels_of(examples: Sequence[Example]) -> Iterable[str]:
        """The class of each."""
        return (label for _, label in examples)

    def told(self) -> dict[str, Any]:
        """Sizes."""
        return {"vocabulary_size": len(self.vocabulary), "classes": len(self.labels)}

    def collate(self, examples: list[Example]) -> tuple[Sequences, Any]:
        """Ids of words, and the number of the class."""
        return self.inputs([sentence for sentence, _ in examples]), self.labels.encode(
            [label for _, label in examples]
        )

    def answers(self, model: Any, texts: Sequence[str]) -> list[Classified]:
        """Class and probabilities of each text."""
        logs = model.predict(self.inputs([words(text) for text in texts])).numpy().astype(np.float64)
        rows = np.exp(logs - logs.max(axis=1, keepdims=True))
        rows /= rows.sum(axis=1, keepdims=True)
        names = self.labels.symbols
        return [
            Classified(text, names[int(row.argmax())], dict(zip(names, row.tolist(), strict=True)))
            for text, row in zip(texts, rows, strict=True)
        ]

    def nothing(self, text: str) -> Classified:
        """No class."""
        return Classified(text, None, {})
