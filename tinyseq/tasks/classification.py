"""A class for each text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyseq.data import read_columns, read_lines, read_slots
from tinyseq.errors import DataError
from tinyseq.evaluation import class_scores, confusions, means
from tinyseq.registry.run_options import ClassificationData
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Example, LabelledTask, in_cuts
from tinyseq.tasks.evaluation import Evaluation, Wrong
from tinyseq.tasks.reader import Reader, plain_text

LEAST = 1e-300  # a probability whose logarithm is still a number


class Classified(NamedTuple):
    """The likeliest class of a text, and how likely each is; no label and no probability without tokens."""

    text: str
    label: str | None
    probabilities: dict[str, float]


class Classification(LabelledTask):
    """Examples are tokens and a class."""

    name = "classification"
    column = "text"
    told_by_head = "classes"

    @classmethod
    def read(cls, data: ClassificationData, path: Path) -> list[Any]:
        """Rows of a table or of JSON lines, or a folder with one of: folders or files named as classes.

        A folder with seq.in and label is one of utterances and what they are for.
        """
        splitter = Reader.splitter(data.unit)
        if path.is_dir() and (path / "label").exists() | (path / "label.gz").exists():
            return [(splitter(" ".join(slots.words)), slots.intent) for slots in read_slots(path)]
        if path.is_dir():
            found = [(splitter(text), label) for text, label in _of_folder(path, data.encoding)]
            return [(tokens, label) for tokens, label in found if tokens]

        def parse(text: Any, label: Any) -> Example:
            tokens, name = splitter(plain_text(text, data.text)), plain_text(label, data.label).strip()
            if not tokens or not name:
                raise ValueError(f"has nothing in the column {data.label if tokens else data.text}.")
            return tokens, name

        return list(read_columns(path, (data.text, data.label), encoding=data.encoding, parse=parse))

    @staticmethod
    def labels_of(examples: Sequence[Example]) -> Iterable[str]:
        """The class of each."""
        return (label for _, label in examples)

    def told(self) -> dict[str, Any]:
        """Sizes."""
        return {**self.reader.told(), "classes": len(self.labels)}

    def collate(self, examples: list[Example]) -> tuple[Sequences, Any]:
        """Ids of tokens, and the number of the class."""
        return self.inputs([tokens for tokens, _ in examples]), self.labels.encode(
            [label for _, label in examples]
        )

    def answers(self, model: Any, texts: Sequence[str]) -> list[Classified]:
        """Class and probabilities of each text."""
        rows = self._probabilities(model, [self.reader.split(text) for text in texts])
        names = self.labels.symbols
        return [
            Classified(text, names[int(row.argmax())], dict(zip(names, row.tolist(), strict=True)))
            for text, row in zip(texts, rows, strict=True)
        ]

    def nothing(self, text: str) -> Classified:
        """No class."""
        return Classified(text, None, {})

    def judge(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        """Accuracy, scores by class, and the texts whose class was least likely."""
        lengths, names = [len(tokens) for tokens, _ in examples], self.labels.symbols
        rows = np.zeros((len(examples), len(names)))
        for cut in in_cuts(range(len(examples)), lengths, 64):
            rows[cut] = self._probabilities(model, [examples[i][0] for i in cut])
        wanted, found = [label for _, label in examples], [names[i] for i in rows.argmax(1).tolist()]
        by_class = class_scores(wanted, found)
        scores = by_class | means(by_class)
        wrong = []
        for (tokens, label), answer, row in zip(examples, found, rows, strict=True):
            if label != answer:
                p = float(row[self.labels.id(label)]) if label in self.labels else 0.0
                said = f"{answer} (p = {row.max():.4f}), not {label} (p = {p:.4f})"
                wrong.append(Wrong(self.reader.joined(tokens), [said], -float(np.log(max(p, LEAST)))))
        wrong.sort(key=lambda one: -one.badness)
        figures = {
            "accuracy": sum(a == b for a, b in zip(wanted, found, strict=True)) / len(examples),
            "macro_f1": scores["macro"].f1,
            "unknown_words": self.reader.unknown_share(tokens for tokens, _ in examples),
        }
        confused = confusions(wanted, found)
        return Evaluation(self.name, len(examples), figures, {"class": scores}, confused, wrong)

    def _probabilities(self, model: Any, sentences: Sequence[Sequence[str]]) -> np.ndarray[Any, Any]:
        """(texts, classes)."""
        logs = model.predict(self.inputs(sentences)).numpy().astype(np.float64)
        rows = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares: np.ndarray[Any, Any] = rows / rows.sum(axis=1, keepdims=True)
        return shares


def _of_folder(folder: Path, encoding: str) -> Iterable[tuple[str, str]]:
    """Texts and classes: a folder of files for each class, or a file for each class, a text a line.

    Files are named after classes, as German.txt; where all begin alike, as in reviews.neg, their endings are.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in entries if path.is_dir()]
    if len(entries) < 2 or (folders and len(folders) < len(entries)):
        raise DataError(
            f"{folder} is no folder of classes: it has a folder of texts for each, or a file for each with a "
            "text a line, and nothing else."
        )
    if folders:
        for path in folders:
            for file in sorted(p for p in path.iterdir() if not p.name.startswith(".")):
                yield "\n".join(read_lines(file, encoding=encoding)), path.name
        return
    names = [path.name.removesuffix(".gz").removesuffix(".txt") for path in entries]
    endings = [name.rpartition(".")[2] for name in names]
    if Counter(name.rpartition(".")[0] for name in names).most_common(1)[0][1] == len(names):
        names = endings
    for path, name in zip(entries, names, strict=True):
        for line in read_lines(path, encoding=encoding):
            yield line, name
