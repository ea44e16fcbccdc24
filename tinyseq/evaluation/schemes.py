"""Schemes of tags: how spans (names, slots, chunks) are written as one tag for each token."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyseq.contracts.pairing import check_list
from tinyseq.errors import ConfigError

Scheme = Literal["IOB1", "IOB2", "IOBES", "BILOU"]

PREFIXES = {"IOB1": "IOB", "IOB2": "IOB", "IOBES": "IOBES", "BILOU": "IOBLU"}
_READ = {"BILOU": {"L": "E", "U": "S"}}  # last and unit: IOBES by other letters


class Tag(NamedTuple):
    """A tag such as B-PER: what it does, and the type of its span; "O" is outside of all spans."""

    prefix: str
    type: str


class Span(NamedTuple):
    """The tokens start..stop - 1."""

    type: str
    start: int
    stop: int


OUTSIDE = Tag("O", "")


def parse(tag: str, scheme: str) -> Tag:
    """What a tag says, of BILOU by the letters of IOBES.

    Raises ConfigError for a prefix that the scheme does not have.
    """
    prefix, _, kind = tag.partition("-")
    if scheme not in PREFIXES:
        raise ConfigError(f"There is no tagging scheme {scheme!r}; choose from {', '.join(PREFIXES)}.")
    if len(prefix) != 1 or prefix not in PREFIXES[scheme]:
        raise ConfigError(
            f"The tag {tag!r} is none of {scheme}: tags are O, or one of "
            f"{', '.join(PREFIXES[scheme].replace('O', ''))} before a hyphen and a type, such as B-PER."
        )
    return OUTSIDE if prefix == "O" else Tag(_READ.get(scheme, {}).get(prefix, prefix), kind)


def spelled(tag: Tag, scheme: str) -> str:
    """The tag as the scheme writes it."""
    letters = {read: letter for letter, read in _READ.get(scheme, {}).items()}
    prefix = letters.get(tag.prefix, tag.prefix)
    return f"{prefix}-{tag.type}" if tag.type else prefix


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

    IOB2: B, then any number of I. IOBES: S, or B, any number of I, and E (BILOU: U and L). IOB1: I ..., or
    B, I ... right after a span of the same type; a lone B before a B of another type is out of place.
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
    if scheme in ("IOBES", "BILOU"):
        return last.prefix in "ES"
    return not (scheme == "IOB1" and last.prefix == after.prefix == "B" and last.type != after.type)


def illegal(tags: Sequence[Tag], scheme: Scheme) -> Iterator[tuple[Tag, Tag]]:
    """Neighbours that the scheme does not allow; O stands before the first tag and after the last."""
    for before, now in pairwise([OUTSIDE, *tags, OUTSIDE]):
        if not is_legal(before, now, scheme):
            yield before, now


def is_legal(before: Tag, now: Tag, scheme: Scheme) -> bool:
    """Whether the scheme allows `now` right after `before`; O stands before the first tag, after the last."""
    same = before.type == now.type and before.prefix != "O" and now.prefix != "O"
    if scheme == "IOB1":
        return now.prefix != "B" or same
    if scheme == "IOB2":
        return now.prefix != "I" or same
    opened = before.prefix in "BI"
    return opened == (now.prefix in "IE") and (same or not opened)


class Moves(NamedTuple):
    """Which tags may begin a sequence, (tags,); follow another, from row to column; and end one, (tags,)."""

    start: np.ndarray[Any, Any]
    transitions: np.ndarray[Any, Any]
    end: np.ndarray[Any, Any]


def legal_moves(names: Sequence[str], scheme: Scheme) -> Moves:
    """What the scheme allows between tags of these names."""
    tags = [parse(name, scheme) for name in names]
    return Moves(
        np.array([is_legal(OUTSIDE, tag, scheme) for tag in tags]),
        np.array([[is_legal(before, now, scheme) for now in tags] for before in tags]),
        np.array([is_legal(tag, OUTSIDE, scheme) for tag in tags]),
    )


def convert_tags(tags: Sequence[str], source: Scheme, target: Scheme) -> list[str]:
    """The tags of one sequence, written in scheme `source`, as scheme `target` writes the same spans.

    Tags that `source` forbids are read as conlleval reads them: every tag but O is in a span, so "O I-PER"
    of IOB2 becomes "O B-PER". Raises ConfigError for a prefix that `source` does not have.
    """
    check_list("convert_tags()", "tags", tags)
    out, before = [OUTSIDE] * len(tags), Span("", 0, 0)
    for span in lenient_spans([parse(tag, source) for tag in tags]):
        touches = span.start == before.stop and span.type == before.type and before.stop > 0
        for i in range(span.start, span.stop):
            out[i] = Tag("I", span.type)
        if target != "IOB1" or touches:
            out[span.start] = Tag("B", span.type)
        if target in ("IOBES", "BILOU"):
            out[span.stop - 1] = Tag("S" if span.stop == span.start + 1 else "E", span.type)
        before = span
    return [spelled(tag, target) for tag in out]


def find_scheme(sequences: Sequence[Sequence[str]]) -> Scheme:
    """The scheme in which tags are written: by their letters, then by the fewest illegal neighbours.

    IOB2 where both kinds of IOB fit. Raises ConfigError for tags of no scheme, naming one of them.
    """
    check_list("find_scheme()", "sequences", sequences)
    for tags in sequences:
        check_list("find_scheme()", "each of the sequences", tags)
    used = {tag.partition("-")[0]: tag for tags in sequences for tag in tags}
    order: list[Scheme] = ["IOB2", "IOB1", "IOBES", "BILOU"]
    able = [s for s in order if all(len(p) == 1 and p in PREFIXES[s] for p in used)]
    if not able:
        strange = next((t for p, t in used.items() if len(p) != 1 or p not in "IOBESLU"), None)
        which = (
            f"the tag {strange!r}" if strange else f"the tags {', '.join(map(repr, used.values()))} together"
        )
        raise ConfigError(
            f"No tagging scheme has {which}: there are {', '.join(PREFIXES)}, such as B-PER or O."
        )

    def wrong(scheme: Scheme) -> int:
        return sum(1 for tags in sequences for _ in illegal([parse(tag, scheme) for tag in tags], scheme))

    return min(able, key=wrong)  # the first of equals
