"""The head that reads labels off longer sequences, and the one that answers many questions at each step."""

import math

import numpy as np
import pytest
from tinyseq_heads.ctc import CTCHead
from tinyseq_heads.multi_label import MultiLabel
from tinyseq_losses.binary_cross_entropy import BinaryCrossEntropy
from tinyseq_losses.ctc import CTC

import tinyseq
from tinyseq import Sequences
from tinyseq.errors import ConfigError
from tinyseq.nn import Parameter
from tinyseq.optim import Adam


def features(rng: np.random.Generator, lengths: tuple[int, ...]) -> Sequences:
    xs = Sequences.from_list([rng.normal(size=(n, 3)) for n in lengths])
    return xs.with_data(Parameter(xs.data.numpy()))


def train(head: CTCHead | MultiLabel, xs: Sequences, targets: object, steps: int) -> None:
    optimizer = Adam([xs.data, *head.parameters()], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        head.loss(xs, targets).backward()
        optimizer.step()


def test_ctc_head_learns_to_read(rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    xs, labels = features(rng, (8, 3, 5)), [[1, 1, 2], [], [2, 1]]
    head = CTCHead(3, 3)
    assert head.loss(xs, labels).item() == pytest.approx(CTC()(head.projection(xs), labels).item())
    before = head.metrics()["error_rate"]
    before.update(head.predict(xs), labels)
    train(head, xs, labels, 60)
    assert [path.tolist() for path in head.predict(xs)] == labels
    for name, metric in head.metrics().items():
        metric.update(head.predict(xs), labels)
        assert metric.value() == {"error_rate": 0, "exact_match": 1}[name]
    assert before.value() > 0


def test_ctc_head_has_its_blank_among_the_classes() -> None:
    assert CTCHead(3, 4, blank=3).criterion.blank == 3
    with pytest.raises(ConfigError, match=r"CTCHead\(3, 4\): blank is the number of a class, 0 to 3, not 4"):
        CTCHead(3, 4, blank=4)


def test_multi_label_loss_is_the_likelihood_of_a_frame(backend: str, rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    xs = features(rng, (4, 2))
    ys = xs.with_data(tinyseq.Tensor(rng.integers(0, 2, (6, 5))))
    head = MultiLabel(3, 5)
    p = 1 / (1 + np.exp(-head.predict(xs).data.numpy()))
    y = ys.data.numpy()
    nats = -np.log(np.where(y == 1, p, 1 - p)).sum() / 6
    assert head.loss(xs, ys).item() == pytest.approx(nats, rel=1e-5)
    metric = head.metrics()["nats"]
    metric.update(head.predict(xs), ys)
    assert metric.value() == pytest.approx(nats, rel=1e-5)


def test_multi_label_learns_chords_and_takes_another_loss(rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    xs = features(rng, (4, 2))
    ys = xs.with_data(tinyseq.Tensor(rng.integers(0, 2, (6, 5))))
    head = MultiLabel(3, 5, loss=BinaryCrossEntropy(positive_weight=2.0))
    train(head, xs, ys, 100)
    assert np.array_equal(head.predict(xs).data.numpy() > 0, ys.data.numpy() == 1)
    metric = head.metrics()["nats"]
    metric.update(head.predict(xs), ys)
    assert metric.value() < 0.2 * 5 * math.log(2)
