"""The regressor, and the squared error that it learns by."""

import numpy as np
import pytest
import tinyseq_heads.regressor
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_losses.squared_error import SquaredError

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ShapeError

Regressor = tinyseq_heads.regressor.Regressor


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_the_loss_is_the_mean_over_all_numbers(lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = Regressor(3, 2).to("float64")
    xs, ys = [[rng.normal(size=(n, width)) for n in lengths] for width in (3, 2)]
    w, b = head.projection.weight.numpy(), head.projection.bias.numpy()
    errors = [
        (sum(row[i] * w[i, j] for i in range(3)) + b[j] - y[j]) ** 2
        for x, t in zip(xs, ys, strict=True)
        for row, y in zip(x, t, strict=True)
        for j in range(2)
    ]
    loss = head.loss(Sequences.from_list(xs), Sequences.from_list(ys))
    assert loss.item() == pytest.approx(sum(errors) / len(errors))


def test_targets_are_not_broadcast() -> None:
    with pytest.raises(
        ShapeError, match=r"\(4, 1\) and targets of shape \(4,\) differ; .*targets\[..., None\]"
    ):
        SquaredError()(Tensor(np.ones((4, 1))), Tensor(np.ones(4)))


def test_one_number_for_each_sequence_and_zeros_to_begin_with() -> None:
    head = Regressor(3, 2, pooling="last", init="zeros")
    assert (
        head.predict(Sequences.from_list([np.ones((2, 3), "f4"), np.ones((1, 3), "f4")])).numpy() == 0
    ).all()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("classifier", (3, 4)), ("tagger", (3, 4)), ("multi-label", (3, 4)), ("ctc", (3, 4)),
        ("language-model", (3, 4)), ("siamese", (3, 4)), ("regressor", (3, 4)),
    ],
)  # fmt: skip
def test_heads_take_initial_values(name: str, sizes: tuple[int, int]) -> None:
    assert (tinyseq.heads[name](*sizes, init="ones").projection.weight.numpy() == 1).all()
    again = tinyseq.build(tinyseq.config(tinyseq.heads[name](*sizes, init="zeros")))
    assert (again.projection.weight.numpy() == 0).all()
