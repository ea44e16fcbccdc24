"""Baselines that count words, and the classifier that does not know their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Sequences
from tinyseq.baselines import MostFrequentTag, mean_of_embeddings, word_overlap
from tinyseq.errors import DataError
from tinyseq.optim import Adam

words = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6)


@given(sentences=st.lists(words, min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_no_tag_of_a_word_was_more_frequent(sentences: list[list[str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tagged = [(s, rng.choice(["X", "Y"], len(s)).tolist()) for s in sentences]
    tagger = MostFrequentTag(tagged)
    pairs = [pair for s, tags in tagged for pair in zip(s, tags, strict=True)]
    for word in {w for w, _ in pairs}:
        (tag,) = tagger.predict([word])
        assert all(pairs.count((word, tag)) >= pairs.count((word, other)) for other in "XY")
    overall = [tag for _, tag in pairs]
    assert overall.count(tagger.predict(["unknown"])[0]) == max(overall.count("X"), overall.count("Y"))


def test_ties_go_by_the_alphabet_and_wrong_data_are_refused() -> None:
    assert MostFrequentTag([(["a", "a"], ["Y", "X"])]).predict(["a", "b"]) == ["X", "X"]
    with pytest.raises(DataError, match="sentence 1 has 2 words, but 1 tags"):
        MostFrequentTag([(["a"], ["X"]), (["a", "b"], ["X"])])
    with pytest.raises(DataError, match="at least one tagged word"):
        MostFrequentTag([])


def test_word_overlap() -> None:
    assert word_overlap("How old are you?", "how OLD is he") == 2 / 6
    assert word_overlap("a b", "b a a") == 1
    assert word_overlap("a", "b") == word_overlap("", " ") == 0


def test_the_mean_of_embeddings_learns_words_but_not_their_order(backend: str) -> None:
    tinyseq.seed(0)
    model = mean_of_embeddings(4, 6, 2)
    xs = Sequences.from_list([np.array(s) for s in ([0, 1], [1, 0, 0], [2, 3, 3], [3, 2])])
    optimizer = Adam(model, lr=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        model.loss(xs, np.array([0, 0, 1, 1])).backward()
        optimizer.step()
    assert model.predict(xs).numpy().argmax(1).tolist() == [0, 0, 1, 1]
    back = Sequences.from_list([np.array([1, 0, 2]), np.array([2, 0, 1])])
    p = model.predict(back).numpy()
    np.testing.assert_allclose(p[0], p[1], rtol=1e-5)
