"""Spans (names, slots, chunks) that tags stand for, and how many of them were found."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.contracts.pairing import check_ignored, check_list, is_whole, of_other_lengths
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError
from tinyseq.evaluation.schemes import (
    Scheme,
    Tag,
    illegal,
    lenient_spans,
    parse,
    spelled,
    strict_spans,
)
from tinyseq.evaluation.schemes import Span as Span
from tinyseq.evaluation.schemes import convert_tags as convert_tags
from tinyseq.sequences import Sequences

Mode = Literal["conlleval", "strict"]

UNTYPED = "_"  # the name of spans without a type in reports


class Score(NamedTuple):
    """precision: the share of predicted spans that are right; recall: of right ones that are predicted."""

    precision: float
    recall: float
    f1: float
    support: int  # spans in the targets


class SpanF1(Metric):
    """F1 of spans, found if type, start and end are right: 2 P R / (P + R) over all types together.

    `update(predictions, targets)` takes Sequences of tag numbers (or of scores (steps, tags)), or lists of
    sequences of tags, or of their numbers. `tags` names the numbers. Tokens whose target is `ignore_index`
    are left out on both sides, as if they were not there.

    mode "conlleval" reads any tags as spans, as the CoNLL program does; "strict" only those that are written
    as `scheme` says. A figure whose denominator is 0 is 0.
    """

    def __init__(
        self,
        tags: Sequence[str],
        *,
        mode: Mode = "conlleval",
        scheme: Scheme = "IOB2",
        ignore_index: int | None = None,
    ) -> None:
        check_list("SpanF1", "tags", tags)
        if mode not in ("conlleval", "strict"):
            raise ConfigError(f"SpanF1: mode is 'conlleval' or 'strict', not {mode!r}.")
        self.tags = tuple(tags)
        self.mode = mode
        self.scheme: Scheme = scheme
        self.ignore_index = check_ignored("SpanF1", ignore_index)
        self._parsed = {tag: parse(tag, scheme) for tag in self.tags}
        self.right: Counter[str] = Counter()  # spans by type: predicted where they are
        self.predicted: Counter[str] = Counter()
        self.actual: Counter[str] = Counter()
        self.illegal: Counter[tuple[str, str]] = (
            Counter()
        )  # neighbours in predictions that the scheme forbids

    def update(self, predictions: Any, targets: Any) -> None:
        """Take in one batch.

        Raises ShapeError if a prediction is not as long as its target, DataError for the number of no tag.
        """
        found, wanted = self._listed(predictions), self._listed(targets)
        lengths = tuple(map(len, found)), tuple(map(len, wanted))
        if lengths[0] != lengths[1]:
            raise of_other_lengths("SpanF1", *lengths)
        kept = [
            [t for t, tag in enumerate(tags) if self.ignore_index is None or tag != self.ignore_index]
            for tags in wanted
        ]
        predicted = self._parsed_tags(found, kept, "prediction")
        right = self._parsed_tags(wanted, kept, "target")
        for prediction, target in zip(predicted, right, strict=True):
            ours, theirs = set(self._spans(prediction)), set(self._spans(target))
            self.predicted.update(span.type for span in ours)
            self.actual.update(span.type for span in theirs)
            self.right.update(span.type for span in ours & theirs)
            self.illegal.update(
                (spelled(a, self.scheme), spelled(b, self.scheme))
                for a, b in illegal(prediction, self.scheme)
            )

    def merge(self, other: "SpanF1") -> None:
        """Take in all that `other` has seen. Raises ConfigError if it counts other spans."""
        if (other.mode, other.scheme) != (self.mode, self.scheme):
            raise ConfigError(
                f"SpanF1 in mode {other.mode} ({other.scheme}) cannot be merged into mode {self.mode} "
                f"({self.scheme})."
            )
        self.right += other.right
        self.predicted += other.predicted
        self.actual += other.actual
        self.illegal += other.illegal

    def value(self) -> float:
        """F1 over all types."""
        return self._score(self.right.total(), self.predicted.total(), self.actual.total()).f1

    def report(self) -> dict[str, Score]:
        """The score of each type, in alphabetical order, and that of all together, under "".

        Spans without a type (of tags such as B and I) are under "_".
        """
        types = sorted(self.predicted.keys() | self.actual.keys())
        scores = {t or UNTYPED: self._score(self.right[t], self.predicted[t], self.actual[t]) for t in types}
        return {**scores, "": self._score(self.right.total(), self.predicted.total(), self.actual.total())}

    def _score(self, right: int, predicted: int, actual: int) -> Score:
        f1 = 2 * right / (predicted + actual) if predicted + actual else 0.0
        return Score(right / predicted if predicted else 0.0, right / actual if actual else 0.0, f1, actual)

    def _spans(self, tags: Sequence[Tag]) -> list[Span]:
        return lenient_spans(tags) if self.mode == "conlleval" else strict_spans(tags, self.scheme)

    def _listed(self, given: Any) -> list[list[Any]]:
        """Tags, or their numbers, as lists; of scores the number of the highest."""
        if isinstance(given, str):
            raise DataError(f"SpanF1 takes a list of tags for each sequence, not the string {given!r}.")
        if not isinstance(given, Sequences):
            for k, tags in enumerate(given):
                if isinstance(tags, str) or not hasattr(tags, "__len__"):
                    raise DataError(
                        f"SpanF1 takes a list of tags for each sequence, and sequence {k} is {tags!r}."
                    ).about(k, len(given))
            given = [np.asarray(tags.numpy() if isinstance(tags, Tensor) else tags) for tags in given]
            return [(tags.argmax(-1) if tags.ndim == 2 else tags).tolist() for tags in given]
        rows = [x.numpy() for x in given.to_list()]
        return [(row.argmax(-1) if row.ndim == 2 else row).tolist() for row in rows]

    def _parsed_tags(self, sequences: list[list[Any]], kept: list[list[int]], what: str) -> list[list[Tag]]:
        """What the tags at the places that are kept say."""
        by_number = [self._parsed[tag] for tag in self.tags]

        def parsed(tag: Any, sequence: int, step: int) -> Tag:
            if isinstance(tag, str):
                return self._parsed.get(tag) or parse(tag, self.scheme)
            if isinstance(tag, int) and is_whole(tag) and 0 <= tag < len(by_number):
                return by_number[tag]
            ignored = "" if self.ignore_index is None else f", nor the ignore_index {self.ignore_index}"
            raise DataError(
                f"SpanF1: the {what} {tag!r} of sequence {sequence} at step {step} is none of the "
                f"{len(by_number)} tags 0..{len(by_number) - 1}{ignored}."
            ).about(sequence, len(sequences))

        return [
            [parsed(tags[t], k, t) for t in places]
            for k, (tags, places) in enumerate(zip(sequences, kept, strict=True))
        ]
