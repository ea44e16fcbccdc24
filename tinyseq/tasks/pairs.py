"""Whether two texts say the same: how near their vectors are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyseq.data import PairBatches, read_columns
from tinyseq.data.batches import examples_named
from tinyseq.errors import DataError
from tinyseq.evaluation import AUC, best_threshold, class_scores, confusions, means
from tinyseq.registry.run_options import PairsData
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Task, in_cuts, reader_of
from tinyseq.tasks.evaluation import Evaluation, Wrong
from tinyseq.tasks.reader import Reader, plain_text

SAME = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "no": 0, "yes": 1, "false": 0, "true": 1}
NAMES = ("different", "same")
HIGHEST = 1 - 1e-5  # a threshold: a text says the same as itself, however its vector is rounded

Pair = tuple[list[str], list[str], int]
"""The tokens of two texts, and 1 if they say the same."""


class Compared(NamedTuple):
    """How alike two texts are, from -1 to 1, and whether that is enough; NaN and None without tokens."""

    first: str
    second: str
    similarity: float
    same: bool | None


class Batches:
    """Paired batches of the pairs that say the same: all others of a batch are the other side."""

    def __init__(
        self, task: "Pairs", pairs: Sequence[Pair], size: int, numbers: Sequence[int] | None
    ) -> None:
        self.task = task
        kept = [i for i, pair in enumerate(pairs) if pair[2]]
        self.pairs = [pairs[i] for i in kept]
        self.numbers = [i if numbers is None else numbers[i] for i in kept]
        self.batches = PairBatches([(tuple(a), tuple(b)) for a, b, _ in self.pairs], size)
        self.places: list[int] = []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for indices, groups in self.batches:
            self.places = [self.numbers[i] for i in indices]
            with examples_named(self.places):
                yield self.task.collate([self.pairs[i] for i in indices], groups)


class Pairs(Task):
    """Examples are the tokens of two texts, and whether they say the same; it learns from those that do.

    `threshold` is the similarity from which on two texts are taken for the same: the one that is best on the
    validation data.
    """

    name = "pairs"
    column = "first"

    def __init__(self, reader: Reader, threshold: float = 0.5) -> None:
        self.reader = reader
        self.threshold = threshold

    @classmethod
    def read(cls, data: PairsData, path: Path) -> list[Pair]:
        """Rows of a table or of JSON lines."""
        split = Reader.splitter(data.unit)
        columns = (data.first, data.second, data.label)

        def parse(first: Any, second: Any, label: Any) -> Pair:
            a, b = split(plain_text(first, data.first)), split(plain_text(second, data.second))
            if not (a and b):
                raise ValueError(f"has nothing in the column {data.second if a else data.first}.")
            said = plain_text(label, data.label).strip().lower()
            if said not in SAME:
                raise ValueError(f"has the label {said!r}, and 1 (the same) or 0 is needed.")
            return a, b, SAME[said]

        return list(read_columns(path, columns, encoding=data.encoding, parse=parse))

    @classmethod
    def of(
        cls, train: Sequence[Pair], valid: Sequence[Pair], data: Any = None, folder: Path = Path()
    ) -> "Pairs":
        """The task of these pairs."""
        return cls(reader_of([tokens for a, b, _ in train for tokens in (a, b)], data, folder))

    def mistake(self, examples: Sequence[Pair]) -> str:
        """Why there is nothing to learn, or an empty string."""
        positive = sum(same for *_, same in examples)
        return "" if positive > 1 else f"has {positive} pairs that say the same, and two or more are needed."

    def told(self) -> dict[str, Any]:
        """Sizes."""
        return dict(self.reader.told())

    def collate(self, examples: list[Pair], groups: Any = None) -> tuple[Sequences, Any]:
        """First texts, then second ones, and the group of each."""
        groups = np.arange(len(examples)) if groups is None else groups
        texts = [a for a, _, _ in examples] + [b for _, b, _ in examples]
        return self.inputs(texts), np.tile(groups, 2)

    def batches(self, examples: Sequence[Pair], size: int, numbers: Sequence[int] | None = None) -> Any:
        """Batches of the pairs that say the same; None if there are none."""
        return Batches(self, examples, size, numbers) if any(same for *_, same in examples) else None

    def checked(self, texts: Any) -> list[Any]:
        """Pairs of raw texts, as a list. Raises DataError for anything else."""
        pairs = [] if isinstance(texts, str) else list(texts)
        right = all(
            isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
            for pair in pairs
        )
        if isinstance(texts, str) or not right:
            raise DataError('predict() takes a list of pairs of texts: predict([("one", "another")]).')
        return pairs

    def count(self, text: Any) -> int:
        """How many tokens the longer of two raw texts has; 0 if one has none."""
        counts = [len(self.reader.split(part)) for part in text]
        return max(counts) if all(counts) else 0

    def raw(self, record: dict[str, Any], data: Any) -> Any:
        """The two texts in an object."""
        missing = [column for column in (data.first, data.second) if column not in record]
        if missing:
            raise ValueError(f"has no {missing[0]!r}.")
        return tuple(plain_text(record[column], column) for column in (data.first, data.second))

    def answers(self, model: Any, texts: Sequence[Any]) -> list[Compared]:
        """How alike the texts of each pair are."""
        cosines = self._cosines(model, [(self.reader.split(a), self.reader.split(b)) for a, b in texts])
        return [
            Compared(a, b, cosine, cosine > self.threshold)
            for (a, b), cosine in zip(texts, cosines, strict=True)
        ]

    def nothing(self, text: Any) -> Compared:
        """No similarity."""
        return Compared(text[0], text[1], float("nan"), None)

    def calibrate(self, model: Any, examples: Sequence[Pair]) -> None:
        """Choose the threshold that is best on these pairs, if both kinds are there."""
        wanted = [same for *_, same in examples]
        if len(set(wanted)) == 2:
            best = float(best_threshold(self._all(model, examples), wanted))
            self.threshold = min(best, HIGHEST)

    def judge(self, model: Any, examples: Sequence[Pair]) -> Evaluation:
        """Accuracy at the threshold, the area under the ROC curve, and the pairs that are farthest off."""
        cosines, wanted = self._all(model, examples), [same for *_, same in examples]
        found = [int(cosine > self.threshold) for cosine in cosines]
        named, answers = [NAMES[i] for i in wanted], [NAMES[i] for i in found]
        by_class = class_scores(named, answers)
        figures = {"accuracy": sum(a == b for a, b in zip(wanted, found, strict=True)) / len(examples)}
        if len(set(wanted)) == 2:
            area = AUC()
            area.update(np.array(cosines), np.array(wanted))
            figures["auc"] = area.value()
        tokens = [part for a, b, _ in examples for part in (a, b)]
        figures |= {"threshold": self.threshold, "unknown_words": self.reader.unknown_share(tokens)}
        wrong = [
            Wrong(
                f"{self.reader.joined(a)} | {self.reader.joined(b)}",
                [f"{NAMES[answer]} (similarity {cosine:.4f}), not {NAMES[same]}"],
                abs(cosine - self.threshold),
            )
            for (a, b, same), answer, cosine in zip(examples, found, cosines, strict=True)
            if answer != same
        ]
        wrong.sort(key=lambda one: -one.badness)
        scores = {"class": by_class | means(by_class)}
        return Evaluation(self.name, len(examples), figures, scores, confusions(named, answers), wrong)

    def _all(self, model: Any, examples: Sequence[Pair]) -> list[float]:
        lengths, found = [len(a) + len(b) for a, b, _ in examples], [0.0] * len(examples)
        for cut in in_cuts(range(len(examples)), lengths, 64):
            cosines = self._cosines(model, [examples[i][:2] for i in cut])
            for i, cosine in zip(cut, cosines, strict=True):
                found[i] = cosine
        return found

    def _cosines(self, model: Any, pairs: Sequence[tuple[list[str], list[str]]]) -> list[float]:
        xs = self.inputs([a for a, _ in pairs] + [b for _, b in pairs])
        vectors = model.predict(xs).numpy().astype(np.float64)
        cosines = (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(axis=1)
        found: list[float] = np.clip(cosines, -1, 1).tolist()
        return found

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {"name": self.name, "reader": self.reader.to_record(), "threshold": self.threshold}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Pairs":
        """From what `to_record` gave. Raises DataError for anything else."""
        if not isinstance(threshold := record.get("threshold"), int | float):
            raise DataError("its task has no threshold")
        return cls(Reader.from_record(record.get("reader")), float(threshold))
