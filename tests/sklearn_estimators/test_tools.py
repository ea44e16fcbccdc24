"""What scikit-learn does with estimators: clone, pipelines, searches, validation, in several processes."""

import os

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import joblib
import threadpoolctl
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline

from tinyseq.backend.threads import threads
from tinyseq.sklearn import SequenceClassifier, SequenceEmbedder, SequenceRegressor, SequenceTagger

TEXTS = ["good fine day", "bad sad day", "fine good", "sad bad bad", "good good", "bad sad"] * 3
MOODS = ["up", "down"] * 9
WORDS = [text.split() for text in TEXTS]
TAGS = [["pos" if word in ("good", "fine") else "other" for word in words] for words in WORDS]
OPTIONS = {"hidden_size": 4, "epochs": 20, "learning_rate": 0.05, "random_state": 0}

CASES = {
    "classifier": (Pipeline([("model", SequenceClassifier(**OPTIONS))]), TEXTS, MOODS),
    "regressor": (Pipeline([("model", SequenceRegressor(**OPTIONS))]), TEXTS, [1.0, -1.0] * 9),
    "tagger": (Pipeline([("model", SequenceTagger(**OPTIONS))]), WORDS, TAGS),
    "embedder": (
        Pipeline([("model", SequenceEmbedder(**OPTIONS)), ("classes", LogisticRegression())]),
        TEXTS,
        MOODS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pipelines_are_cloned_validated_and_searched(name):
    pipeline, X, y = CASES[name]
    assert cross_val_score(pipeline, X, y, cv=3).min() > 0.9
    search = GridSearchCV(pipeline, {"model__epochs": [0, 20]}, cv=2).fit(X, y)
    if name != "embedder":  # of texts so easy, vectors that nobody trained tell enough
        assert search.best_params_ == {"model__epochs": 20}
    assert search.score(X, y) > 0.9
    fresh = clone(search.best_estimator_)
    assert fresh["model"].get_params() == search.best_estimator_["model"].get_params()
    assert not hasattr(fresh["model"], "loss_curve_")


@pytest.mark.parametrize("name", CASES)
def test_weights_count_as_copies(name):
    pipeline, X, y = CASES[name]
    if name == "embedder":
        y = list("aabb" * 4 + "ab")  # the same texts in two groups: the loss does not begin at 0
    model, weights = clone(pipeline["model"]).set_params(epochs=3, learning_rate=0.002), [2, 1, 0] * 6
    weighed = clone(model).fit(X, y, sample_weight=weights)
    copied = model.fit(
        *([row for row, n in zip(rows, weights, strict=True) for _ in range(n)] for rows in (X, y))
    )
    np.testing.assert_allclose(weighed.loss_curve_, copied.loss_curve_, rtol=1e-9)
    alike = clone(model).fit(X, y, sample_weight=np.sign(weights))
    assert abs(np.subtract(alike.loss_curve_, copied.loss_curve_)).max() > 1e-4


@pytest.mark.parametrize("name", CASES)
def test_partial_fits_are_the_epochs_of_a_fit(name):
    """Where one batch holds all samples, so that the order that is drawn does not matter."""
    pipeline, X, y = CASES[name]
    whole = clone(pipeline["model"]).set_params(epochs=3, learning_rate=0.002).fit(X, y)
    parts, losses = clone(whole), []
    for _ in range(3):
        losses += parts.partial_fit(X, y).loss_curve_
    np.testing.assert_allclose(losses, whole.loss_curve_, rtol=1e-9)
    assert losses[2] < losses[0]


def test_a_tagger_gives_probabilities_and_knows_tags_before_it_sees_them():
    model = SequenceTagger(**OPTIONS).partial_fit(WORDS, TAGS, classes=["new", "other", "pos"])
    found = model.predict_proba(WORDS[:2])
    assert [p.shape for p in found] == [(3, 3), (3, 3)]
    np.testing.assert_allclose([p.sum(1) for p in found], 1)
    assert [model.classes_[p.argmax(1)].tolist() for p in found] == model.predict(WORDS[:2])
    model.partial_fit([["good"]], [["new"]])
    with pytest.raises(ValueError, match=r"not among classes: \['newer'\]"):
        model.partial_fit([["good"]], [["newer"]])


def test_two_processes_take_no_more_threads_than_there_are_cores(monkeypatch):
    for variable in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        monkeypatch.delenv(variable)

    def measured(model, X, y):
        pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
        return {"ours": threads(), "others": max(pools, default=1), "process": os.getpid()}

    found = cross_validate(
        SequenceClassifier(**OPTIONS), TEXTS, MOODS, cv=4, n_jobs=2, pre_dispatch="all", scoring=measured
    )
    most = max(2, joblib.cpu_count())
    assert os.getpid() not in found["test_process"]
    assert 2 * found["test_ours"].max() <= most
    assert 2 * found["test_others"].max() <= most
