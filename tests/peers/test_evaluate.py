"""What `evaluate` says is what seqeval and scikit-learn say of the same answers."""

import random
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyseq.data import Vocabulary
from tinyseq.tasks import Classification, Tagging
from tinyseq.tasks.evaluation import Evaluation
from tinyseq.tasks.reader import Reader

seqeval = pytest.importorskip("seqeval.metrics", reason="needs seqeval: pip install '.[test-peers]'")
sklearn = pytest.importorskip("sklearn.metrics", reason="comes with seqeval: pip install '.[test-peers]'")

TAGS = ["O", "B-X", "I-X", "B-Y", "I-Y"]
NAMES = ["a", "b", "c"]


class Told:
    """A model that gives the answers that it is told, by the words that it reads."""

    def __init__(self, answers: dict[int, Any]) -> None:
        self.answers = answers

    def predict(self, xs: Any) -> Any:
        from tinyseq import Sequences, Tensor

        rows = [self.answers[int(ids.numpy()[0])] for ids in xs.to_list()]
        return Sequences.from_list(rows) if isinstance(rows[0], list) else Tensor(rows)


def reader(count: int) -> Reader:
    words = Vocabulary([f"w{i}" for i in range(count)], unit="word", specials=["<unk>"], unknown="<unk>")
    return Reader(words)


def same(ours: Evaluation, title: str, theirs: dict[str, Any]) -> None:
    for name, score in ours.scores[title].items():
        row = theirs[f"{name} avg" if name in ("micro", "macro", "weighted") else name]
        assert score.precision == pytest.approx(row["precision"], abs=1e-12)
        assert score.recall == pytest.approx(row["recall"], abs=1e-12)
        assert score.f1 == pytest.approx(row["f1-score"], abs=1e-12)
        assert score.support == row["support"]
    assert len(ours.scores[title]) == len([name for name in theirs if name != "accuracy"])


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_spans_and_tags(seed: int, count: int) -> None:
    rng = random.Random(seed)
    tags = rng.choice([TAGS, ["N", "V", "DET"]])
    task = Tagging(reader(count), Vocabulary(tags, unit="word"))
    unseen = [*tags, "B-Z" if "O" in tags else "X1"]  # a tag that was not in training is never found
    wanted = [[rng.choice(unseen) for _ in range(rng.randint(1, 7))] for _ in range(count)]
    ids = {i + 1: [rng.randrange(len(tags)) for _ in row] for i, row in enumerate(wanted)}
    found = [[tags[i] for i in ids[k + 1]] for k in range(count)]
    examples = [([f"w{k}"] * len(row), row) for k, row in enumerate(wanted)]
    ours = task.judge(Told(ids), examples)
    flat = [t for row in wanted for t in row], [t for row in found for t in row]
    assert ours.figures["accuracy"] == pytest.approx(sklearn.accuracy_score(*flat), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "O" in tags:
            if any(t != "O" for t in (*flat[0], *flat[1])):
                same(ours, "span", seqeval.classification_report(wanted, found, output_dict=True))
        else:
            report = sklearn.classification_report(*flat, output_dict=True, zero_division=0)
            report.pop("micro avg", None)
            same(ours, "tag", report)
    assert len(ours.wrong) == sum(a != b for a, b in zip(wanted, found, strict=True))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_classes(seed: int, count: int) -> None:
    rng = random.Random(seed)
    task = Classification(reader(count), Vocabulary(NAMES, unit="word"))
    wanted = [rng.choice([*NAMES, "unseen"]) for _ in range(count)]
    scores = {i + 1: tuple(rng.gauss(0, 3) for _ in NAMES) for i in range(count)}
    ours = task.judge(Told(scores), [([f"w{k}"], label) for k, label in enumerate(wanted)])
    found = [max(zip(scores[k + 1], NAMES, strict=True))[1] for k in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single class
        report = sklearn.classification_report(wanted, found, output_dict=True, zero_division=0)
    report.pop("micro avg", None)
    same(ours, "class", report)
    names = sorted({*wanted, *found})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single class
        matrix = sklearn.confusion_matrix(wanted, found, labels=names)
    assert [[ours.confused[a, b] for b in names] for a in names] == matrix.tolist()
