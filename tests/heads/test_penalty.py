"""Penalties of features: against plain loops; none of them outside of training."""

from typing import Any

import numpy as np
import pytest
from tinyseq_heads.language_model import LanguageModelHead
from tinyseq_heads.penalty import ActivationPenalty
from tinyseq_heads.regressor import Regressor

import tinyseq
from tinyseq import Sequences, Tensor, random
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.testing import check_gradients


def batch(lengths: list[int], dtype: Any = np.float64) -> tuple[Sequences, Sequences]:
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(n, 4)).astype(dtype) for n in lengths]
    return Sequences.from_list(rows), Sequences.from_list([rng.integers(0, 5, n) for n in lengths])


@pytest.mark.parametrize("lengths", [[3, 5, 1], [4, 4], [1, 1]])
def test_penalties_are_their_formulas(lengths: list[int]) -> None:
    inner = LanguageModelHead(4, 5).to("float64")
    head = ActivationPenalty(inner, ar=0.7, tar=0.3)
    xs, targets = batch(lengths)
    rows = [x.numpy() for x in xs.to_list()]
    squares = np.mean([value**2 for x in rows for value in x.ravel()])
    changes = [((x[t + 1] - x[t]) ** 2) for x in rows for t in range(len(x) - 1)]
    wanted = inner.loss(xs, targets).item() + 0.7 * squares + (0.3 * np.mean(changes) if changes else 0.0)
    assert head.loss(xs, targets).item() == pytest.approx(wanted, rel=1e-12)
    assert head.eval().loss(xs, targets).item() == inner.loss(xs, targets).item()


def test_a_sum_over_targets_takes_the_penalty_for_each() -> None:
    summed = LanguageModelHead(4, 5, loss=tinyseq.losses["cross-entropy"](reduction="sum")).to("float64")
    xs, targets = batch([3, 2])
    mean = ActivationPenalty(LanguageModelHead(4, 5).to("float64"))
    mean.head.load_state_dict(summed.state_dict())
    whole = ActivationPenalty(summed).loss(xs, targets).item()
    assert whole == pytest.approx(5 * mean.loss(xs, targets).item(), rel=1e-12)


def test_the_head_reads_what_was_dropped_and_changes_are_of_what_was_not() -> None:
    class Sees(Regressor):
        def loss(self, features: Any, targets: Any) -> Tensor:
            self.seen.append(features)
            return features.data.sum() * 0

    inner = Sees(4, 1)
    inner.seen = []
    xs, _ = batch([3, 2])
    random.seed(1)
    whole = ActivationPenalty(inner, ar=1.0, tar=0.0, dropout=0.5).loss(xs, None).item()
    (seen,) = inner.seen
    assert (seen.data.numpy() == 0).any()
    assert whole == pytest.approx((seen.data.numpy() ** 2).mean())
    random.seed(1)
    with_tar = ActivationPenalty(inner, ar=0.0, tar=1.0, dropout=0.5).loss(xs, None).item()
    assert with_tar == pytest.approx(
        np.mean(np.concatenate([np.diff(x.numpy(), axis=0) ** 2 for x in xs.to_list()]))
    )


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives(order: int) -> None:
    head = ActivationPenalty(LanguageModelHead(4, 5).to("float64"), dropout=0.4)
    xs, targets = batch([3, 2])
    x = Tensor(xs.data.numpy(), requires_grad=True)

    def loss() -> Tensor:
        random.seed(0)
        return head.loss(xs.with_data(x), targets)

    check_gradients(loss, [x, *head.parameters()], order=order, tolerance=1e-6)


def test_everything_else_is_the_heads(tmp_path: Any) -> None:
    words = Embedding(5, 4)
    head = ActivationPenalty(LanguageModelHead(4, 5, tied=words))
    model = SequenceModel(words, tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)
    assert head.causal
    assert head.criterion is head.head.criterion
    assert set(head.metrics()) == {"perplexity", "accuracy"}
    xs = Sequences.from_list([[1, 2, 3]])
    np.testing.assert_array_equal(
        model.predict(xs).data.numpy(), head.head.predict(model.eval()(xs)).data.numpy()
    )
    tinyseq.save(tmp_path / "m.safetensors", model)
    again = tinyseq.load(tmp_path / "m.safetensors")
    assert again.head.head.tied is again.embed
    with pytest.raises(ConfigError, match="predicts what comes next"):
        SequenceModel(words, tinyseq.Recurrent(tinyseq.cells["gru"](4, 4), reverse=True), head)
    with pytest.raises(ConfigError, match="takes a Head, not Embedding"):
        ActivationPenalty(words)  # type: ignore[arg-type]
