"""What every task with examples has."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tinyseq.data import LengthBatches, Vocabulary, read_vectors
from tinyseq.data.batches import examples_named
from tinyseq.errors import DataError, listed
from tinyseq.registry.run_options import Labelled
from tinyseq.sequences import Sequences
from tinyseq.tasks.evaluation import Evaluation
from tinyseq.tasks.reader import Reader, plain_text

Example = tuple[Any, ...]
"""Tokens, and what is to be said of them."""


class Task(ABC):
    """How raw text becomes what a model reads, and its answers become words again."""

    name: ClassVar[str]
    column: ClassVar[str]
    """The option of [data] that names the column of raw texts."""
    reader: Reader

    @classmethod
    @abstractmethod
    def read(cls, data: Any, path: Path) -> list[Any]:
        """The examples of a file, in the columns that `data` names. Raises DataError with every mistake."""

    @classmethod
    @abstractmethod
    def of(cls, train: Sequence[Any], valid: Sequence[Any], data: Any = None, folder: Path = Path()) -> Self:
        """The task of these examples: words of `train`, labels of both; `data` are options of [data]."""

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """What "data.NAME" in a run file stands for."""

    @abstractmethod
    def collate(self, examples: list[Any]) -> tuple[Sequences, Any]:
        """A batch to train on."""

    @abstractmethod
    def answers(self, model: Any, texts: Sequence[Any]) -> list[Any]:
        """What `model` says of raw texts that hold a token each."""

    @abstractmethod
    def nothing(self, text: Any) -> Any:
        """The answer for a text without tokens, which no model can read."""

    @abstractmethod
    def judge(self, model: Any, examples: Sequence[Any]) -> Evaluation:
        """What `model` gets right and wrong."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens that the model knows."""
        return self.reader.vocabulary

    def inputs(self, sentences: Sequence[Sequence[str]]) -> Sequences:
        """What the model reads of sequences of tokens."""
        return self.reader.inputs(sentences)

    def labels_shown(self) -> str:
        """What there is to be said, in a few words."""
        return ""

    def mistake(self, examples: Sequence[Any]) -> str:
        """Why there is nothing to learn from these examples, or an empty string."""
        return ""

    def calibrate(self, model: Any, examples: Sequence[Any]) -> None:  # noqa: B027
        """Choose on validation examples what a trained model leaves open; nothing by default."""

    def batches(self, examples: Sequence[Any], size: int, numbers: Sequence[int] | None = None) -> Any:
        """Batches to train on: an iterable with a length; `numbers`: where examples stand in their file."""
        return LengthBatches(examples, size, self.collate, numbers=numbers)

    def checked(self, texts: Any) -> list[Any]:
        """Raw texts, as a list. Raises DataError for anything else."""
        found = [] if isinstance(texts, str) else list(texts)  # of an iterator, too, which is read once
        if isinstance(texts, str) or not all(isinstance(text, str) for text in found):
            raise DataError('predict() takes a list of texts: predict(["one text", "another"]).')
        return [str(text) for text in found]

    def count(self, text: Any) -> int:
        """How many tokens a raw text has."""
        return len(self.reader.split(text))

    def raw(self, record: dict[str, Any], data: Any) -> Any:
        """The raw text in an object with the columns that `data` names. Raises ValueError without one."""
        column = getattr(data, self.column)
        if column not in record:
            raise ValueError(f"has no {column!r}.")
        return plain_text(record[column], column)

    def predict(self, model: Any, texts: Sequence[Any], batch: int = 64) -> list[Any]:
        """The answer for each text, in their order. Raises DataError for no list of texts."""
        texts = self.checked(texts)
        lengths = [self.count(text) for text in texts]
        found: list[Any] = [None if n else self.nothing(text) for n, text in zip(lengths, texts, strict=True)]
        for cut in in_cuts([i for i, n in enumerate(lengths) if n], lengths, batch):
            with examples_named(cut if len(texts) > 1 else (), "text"):
                answers = self.answers(model, [texts[i] for i in cut])
            for i, answer in zip(cut, answers, strict=True):
                found[i] = answer
        return found

    def fits(self, model: Any) -> bool:
        """Whether the sizes of a model's parts, as far as they are said, are those of the vocabularies."""
        size = len(self.reader.vocabulary)
        return getattr(getattr(model, "embed", None), "num_embeddings", size) == size

    @abstractmethod
    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""

    @classmethod
    @abstractmethod
    def from_record(cls, record: dict[str, Any]) -> "Task":
        """From what `to_record` gave. Raises DataError for anything else."""


class LabelledTask(Task):
    """A task whose answers are labels of a list."""

    told_by_head: ClassVar[str]
    """The attribute in which a head has the number of labels."""

    def __init__(self, reader: Reader | Vocabulary, labels: Vocabulary) -> None:
        self.reader = Reader(reader) if isinstance(reader, Vocabulary) else reader
        self.labels = labels

    @staticmethod
    @abstractmethod
    def labels_of(examples: Sequence[Any]) -> Iterable[str]:
        """Every label of the examples, as often as it comes."""

    @classmethod
    def of(cls, train: Sequence[Any], valid: Sequence[Any], data: Any = None, folder: Path = Path()) -> Self:
        labels = Vocabulary(sorted(set(cls.labels_of([*train, *valid]))), unit="word")
        return cls(reader_of([tokens for tokens, _ in train], data, folder), labels)

    def labels_shown(self) -> str:
        return listed(self.labels.symbols, 6)

    def mistake(self, examples: Sequence[Any]) -> str:
        if len(self.labels) > 1:
            return ""
        return f"has one label only, {self.labels.symbols[0]!r}: there is nothing to learn."

    def fits(self, model: Any) -> bool:
        named = getattr(getattr(model, "head", None), self.told_by_head, len(self.labels))
        return super().fits(model) and named == len(self.labels)

    def to_record(self) -> dict[str, Any]:
        return {"name": self.name, "reader": self.reader.to_record(), "labels": self.labels.to_json()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Task":
        labels = Vocabulary.from_json(str(record.get("labels")))
        if not len(labels):
            raise DataError("its task has no labels")
        return cls(Reader.from_record(record.get("reader")), labels)


def reader_of(
    sentences: Sequence[Sequence[str]], data: Labelled | None, folder: Path, **options: Any
) -> Reader:
    """The reader that the options of `data` describe."""
    data = Labelled(task="", train="") if data is None else data
    options = {
        "min_count": data.min_count,
        "unit": data.unit,
        "features": data.features,
        "lowercase": data.lowercase,
        "digits": data.digits,
    } | options
    if data.vectors is not None:
        every = Reader.of(sentences, **options | {"min_count": 1}).vocabulary
        wanted = {form for word in every.symbols for form in (word, word.lower())}
        there = {word for word, _ in read_vectors(folder / data.vectors, wanted)}
        options["known"] = there | {word for word in every.symbols if word.lower() in there}
    return Reader.of(sentences, **options)


def in_cuts(places: Sequence[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    """The places by length, cut into batches."""
    order = sorted(places, key=lengths.__getitem__)
    return [order[start : start + size] for start in range(0, len(order), size)]


def divided(count: int, share: float) -> tuple[list[int], list[int]]:
    """The numbers of `count` examples in one random order, always the same: without, and with, `share`."""
    order: list[int] = np.random.default_rng(0).permutation(count).tolist()
    cut = count - max(int(count * share), int(share > 0 and count > 1))
    return order[:cut], order[cut:]
