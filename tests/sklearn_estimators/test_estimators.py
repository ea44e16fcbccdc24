"""scikit-learn's own checks, and the estimators on what people have: texts, tokens, arrays, columns."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from tinyseq.sklearn import SequenceClassifier, SequenceRegressor, SequenceTagger

TEXTS = ["good fine day", "bad sad day", "fine good", "sad bad bad", "good good", "bad sad"] * 3
MOODS = ["up", "down"] * 9


def test_texts_are_classified_searched_pickled_and_cloned():
    model = SequenceClassifier(epochs=20, hidden_size=8, random_state=0)
    assert cross_val_score(model, TEXTS, MOODS, cv=3).mean() == 1
    search = GridSearchCV(model, {"hidden_size": [4, 8]}, cv=2, n_jobs=2).fit(TEXTS, MOODS)
    assert search.score(TEXTS, MOODS) == 1
    model.fit(TEXTS, MOODS)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert not hasattr(clone(model), "classes_")
    assert model.predict(["good unseen", ""]).shape == (2,)


def test_columns_of_frames_are_lists_of_texts():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    model = SequenceClassifier(epochs=5, random_state=0).fit(TEXTS, MOODS)
    for column in (pandas.Series(TEXTS), polars.Series(TEXTS), np.array(TEXTS)):
        other = SequenceClassifier(epochs=5, random_state=0).fit(column, MOODS)
        np.testing.assert_array_equal(other.predict_proba(column), model.predict_proba(TEXTS))


def test_arrays_of_unequal_lengths_and_of_three_axes():
    rng = np.random.default_rng(0)
    ragged = [rng.normal(size=(n, 2)) for n in (3, 5, 2, 4, 6, 1)]
    y = [sample[:, 0].sum() for sample in ragged]
    assert SequenceRegressor(epochs=150, random_state=0).fit(ragged, y).score(ragged, y) > 0.8
    cube = rng.normal(size=(6, 4, 2))
    np.testing.assert_array_equal(
        SequenceRegressor(epochs=2, random_state=0).fit(cube, y).predict(cube),
        SequenceRegressor(epochs=2, random_state=0).fit(list(cube), y).predict(list(cube)),
    )


def test_tokens_are_tagged_and_weights_of_0_leave_samples_out():
    words = [text.split() for text in TEXTS]
    tags = [["pos" if w in ("good", "fine") else "other" for w in sample] for sample in words]
    model = SequenceTagger(epochs=20, random_state=0).fit(words, tags)
    assert model.score(words, tags) == 1
    assert model.predict([["good", "day"]]) == [["pos", "other"]]
    weights = [1.0] * 17 + [0.0]
    lighter = SequenceTagger(epochs=3, random_state=0).fit(words, tags, weights)
    fewer = SequenceTagger(epochs=3, random_state=0).fit(words[:-1], tags[:-1])
    assert lighter.loss_curve_ == fewer.loss_curve_
    with pytest.raises(ValueError, match="has 2 steps, and y has 1 tags"):
        model.fit([["a", "b"]], [["x"]])


def test_input_of_another_kind_is_refused():
    model = SequenceClassifier(epochs=1).fit(TEXTS, MOODS)
    with pytest.raises(ValueError, match="fitted with texts"):
        model.predict([["good"]])
    with pytest.raises(ValueError, match="mixes"):
        model.fit(["good", ["bad"]], [0, 1])
    with pytest.raises(ValueError, match="NaN"):
        model.fit([[1.0, float("nan")], [1.0]], [0, 1])
