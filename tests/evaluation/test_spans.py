"""Span F1: known tags, legal and illegal ones, and figures that add up. tests/peers compares with seqeval."""

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq import Sequences
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.evaluation import SpanF1
from tinyseq.evaluation.schemes import (
    PREFIXES,
    Span,
    convert_tags,
    find_scheme,
    illegal,
    lenient_spans,
    parse,
    strict_spans,
)
from tinyseq.evaluation.spans import Score

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def tags(text: str, scheme: str = "IOB2") -> list:
    return [parse(tag, scheme) for tag in text.split()]


@pytest.mark.parametrize(
    ("scheme", "text", "strict", "lenient"),
    [
        ("IOB2", "B-X I-X O B-Y", [("X", 0, 2), ("Y", 3, 4)], [("X", 0, 2), ("Y", 3, 4)]),
        ("IOB2", "B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)], [("X", 0, 1), ("X", 1, 3)]),
        ("IOB2", "I-X O I-Y I-Y", [], [("X", 0, 1), ("Y", 2, 4)]),
        ("IOB2", "B-X I-Y I-X", [("X", 0, 1)], [("X", 0, 1), ("Y", 1, 2), ("X", 2, 3)]),
        ("IOB1", "I-X I-X B-X", [("X", 0, 2), ("X", 2, 3)], [("X", 0, 2), ("X", 2, 3)]),
        ("IOB1", "O B-X I-X", [("X", 2, 3)], [("X", 1, 3)]),
        ("IOBES", "S-X B-Y I-Y E-Y", [("X", 0, 1), ("Y", 1, 4)], [("X", 0, 1), ("Y", 1, 4)]),
        ("IOBES", "B-X I-X O E-Y S-Y", [("Y", 4, 5)], [("X", 0, 2), ("Y", 3, 4), ("Y", 4, 5)]),
        ("IOBES", "B-X E-Y", [], [("X", 0, 1), ("Y", 1, 2)]),
    ],
)  # fmt: skip
def test_spans_of_known_tags(scheme: str, text: str, strict: list, lenient: list) -> None:
    assert strict_spans(tags(text, scheme), scheme) == [Span(*s) for s in strict]
    assert lenient_spans(tags(text, scheme)) == [Span(*s) for s in lenient]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[Span], list[str]]:
    """A scheme, spans side by side, and the tags that write them in that scheme."""
    scheme = draw(st.sampled_from(list(PREFIXES)))
    spans, out, before = [], [], ""
    for kind, length, gap in draw(
        st.lists(st.tuples(st.sampled_from("XY"), st.integers(1, 3), st.integers(0, 2)), max_size=4)
    ):
        out += ["O"] * gap
        spans.append(Span(kind, len(out), len(out) + length))
        if scheme == "IOBES":
            prefixes = "S" if length == 1 else "B" + "I" * (length - 2) + "E"
        elif scheme == "BILOU":
            prefixes = "U" if length == 1 else "B" + "I" * (length - 2) + "L"
        else:
            touching = gap == 0 and before == kind
            prefixes = ("B" if scheme == "IOB2" or touching else "I") + "I" * (length - 1)
        out += [f"{p}-{kind}" for p in prefixes]
        before = kind
    return scheme, spans, out


@given(case=written())
def test_what_is_written_correctly_is_read_alike_in_both_modes(
    case: tuple[str, list[Span], list[str]],
) -> None:
    scheme, spans, text = case
    parsed = [parse(tag, scheme) for tag in text]
    assert strict_spans(parsed, scheme) == spans  # type: ignore[arg-type]
    assert lenient_spans(parsed) == spans
    assert list(illegal(parsed, scheme)) == []  # type: ignore[arg-type]


@given(case=written(), target=st.sampled_from(list(PREFIXES)))
def test_a_scheme_becomes_another_with_the_same_spans(
    case: tuple[str, list[Span], list[str]], target: str
) -> None:
    scheme, spans, text = case
    there = convert_tags(text, scheme, target)  # type: ignore[arg-type]
    parsed = [parse(tag, target) for tag in there]
    assert strict_spans(parsed, target) == spans  # type: ignore[arg-type]
    assert list(illegal(parsed, target)) == []  # type: ignore[arg-type]
    assert convert_tags(there, target, scheme) == text  # type: ignore[arg-type]


@given(cases=st.lists(written(), min_size=1, max_size=3))
def test_the_scheme_that_is_found_reads_the_same_spans(
    cases: list[tuple[str, list[Span], list[str]]],
) -> None:
    cases = [case for case in cases if case[0] == cases[0][0]]
    scheme = find_scheme([text for _, _, text in cases])
    for _, spans, text in cases:
        assert strict_spans([parse(tag, scheme) for tag in text], scheme) == spans


def test_conversions_by_hand() -> None:
    assert convert_tags(["I-X", "I-X", "B-X", "O", "I-Y"], "IOB1", "IOB2") == [
        "B-X",
        "I-X",
        "B-X",
        "O",
        "B-Y",
    ]
    assert convert_tags(["B", "I", "O", "B"], "IOB2", "BILOU") == ["B", "L", "O", "U"]
    assert convert_tags(["O", "I-A-B"], "IOB2", "IOBES") == ["O", "S-A-B"]
    assert convert_tags([], "IOB2", "IOB1") == []
    with pytest.raises(ConfigError, match="tags is a list"):
        convert_tags("O O", "IOB2", "IOB1")
    with pytest.raises(ConfigError, match="'U-X' is none of IOB2"):
        convert_tags(["U-X"], "IOB2", "IOB1")
    with pytest.raises(ConfigError, match="No tagging scheme has the tag 'Q-X'"):
        find_scheme([["O", "Q-X"]])
    with pytest.raises(ConfigError, match="together"):
        find_scheme([["S-X", "U-X"]])
    assert find_scheme([["O"]]) == find_scheme([]) == "IOB2"


def test_spans_without_a_type_have_a_line_of_their_own() -> None:
    metric = SpanF1(["O", "B", "B-X"])
    metric.update([["B", "B-X", "O"]], [["B", "O", "O"]])
    assert metric.report()["_"] == Score(1.0, 1.0, 1.0, 1)
    assert metric.report()[""].precision == 0.5


def spellings(scheme: str, length: int, before: str = "") -> Iterator[list[str]]:
    """All ways to write spans of two types into so many tokens, right after a span of the type `before`."""
    if length == 0:
        yield []
        return
    yield from (["O", *rest] for rest in spellings(scheme, length - 1))
    for kind, size in itertools.product("XY", range(1, length + 1)):
        if scheme == "IOBES":
            prefixes = "S" if size == 1 else "B" + "I" * (size - 2) + "E"
        else:
            prefixes = ("B" if scheme == "IOB2" or before == kind else "I") + "I" * (size - 1)
        span = [f"{prefix}-{kind}" for prefix in prefixes]
        yield from ([*span, *rest] for rest in spellings(scheme, length - size, kind))


@pytest.mark.parametrize(("scheme", "longest"), [("IOB1", 4), ("IOB2", 4), ("IOBES", 3)])
def test_tags_are_illegal_where_no_spans_are_written_so(scheme: str, longest: int) -> None:
    every = ["O", *(f"{p}-{kind}" for p in PREFIXES[scheme].replace("O", "") for kind in "XY")]
    for length in range(1, longest + 1):
        legal = {tuple(text) for text in spellings(scheme, length)}
        for text in itertools.product(every, repeat=length):
            found = list(illegal([parse(tag, scheme) for tag in text], scheme))  # type: ignore[arg-type]
            assert (not found) == (text in legal), text


def test_report_by_type_and_of_illegal_tags() -> None:
    metric = SpanF1(TAGS)
    metric.update(
        [["B-PER", "I-PER", "O", "I-LOC"], ["O", "B-LOC", "I-PER"]],
        [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "B-LOC", "O"]],
    )
    assert metric.report() == {
        "LOC": Score(1.0, 1.0, 1.0, 2),
        "PER": Score(0.5, 0.5, 0.5, 2),
        "": Score(0.75, 0.75, 0.75, 4),
    }
    assert metric.value() == 0.75
    assert metric.illegal == {("O", "I-LOC"): 1, ("B-LOC", "I-PER"): 1}
    strict = SpanF1(TAGS, mode="strict")
    strict.update([["O", "I-LOC"]], [["O", "B-LOC"]])
    assert strict.report()[""] == Score(0.0, 0.0, 0.0, 1)


@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["conlleval", "strict"]))
def test_any_split_and_order_gives_the_same(seed: int, mode: str) -> None:
    rng = random.Random(seed)
    pairs = []
    for _ in range(rng.randint(1, 6)):
        length = rng.randint(1, 6)
        pairs.append([[rng.choice(TAGS) for _ in range(length)] for _ in range(2)])
    whole, parts = SpanF1(TAGS, mode=mode), SpanF1(TAGS, mode=mode)  # type: ignore[arg-type]
    whole.update([p for p, _ in pairs], [t for _, t in pairs])
    rng.shuffle(pairs)
    for predicted, wanted in pairs:
        one = SpanF1(TAGS, mode=mode)  # type: ignore[arg-type]
        one.update([predicted], [wanted])
        parts.merge(one)
    assert parts.report() == whole.report()
    assert parts.illegal == whole.illegal


def test_numbers_and_scores_as_sequences(backend: str) -> None:
    targets = [[1, 2, 0], [3]]
    scores = [np.eye(5)[[1, 2, 0]], np.eye(5)[[0]]]
    metric = SpanF1(TAGS)
    wanted = Sequences.from_list([np.array(t) for t in targets])
    metric.update(Sequences.from_list(scores), wanted)
    metric.update(wanted, wanted)
    assert metric.report()["PER"].f1 == 1
    assert metric.report()["LOC"] == Score(1.0, 0.5, 2 / 3, 2)


def test_nothing_to_find_is_zero() -> None:
    metric = SpanF1(TAGS)
    metric.update([["O", "O"]], [["O", "O"]])
    assert metric.value() == 0
    assert metric.report() == {"": Score(0.0, 0.0, 0.0, 0)}


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(
        ConfigError, match="'S-PER' is none of IOB2: tags are O, or one of I, B before a hyphen"
    ):
        SpanF1(["O", "S-PER"])
    with pytest.raises(ConfigError, match="'NOUN' is none of IOBES"):
        SpanF1(["NOUN"], scheme="IOBES")
    with pytest.raises(ConfigError, match="no tagging scheme 'BIO'; choose from IOB1, IOB2, IOBES"):
        SpanF1(["O"], scheme="BIO")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mode is 'conlleval' or 'strict', not 'exact'"):
        SpanF1(["O"], mode="exact")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="lengths 2, targets 1, of which sequence 0 has 2 and 1"):
        SpanF1(TAGS).update([["O", "O"]], [["O"]])
    with pytest.raises(ConfigError, match=r"mode strict \(IOB2\) cannot be merged into mode conlleval"):
        SpanF1(TAGS).merge(SpanF1(TAGS, mode="strict"))
