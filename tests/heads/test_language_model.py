"""The language-model head: its loss and predictions, tied weights, metrics."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.gru import GRU
from tinyseq_heads.language_model import LanguageModelHead
from tinyseq_losses.cross_entropy import CrossEntropy

import tinyseq
from tinyseq import Recurrent, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.sequences import Sequences


def batch(lengths: list[int], symbols: int, seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.from_list([rng.integers(0, symbols, n) for n in lengths])


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("tie", [False, True])
def test_predictions_and_loss_are_those_of_a_softmax(
    backend: str, tie: bool, lengths: list[int], seed: int
) -> None:
    tinyseq.seed(seed)
    table = Embedding(5, 3) if tie else None
    head = LanguageModelHead(3, 5, tied=table).to("float64")
    for parameter in head.parameters():
        parameter.data[...] = Tensor(np.random.default_rng(seed).normal(size=parameter.shape)).data
    rng = np.random.default_rng(seed)
    features = Sequences.from_list([rng.normal(size=(n, 3)) for n in lengths])
    targets = batch(lengths, 5, seed)

    w = head.tied.weight.numpy().T if head.tied else head.projection.weight.numpy()  # type: ignore[union-attr]
    b = head.bias.numpy() if tie else head.projection.bias.numpy()  # type: ignore[union-attr]
    nats = []
    for x, y, predicted in zip(
        features.to_list(), targets.to_list(), head.predict(features).to_list(), strict=True
    ):
        scores = x.numpy() @ w + b
        log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        np.testing.assert_allclose(predicted.numpy(), log_p, rtol=1e-10, atol=1e-12)
        nats += [-log_p[t, c] for t, c in enumerate(y.numpy())]
    assert head.loss(features, targets).item() == pytest.approx(np.mean(nats), rel=1e-10)
    metrics = head.metrics()
    for metric in metrics.values():
        metric.update(head.predict(features), targets)
    assert metrics["perplexity"].value() == pytest.approx(np.exp(np.mean(nats)), rel=1e-10)


def tied_model(dtype: str = "float64") -> SequenceModel:
    tinyseq.seed(0)
    embed = Embedding(7, 4)
    return SequenceModel(embed, Recurrent(GRU(4, 4)), LanguageModelHead(4, 7, tied=embed)).to(dtype)


def test_a_tied_table_is_one_parameter_with_the_gradient_of_both_uses() -> None:
    model = tied_model()
    names = [name for name, _ in model.named_parameters()]
    assert names.count("embed.weight") == 1
    assert "head.tied.weight" not in names
    xs, ys = batch([3, 5], 7, 1), batch([3, 5], 7, 2)
    table = model.embed.weight  # type: ignore[attr-defined]
    model.loss(xs, ys).backward()
    direction = np.random.default_rng(0).normal(size=table.shape)
    slope, h, start = (table.grad.numpy() * direction).sum(), 1e-6, table.numpy().copy()
    values = []
    for sign in (1, -1):
        table.data = start + sign * h * direction
        table.changed()
        values.append(model.loss(xs, ys).item())
    assert slope == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6)


def test_a_tied_model_survives_saving() -> None:
    one, other = tied_model(), tied_model()
    for parameter in one.parameters():
        parameter.data += 0.25
    other.load_state_dict(one.state_dict())
    xs = batch([2, 6], 7, 3)
    assert np.array_equal(one.predict(xs).data.numpy(), other.predict(xs).data.numpy())


@pytest.mark.parametrize("sizes", [(3, 4), (4, 7), (7, 5)])
def test_a_table_that_does_not_fit_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        LanguageModelHead(4, 7, tied=Embedding(*sizes))
    assert f"cannot share the table of Embedding{sizes}" in str(caught.value)
    assert "features as wide as the embedding" in str(caught.value)


def test_its_loss_can_be_chosen_and_metrics_follow_what_it_ignores() -> None:
    head = LanguageModelHead(2, 3, loss=CrossEntropy(ignore_index=0, label_smoothing=0.1), unit="word")
    features, targets = Tensor(np.ones((4, 2), "f4")), np.array([0, 1, 2, 0])
    assert head.loss(features, targets).shape == ()
    metrics: dict[str, Any] = head.metrics()
    for metric in metrics.values():
        metric.update(head.predict(features), targets)
    assert metrics["perplexity"].unit == "word"
    assert [metric.count for metric in metrics.values()] == [2, 2]


def test_it_is_found_by_name() -> None:
    assert tinyseq.heads["language-model"] is LanguageModelHead
