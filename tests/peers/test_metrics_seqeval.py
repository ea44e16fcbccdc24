"""Metrics equal those of seqeval and scikit-learn on any sequences of tags, legal or not."""

import random
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq.evaluation import AUC, MacroF1, SpanF1
from tinyseq.evaluation.schemes import PREFIXES

seqeval = pytest.importorskip("seqeval.metrics", reason="needs seqeval: pip install '.[test-peers]'")
schemes = pytest.importorskip("seqeval.scheme", reason="needs seqeval: pip install '.[test-peers]'")
sklearn = pytest.importorskip("sklearn.metrics", reason="comes with seqeval: pip install '.[test-peers]'")


def theirs(wanted: Any, predicted: Any, **options: Any) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # figures without any span
        report: dict[str, Any] = seqeval.classification_report(wanted, predicted, output_dict=True, **options)
    return report


def anything(rng: random.Random, tags: list[str]) -> list[str]:
    return [rng.choice(tags) for _ in range(rng.randint(1, 8))]


def legal(rng: random.Random, scheme: str) -> list[str]:
    """Spans written as the scheme says, some of them side by side."""
    tags, before = ["O"] * rng.randint(0, 1), ""
    for _ in range(rng.randint(1, 4)):
        kind, size, gap = rng.choice(["X", "Y-Z"]), rng.randint(1, 3), rng.randint(0, 1)
        if scheme == "IOBES":
            prefixes = "S" if size == 1 else "B" + "I" * (size - 2) + "E"
        elif scheme == "BILOU":
            prefixes = "U" if size == 1 else "B" + "I" * (size - 2) + "L"
        else:
            prefixes = ("B" if scheme == "IOB2" or before == kind else "I") + "I" * (size - 1)
        tags += [*(f"{prefix}-{kind}" for prefix in prefixes), *["O"] * gap]
        before = "" if gap else kind
    return tags


@pytest.mark.parametrize("mode", ["conlleval", "strict"])
@pytest.mark.parametrize("scheme", list(PREFIXES))
@settings(max_examples=60)
@given(well_written=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_span_f1(scheme: Any, mode: Any, well_written: bool, seed: int) -> None:
    rng = random.Random(seed)
    tags = ["O", *(f"{p}-{kind}" for p in PREFIXES[scheme].replace("O", "") for kind in ("X", "Y-Z"))]
    make = (lambda: legal(rng, scheme)) if well_written else (lambda: anything(rng, tags))
    wanted = [make() for _ in range(rng.randint(1, 5))]
    predicted = [[tag if rng.random() < 0.6 else rng.choice(tags) for tag in seq] for seq in wanted]
    if rng.random() < 0.3:
        predicted, wanted = wanted, predicted
    metric = SpanF1(tags, mode=mode, scheme=scheme)
    metric.update(predicted, wanted)
    options = {"mode": "strict", "scheme": getattr(schemes, scheme)} if mode == "strict" else {}
    if not metric.predicted and not metric.actual:
        assert metric.value() == 0  # seqeval has no report without any span
        return
    if scheme == "BILOU" and mode == "conlleval":  # of which seqeval's lenient mode knows no L and U
        letters = str.maketrans("UL", "SE")
        wanted, predicted = (
            [[t[0].translate(letters) + t[1:] for t in s] for s in x] for x in (wanted, predicted)
        )
    expected = theirs(wanted, predicted, **options)
    for kind, score in metric.report().items():
        row = expected[kind or "micro avg"]
        assert score.precision == pytest.approx(row["precision"], abs=1e-12)
        assert score.recall == pytest.approx(row["recall"], abs=1e-12)
        assert score.f1 == pytest.approx(row["f1-score"], abs=1e-12)
        assert score.support == row["support"]
    assert set(metric.report()) == {k for k in expected if " avg" not in k} | {""}


@given(rows=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_macro_f1_and_auc(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, wanted = rng.integers(0, 4, (2, rows))
    macro = MacroF1(4)
    macro.update(predicted, wanted)
    assert macro.value() == pytest.approx(
        sklearn.f1_score(wanted, predicted, average="macro", zero_division=0)
    )
    if len(set(wanted > 1)) == 2:
        auc = AUC()
        auc.update(predicted.astype(float), wanted > 1)
        assert auc.value() == pytest.approx(sklearn.roc_auc_score(wanted > 1, predicted))
        points = sklearn.roc_curve(wanted > 1, predicted, drop_intermediate=False)
        for ours, theirs in zip(auc.curve(), points, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
