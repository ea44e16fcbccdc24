"""Spans (names, slots, chunks) that tags stand for, and how many of them were found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyseq.contracts import Metric
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError, DataError, ShapeError
from tinyseq.sequences import Sequences

Mode = Literal["conlleval", "strict"]
Scheme = Literal["IOB1", "IOB2", "IOBES"]

PREFIXES = {"IOB1": "IOB", "IOB2": "IOB", "IOBES": "IOBES"}


class Tag(NamedTuple):
    """A tag such as B-PER: what it does, and the type of its span; "O" is outside of all spans."""

    prefix: str
    type: str


class Span(NamedTuple):
    """The tokens start..stop - 1."""

    type: str
    start: int
    stop: int


class Score(NamedTuple):
    """precision: the share of predicted spans that are right; recall: of right ones that are predicted."""

    precision: float
    recall: float
    f1: float
    support: int  # spans in the targets


OUTSIDE = Tag("O", "")


def parse(tag: str, scheme: str) -> Tag:
    """The parts of a tag. Raises ConfigError for a prefix that the scheme does not have."""
    prefix, _, kind = tag.partition("-")
    if scheme not in PREFIXES:
        raise ConfigError(f"There is no tagging scheme {scheme!r}; choose from {', '.join(PREFIXES)}.")
    if len(prefix) != 1 or prefix not in PREFIXES[scheme]:
        raise ConfigError(
            f"The tag {tag!r} is none of {scheme}: tags are O, or one of "
            f"{', '.join(PREFIXES[scheme].replace('O', ''))} before a hyphen and a type, such as B-PER."
        )
    return OUTSIDE if prefix == "O" else Tag(prefix, kind)


def lenient_spans(tags: Sequence[Tag]) -> list[Span]:
    """The spans that the program conlleval sees: every tag but O is in one, whatever its prefix ought to be.

    A span starts at B or S, after O, E or S, and where the type changes. Source: Tjong Kim Sang and
    Buchholz (2000).
    """
    starts = [
        now.prefix != "O" and (now.prefix in "BS" or before.prefix in "OES" or now.type != before.type)
        for before, now in pairwise([OUTSIDE, *tags])
    ]
    spans = []
    for i, tag in enumerate(tags):
        if starts[i]:
            stop = i + 1
            while stop < len(tags) and tags[stop].prefix != "O" and not starts[stop]:
                stop += 1
            spans.append(Span(tag.type, i, stop))
    return spans


def strict_spans(tags: Sequence[Tag], scheme: Scheme) -> list[Span]:
    """The spans that are written as the scheme says; tags out of place are in none. Agrees with seqeval.

    IOB2: B, then any number of I. IOBES: S, or B, any number of I, and E. IOB1: I ..., or B, I ... right
    after a span of the same type; a lone B before a B of another type is out of place.
    """
    padded = [*tags, OUTSIDE]
    spans = []
    before, i = OUTSIDE, 0
    while i < len(tags):
        start = i
        i += 1
        if _begins(before, padded[start], scheme):
            while _goes_on(padded[i - 1], padded[i], scheme):
                i += 1
            if _is_complete(padded[i - 1], padded[i], scheme):
                spans.append(Span(padded[start].type, start, i))
        before = padded[i - 1]
    return spans


def _begins(before: Tag, now: Tag, scheme: Scheme) -> bool:
    if scheme != "IOB1":
        return now.prefix in "BS"
    if now.prefix == "B":
        return before.prefix != "O" and before.type == now.type
    return now.prefix == "I" and (before.prefix != "I" or before.type != now.type)


def _goes_on(before: Tag, now: Tag, scheme: Scheme) -> bool:
    return before.prefix in "BI" and now.prefix in "IE" and before.type == now.type


def _is_complete(last: Tag, after: Tag, scheme: Scheme) -> bool:
    if scheme == "IOBES":
        return last.prefix in "ES"
    return not (scheme == "IOB1" and last.prefix == after.prefix == "B" and last.type != after.type)


def illegal(tags: Sequence[Tag], scheme: Scheme) -> Iterator[tuple[Tag, Tag]]:
    """Neighbours that the scheme does not allow; O stands before the first tag and after the last."""
    for before, now in pairwise([OUTSIDE, *tags, OUTSIDE]):
        same = before.type == now.type and before.prefix != "O" and now.prefix != "O"
        if scheme == "IOB1":
            wrong = now.prefix == "B" and not same
        elif scheme == "IOB2":
            wrong = now.prefix == "I" and not same
        else:
            opened = before.prefix in "BI"
            wrong = opened != (now.prefix in "IE") or (opened and not same)
        if wrong:
            yield before, now


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
        if isinstance(tags, str):
            raise ConfigError(f"SpanF1 takes a list of the names of tags, not the string {tags!r}.")
        if mode not in ("conlleval", "strict"):
            raise ConfigError(f"SpanF1: mode is 'conlleval' or 'strict', not {mode!r}.")
        self.tags = tuple(tags)
        self.mode = mode
        self.scheme: Scheme = scheme
        self.ignore_index = ignore_index
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
        if [len(s) for s in found] != [len(s) for s in wanted]:
            raise ShapeError(
                f"SpanF1: predictions have lengths {[len(s) for s in found]}, targets have lengths "
                f"{[len(s) for s in wanted]}."
            )
        if self.ignore_index is not None:
            kept = [[i for i, tag in enumerate(tags) if tag != self.ignore_index] for tags in wanted]
            found = [[tags[i] for i in places] for tags, places in zip(found, kept, strict=True)]
            wanted = [[tags[i] for i in places] for tags, places in zip(wanted, kept, strict=True)]
        predicted, right = self._parsed_tags(found, "prediction"), self._parsed_tags(wanted, "target")
        for prediction, target in zip(predicted, right, strict=True):
            ours, theirs = set(self._spans(prediction)), set(self._spans(target))
            self.predicted.update(span.type for span in ours)
            self.actual.update(span.type for span in theirs)
            self.right.update(span.type for span in ours & theirs)
            self.illegal.update((_spelled(a), _spelled(b)) for a, b in illegal(prediction, self.scheme))

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
        """The score of each type, in alphabetical order, and that of all together, under ""."""
        types = sorted(self.predicted.keys() | self.actual.keys())
        scores = {t: self._score(self.right[t], self.predicted[t], self.actual[t]) for t in types}
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
            given = [np.asarray(tags.numpy() if isinstance(tags, Tensor) else tags) for tags in given]
            return [(tags.argmax(-1) if tags.ndim == 2 else tags).tolist() for tags in given]
        rows = [x.numpy() for x in given.to_list()]
        return [(row.argmax(-1) if row.ndim == 2 else row).tolist() for row in rows]

    def _parsed_tags(self, sequences: list[list[Any]], what: str) -> list[list[Tag]]:
        by_number = [self._parsed[tag] for tag in self.tags]

        def parsed(tag: Any, sequence: int, step: int) -> Tag:
            if isinstance(tag, str):
                return self._parsed.get(tag) or parse(tag, self.scheme)
            if isinstance(tag, int) and 0 <= tag < len(by_number):
                return by_number[tag]
            ignored = "" if self.ignore_index is None else f", nor the ignore_index {self.ignore_index}"
            raise DataError(
                f"SpanF1: the {what} {tag!r} of sequence {sequence} at step {step} is none of the "
                f"{len(by_number)} tags 0..{len(by_number) - 1}{ignored}."
            )

        return [[parsed(tag, k, t) for t, tag in enumerate(tags)] for k, tags in enumerate(sequences)]


def _spelled(tag: Tag) -> str:
    return f"{tag.prefix}-{tag.type}" if tag.type else tag.prefix
