"""The embedder's loss against nested loops, its batches, and what it makes of what people have."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import tinyseq
from tinyseq.sklearn import SequenceEmbedder
from tinyseq.sklearn.embedder import _GroupBatches

TEXTS = ["good fine day", "bad sad day", "fine good", "sad bad bad", "good good", "bad sad"] * 3
MOODS = ["up", "down"] * 9


def small(**options):
    return SequenceEmbedder(**{"hidden_size": 4, "epochs": 15, "random_state": 0} | options)


def test_the_loss_is_that_of_nested_loops():
    """Every sample and each of its group, itself among them, against each of the others."""
    groups, weights = [0, 1, 0, 2, 0, 1], [1.0, 2.0, 0.5, 3.0, 1.0, 1.0]
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    total = shares = 0.0
    for a, p, n in np.ndindex(6, 6, 6):
        if groups[a] == groups[p] != groups[n]:
            share = weights[a] * weights[p] * weights[n]
            total += share * max(vectors[a] @ vectors[n] - vectors[a] @ vectors[p] + 0.25, 0.0)
            shares += share
    embedder = small()
    head = embedder._head(3)
    steps = tinyseq.Sequences.from_list([vector[None] for vector in vectors])
    each, weighed = embedder._losses(head, steps, groups, steps, np.array(weights))
    assert weighed.sum() == pytest.approx(shares, rel=1e-12)
    assert (each.numpy() * weighed).sum() == pytest.approx(total, rel=1e-12)


def test_vectors_of_unseen_texts_are_nearest_those_of_their_group():
    """One word of six tells the group: before it has learned, others decide."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 6, 600)
    texts = [
        " ".join(rng.permutation([f"g{g}{rng.integers(3)}", *(f"n{i}" for i in rng.integers(0, 30, 5))]))
        for g in groups
    ]

    def right(epochs):
        model = SequenceEmbedder(epochs=epochs, random_state=0).fit(texts[:400], groups[:400])
        vectors = model.transform(texts)
        nearest = (vectors[400:] @ vectors[:400].T).argmax(1)
        return (groups[:400][nearest] == groups[400:]).mean()

    assert right(0) < 0.6
    assert right(20) > 0.9


def test_most_samples_of_a_batch_have_others_of_their_group():
    tinyseq.seed(0)
    groups = np.repeat(np.arange(50), 4)
    batches = _GroupBatches(range(200), 20, list, length=int)
    batches.groups = groups
    drawn = list(batches)
    assert sorted(np.concatenate(drawn)) == list(range(200))
    assert [np.unique(groups[batch]).size for batch in drawn] == [5] * 10
    assert list(batches) != drawn


def test_a_pipeline_is_searched_validated_and_cloned():
    pipeline = make_pipeline(small(), LogisticRegression())
    assert cross_val_score(pipeline, TEXTS, MOODS, cv=3).mean() == 1
    search = GridSearchCV(pipeline, {"sequenceembedder__hidden_size": [3, 4]}, cv=2, n_jobs=2)
    assert search.fit(TEXTS, MOODS).score(TEXTS, MOODS) == 1
    assert not hasattr(clone(search.best_estimator_)[0], "loss_curve_")
    names = pipeline.fit(TEXTS, MOODS)[:-1].get_feature_names_out().tolist()
    assert names == [f"sequenceembedder{i}" for i in range(4)]


@pytest.mark.parametrize("kind", ["texts", "pandas", "polars", "tokens", "ragged", "table", "cube"])
def test_what_people_have_becomes_unit_vectors(kind):
    rng = np.random.default_rng(0)
    made = {
        "texts": lambda: TEXTS,
        "pandas": lambda: pytest.importorskip("pandas", reason="pandas is not installed").Series(TEXTS),
        "polars": lambda: pytest.importorskip("polars", reason="polars is not installed").Series(TEXTS),
        "tokens": lambda: [text.split() for text in TEXTS],
        "ragged": lambda: [rng.normal(i % 2, size=(1 + i % 5, 2)) for i in range(18)],
        "table": lambda: rng.normal(np.arange(18)[:, None] % 2, size=(18, 5)),
        "cube": lambda: rng.normal(np.arange(18)[:, None, None] % 2, size=(18, 5, 2)),
    }[kind]()
    vectors = small(bidirectional=True).fit(made, MOODS).transform(made)
    assert vectors.shape == (18, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)
    cosines, same = vectors @ vectors.T, np.equal.outer(MOODS, MOODS)
    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_pickles_and_further_epochs_go_on_from_where_it_is():
    embedder = small(epochs=3).fit(TEXTS, MOODS)
    again = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(again.transform(TEXTS), embedder.transform(TEXTS))
    assert again.partial_fit(TEXTS, ["new", "old"] * 9).loss_curve_[0] < embedder.loss_curve_[0]


def test_without_triplets_it_says_so():
    with pytest.raises(ValueError, match="y has 1 group"):
        small().fit(TEXTS, ["one"] * 18)
    with pytest.raises(ValueError, match="y has 18 groups, the largest of n_samples = 1"):
        small().fit(TEXTS, range(18))


def test_a_fit_that_is_refused_leaves_nothing_to_answer_with():
    """An untrained model would answer with vectors that mean nothing, also in the place of a trained one."""
    embedder = small()
    for before in (lambda: None, lambda: embedder.fit(TEXTS, MOODS)):
        before()
        with pytest.raises(ValueError, match="y has 1 group"):
            embedder.fit(TEXTS, ["up"] * len(TEXTS))
        with pytest.raises(NotFittedError):
            embedder.transform(TEXTS)
