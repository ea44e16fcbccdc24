"""What every task with labelled examples has."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from tinyseq.data import Vocabulary, words
from tinyseq.data.batches import examples_named
from tinyseq.errors import DataError
from tinyseq.sequences import Sequences

UNKNOWN = "<unk>"
Example = tuple[list[str], Any]
"""Words, and what is to be said of them."""


class Task(ABC):
    """Vocabularies of words and labels, and how raw text and answers pass through them."""

    name: ClassVar[str]
    told_by_head: ClassVar[str]
    """The attribute in which a head has the number of labels."""

    def __init__(self, vocabulary: Vocabulary, labels: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.labels = labels

    @classmethod
    def of(cls, train: Sequence[Example], valid: Sequence[Example]) -> "Task":
        """The task of these examples: words seen twice or more in `train`, labels of both."""
        seen = (word for found, _ in train for word in found)
        vocabulary = Vocabulary.build(seen, unit="word", min_count=2, specials=[UNKNOWN], unknown=UNKNOWN)
        return cls(vocabulary, Vocabulary(sorted(set(cls.labels_of([*train, *valid]))), unit="word"))

    @staticmethod
    @abstractmethod
    def labels_of(examples: Sequence[Example]) -> Iterable[str]:
        """Every label of the examples, as often as it comes."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """What "data.NAME" in a run file stands for."""

    @abstractmethod
    def collate(self, examples: list[Example]) -> tuple[Sequences, Any]:
        """A batch to train on."""

    @abstractmethod
    def answers(self, model: Any, texts: Sequence[str]) -> list[Any]:
        """What `model` says of raw texts that hold a word each."""

    @abstractmethod
    def nothing(self, text: str) -> Any:
        """The answer for a text without words, which no model can read."""

    def inputs(self, sentences: Sequence[list[str]]) -> Sequences:
        """The ids of words."""
        return Sequences.from_list([self.vocabulary.encode(sentence) for sentence in sentences])

    def predict(self, model: Any, texts: Sequence[str], batch: int = 64) -> list[Any]:
        """The answer for each text, in their order. Raises DataError for no list of texts."""
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise DataError('predict() takes a list of texts: predict(["one text", "another"]).')
        texts = list(texts)
        found: list[Any] = [None if words(text) else self.nothing(text) for text in texts]
        places = [i for i, answer in enumerate(found) if answer is None]
        for start in range(0, len(places), batch):
            cut = places[start : start + batch]
            with examples_named(cut if len(texts) > 1 else (), "text"):
                answers = self.answers(model, [texts[i] for i in cut])
            for i, answer in zip(cut, answers, strict=True):
                found[i] = answer
        return found

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {
            "name": self.name,
            "vocabulary": self.vocabulary.to_json(),
            "labels": self.labels.to_json(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Task":
        """From what `to_record` gave. Raises DataError for anything else."""
        parts = [record.get(key) for key in ("vocabulary", "labels")]
        if not all(isinstance(part, str) for part in parts):
            raise DataError("its task lacks a vocabulary")
        vocabulary, labels = (Vocabulary.from_json(str(part)) for part in parts)
        if vocabulary.unknown is None or not len(labels):
            raise DataError("its task has no labels, or no word that stands for unknown ones")
        return cls(vocabulary, labels)


def divided(count: int, share: float) -> tuple[list[int], list[int]]:
    """The numbers of `count` examples in one random order, always the same: without, and with, `share`."""
    order: list[int] = np.random.default_rng(0).permutation(count).tolist()
    cut = count - int(count * share)
    return order[:cut], order[cut:]
