"""Dropout of features by sequence, and of words: what is the same where, how much, and that it ends."""

import numpy as np
import pytest

from tinyseq import Sequences, Tensor, random
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, EmbeddingDropout, VariationalDropout


def test_a_sequence_has_one_mask_and_sequences_have_their_own(backend: str) -> None:
    random.seed(0)
    xs = Sequences.from_list([np.ones((n, 50), "f") for n in (4, 7, 1)])
    found = [y.numpy() for y in VariationalDropout(0.4)(xs).to_list()]
    for y in found:
        assert (y == y[0]).all()
        assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1 / 0.6))}
    assert (found[0][0] != found[1][0]).any()
    assert (found[1][0] != found[2][0]).any()


def test_padded_batches_are_dropped_alike(backend: str) -> None:
    random.seed(0)
    y = VariationalDropout(0.4)(Tensor(np.ones((3, 6, 50), "f"))).numpy()
    assert (y == y[:, :1]).all()
    assert (y[0] != y[1]).any()
    random.seed(0)
    xs = Sequences.from_padded(np.ones((3, 6, 50), "f"))
    np.testing.assert_array_equal(VariationalDropout(0.4)(xs).to_padded().numpy(), y)


def test_the_mean_stays_and_evaluation_changes_nothing() -> None:
    random.seed(0)
    xs = Sequences.from_list([np.ones((n % 3 + 1, 400), "f") for n in range(100)])
    layer = VariationalDropout(0.25)
    values = np.concatenate([y.numpy()[:1] for y in layer(xs).to_list()])
    assert abs(values.mean() - 1) < 4.5 * np.sqrt(0.25 / 0.75 / values.size)
    assert layer.eval()(xs) is xs


def test_a_word_is_there_or_not_in_the_whole_batch(backend: str) -> None:
    random.seed(1)
    table = Embedding(40, 3, init="ones")
    layer = EmbeddingDropout(table, 0.5)
    ids = np.random.default_rng(0).integers(0, 40, (8, 30))
    y = layer(Sequences.from_padded(ids)).to_padded().numpy()
    for word in np.unique(ids):
        rows = y[ids == word]
        assert (rows == rows[:1]).all()
        assert (rows[0] == rows[0, 0]).all()
    assert set(np.unique(y).tolist()) == {0.0, 2.0}
    again = layer(Sequences.from_padded(ids)).to_padded().numpy()
    assert (again != y).any(), "the next batch leaves out others"
    assert (layer.eval()(ids).numpy() == 1).all()


def test_words_keep_their_expectation_and_gradient() -> None:
    random.seed(2)
    layer = EmbeddingDropout(Embedding(5000, 1, init="ones"), 0.3)
    y = layer(np.arange(5000))
    assert abs(y.numpy().mean() - 1) < 4.5 * np.sqrt(0.3 / 0.7 / 5000)
    y.sum().backward()
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad.numpy(), y.numpy())


@pytest.mark.parametrize("p", [-0.1, 1.0, True, "half"])
def test_a_rate_is_a_probability(p: object) -> None:
    with pytest.raises(ConfigError, match=r"p is a probability in \[0, 1\)"):
        VariationalDropout(p)  # type: ignore[arg-type]
