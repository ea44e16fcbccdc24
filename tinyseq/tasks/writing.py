"""A text for each text: translations, answers, spellings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinyseq.data import Vocabulary, read_columns
from tinyseq.engine import no_grad
from tinyseq.errors import DataError
from tinyseq.evaluation import BLEU, edit_distance
from tinyseq.registry.run_options import SequenceToSequenceData
from tinyseq.sequences import Sequences
from tinyseq.tasks.base import Task, in_cuts, reader_of
from tinyseq.tasks.evaluation import Evaluation, Wrong
from tinyseq.tasks.reader import END, UNKNOWN, Reader, glued, plain_text, unglued

BEAM, LENGTH_PENALTY = 5, 0.8

Rewriting = tuple[list[str], list[str]]
"""The tokens of a text, and of what is to be written for it."""


class Written(NamedTuple):
    """What is written for a text, and its log-probability over the length penalty; None without tokens."""

    text: str
    written: str | None
    score: float


class SequenceToSequence(Task):
    """Examples are the tokens of two texts; what is written has spaces where they were learnt."""

    name = "sequence-to-sequence"
    column = "source"

    def __init__(self, reader: Reader, target: Vocabulary) -> None:
        self.reader = reader
        self.target = target

    @classmethod
    def read(cls, data: SequenceToSequenceData, path: Path) -> list[Rewriting]:
        """Rows of a table or of JSON lines."""
        split = Reader.splitter(data.unit)

        def parse(source: Any, target: Any) -> Rewriting:
            a, text = split(plain_text(source, data.source)), plain_text(target, data.target).strip()
            if not (a and text):
                raise ValueError(f"has nothing in the column {data.target if a else data.source}.")
            return a, list(text) if data.unit == "char" else glued(text)

        return list(read_columns(path, (data.source, data.target), encoding=data.encoding, parse=parse))

    @classmethod
    def of(
        cls, train: Sequence[Rewriting], valid: Sequence[Rewriting], data: Any = None, folder: Path = Path()
    ) -> "SequenceToSequence":
        """The task of these examples: tokens seen `min_count` times or more on either side."""
        written = (token for _, tokens in train for token in tokens)
        count = 2 if data is None else data.min_count
        target = Vocabulary.build(
            written, unit="word", min_count=count, specials=[END, UNKNOWN], unknown=UNKNOWN
        )
        return cls(reader_of([a for a, _ in train], data, folder), target)

    def told(self) -> dict[str, Any]:
        """Sizes."""
        return {**self.reader.told(), "target_size": len(self.target)}

    def collate(self, examples: list[Rewriting]) -> tuple[Sequences, Sequences]:
        """Ids of what is read, and of what is written, with its end."""
        targets = [self.target.encode([*tokens, END]) for _, tokens in examples]
        return self.inputs([tokens for tokens, _ in examples]), Sequences.from_list(targets)

    def answers(self, model: Any, texts: Sequence[str]) -> list[Written]:
        """What is written for each text."""
        found = self._written(model, [self.reader.split(text) for text in texts])
        return [
            Written(text, self._text(tokens), score)
            for text, (tokens, score) in zip(texts, found, strict=True)
        ]

    def nothing(self, text: str) -> Written:
        """Nothing is written."""
        return Written(text, None, float("nan"))

    def judge(self, model: Any, examples: Sequence[Rewriting]) -> Evaluation:
        """The error rate in tokens, the share without any, BLEU, and the answers with most errors."""
        found: list[list[str]] = [[]] * len(examples)
        for cut in in_cuts(range(len(examples)), [len(a) for a, _ in examples], 64):
            answers = self._written(model, [examples[i][0] for i in cut])
            for i, (tokens, _) in zip(cut, answers, strict=True):
                found[i] = tokens
        wanted = [tokens for _, tokens in examples]
        edits = [edit_distance(a, b) for a, b in zip(found, wanted, strict=True)]
        bleu = BLEU()
        bleu.update(found, wanted)
        figures = {
            "error_rate": sum(edits) / sum(map(len, wanted)),
            "exact_match": edits.count(0) / len(examples),
            "bleu": bleu.value(),
            "unknown_words": self.reader.unknown_share(tokens for tokens, _ in examples),
        }
        wrong = [
            Wrong(self.reader.joined(a), [f"{self._text(answer)}, not {self._text(b)}"], n / len(b))
            for (a, b), answer, n in zip(examples, found, edits, strict=True)
            if n
        ]
        wrong.sort(key=lambda one: -one.badness)
        return Evaluation(self.name, len(examples), figures, wrong=wrong)

    def _written(self, model: Any, sentences: Sequence[Sequence[str]]) -> list[tuple[list[str], float]]:
        """The best of a beam search for each."""
        with no_grad(), model.evaluating():
            searched = model.head.beam(
                model(self.inputs(sentences)),
                BEAM,
                length_penalty=LENGTH_PENALTY,
                exclude=[self.target.id(UNKNOWN)],
            )
        best = [hypotheses[0] for hypotheses in searched]
        return [([self.target.symbols[i] for i in h.ids], float(h.score)) for h in best]

    def _text(self, tokens: Sequence[str]) -> str:
        return "".join(tokens) if self.reader.unit == "char" else unglued(tokens)

    def fits(self, model: Any) -> bool:
        """Whether the sizes of a model's parts are those of the vocabularies."""
        head = getattr(model, "head", None)
        size = getattr(head, "vocabulary_size", len(self.target))
        return super().fits(model) and size == len(self.target) and hasattr(head, "beam")

    def to_record(self) -> dict[str, Any]:
        """As JSON-able values."""
        return {"name": self.name, "reader": self.reader.to_record(), "target": self.target.to_json()}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "SequenceToSequence":
        """From what `to_record` gave. Raises DataError for anything else."""
        target = Vocabulary.from_json(str(record.get("target")))
        if target.specials != (END, UNKNOWN):
            raise DataError("its task does not say what is written")
        return cls(Reader.from_record(record.get("reader")), target)
