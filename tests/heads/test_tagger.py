"""The tagger: each step by itself, or all together through a CRF."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinyseq_heads.tagger import Tagger
from tinyseq_losses.crf import CRF
from tinyseq_losses.cross_entropy import CrossEntropy

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.errors import ConfigError
from tinyseq.evaluation.schemes import Scheme, illegal, parse
from tinyseq.nn import Parameter
from tinyseq.optim import Adam

NAMES = ["O", "B-X", "I-X"]


def batch(rng: Any, lengths: tuple[int, ...] = (4, 1, 3)) -> tuple[Sequences, Sequences]:
    features = Sequences.from_list([rng.normal(size=(n, 2)).astype("f4") for n in lengths])
    return features, Sequences.from_list([rng.integers(0, 3, n) for n in lengths])


def test_without_a_crf_each_step_is_classified(backend: str, rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    features, tags = batch(rng)
    head = Tagger(2, 3)
    scores = features.data.numpy() @ head.projection.weight.numpy()
    assert np.array_equal(head.predict(features).data.numpy(), scores.argmax(1))
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    expected = -log_p[np.arange(8), tags.data.numpy()].mean()
    assert head.loss(features, tags).item() == pytest.approx(expected, rel=1e-5)


def test_with_a_crf_the_path_is_decoded(backend: str, rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    features, tags = batch(rng)
    crf = CRF(3)
    crf.transitions.data *= 50
    head = Tagger(2, 3, loss=crf)
    emissions = head.projection(features)
    assert np.array_equal(head.predict(features).data.numpy(), crf.decode(emissions).data.numpy())
    assert not np.array_equal(head.predict(features).data.numpy(), emissions.data.numpy().argmax(1))
    assert head.loss(features, tags).item() == crf(emissions, tags).item()
    assert "criterion.transitions" in dict(head.named_parameters())


@pytest.mark.parametrize("with_crf", [False, True])
def test_it_learns_tags_and_reports_spans(with_crf: bool, rng: np.random.Generator) -> None:
    tinyseq.seed(0)
    head = Tagger(3, 3, loss=CRF(3) if with_crf else None, names=NAMES, scheme="IOB2")
    tags = Sequences.from_list([np.array([1, 2, 0, 1]), np.array([0, 0]), np.array([1, 2, 2])])
    features = tags.with_data(Parameter(rng.normal(size=(9, 3))))
    optimizer = Adam([features.data, *head.parameters()], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(features, tags).backward()
        optimizer.step()
    metrics = head.metrics()
    assert list(metrics) == ["accuracy", "span_f1"]
    for metric in metrics.values():
        metric.update(head.predict(features), tags)
        assert metric.value() == 1


def test_ignored_tags_do_not_count(rng: np.random.Generator) -> None:
    features, tags = batch(rng)
    head = Tagger(2, 3, loss=CrossEntropy(ignore_index=0))
    metric: Any = head.metrics()["accuracy"]
    metric.update(head.predict(features), tags)
    assert metric.count == int((tags.data.numpy() != 0).sum())


def test_a_plain_tensor_gives_a_plain_tensor(rng: np.random.Generator) -> None:
    x, y = Tensor(rng.normal(size=(2, 3, 2)), "float32"), rng.integers(0, 3, (2, 3))
    for loss in (None, CRF(3)):
        head = Tagger(2, 3, loss=loss)
        assert head.predict(x).shape == (2, 3)
        assert head.loss(x, Tensor(y)).shape == ()


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match=r"Tagger\(2, 3\) was given a CRF of 4 tags"):
        Tagger(2, 3, loss=CRF(4))
    with pytest.raises(ConfigError, match="has 4 tags, but 3 names"):
        Tagger(2, 4, names=NAMES)
    with pytest.raises(ConfigError, match="the scheme 'IOB2' says how to read names of tags"):
        Tagger(2, 3, scheme="IOB2")
    with pytest.raises(ConfigError, match="'NOUN' is none of IOB2"):
        Tagger(2, 1, names=["NOUN"], scheme="IOB2")


SCHEMES: dict[Scheme, list[str]] = {
    "IOB1": ["O", "B-X", "I-X", "I-Y"],
    "IOB2": ["O", "B-X", "I-X", "B-Y", "I-Y"],
    "IOBES": ["O", "B-X", "I-X", "E-X", "S-X", "S-Y"],
    "BILOU": ["O", "B-X", "I-X", "L-X", "U-Y"],
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_crf_decodes_the_best_path_of_those_that_the_scheme_allows(
    scheme: Scheme, rng: np.random.Generator
) -> None:
    """Against every path of up to four tags, tried one by one; the bare CRF does go astray."""
    names = SCHEMES[scheme]
    crf = CRF(len(names))
    for parameter in crf.parameters():
        parameter.data[...] = rng.normal(size=parameter.shape) * 3
    head = Tagger(len(names), len(names), loss=crf, names=names, scheme=scheme)
    head.projection.weight.data[...] = np.eye(len(names))
    parsed = [parse(name, scheme) for name in names]
    xs = Sequences.from_list([rng.normal(size=(n, len(names))).astype("f") * 3 for n in (1, 2, 3, 4) * 5])
    astray = 0
    for x, got in zip(xs.to_list(), head.predict(xs).to_list(), strict=True):
        paths = list(itertools.product(range(len(names)), repeat=len(x)))
        legal = [path for path in paths if not list(illegal([parsed[i] for i in path], scheme))]
        one = Sequences.from_list([x])
        scores = [crf.score(one, Sequences.from_list([np.array(path)])).item() for path in legal]
        assert tuple(got.numpy().tolist()) == legal[int(np.argmax(scores))]
        crf.legal, kept = None, crf.legal
        astray += tuple(crf.decode(one).data.numpy().tolist()) not in legal
        crf.legal = kept
    assert astray > 0


def test_what_may_be_decoded_changes_no_loss_and_is_known_after_loading(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    tags = Sequences.from_list([[0, 1, 2], [2, 2]])
    scores = tags.with_data(Tensor(rng.normal(size=(5, 3)).astype("f")))
    crf = CRF(3)
    before = crf(scores, tags).item()
    head = Tagger(3, 3, loss=crf, names=NAMES, scheme="IOB2")
    assert crf(scores, tags).item() == before
    tinyseq.save(tmp_path / "head.safetensors", head)
    again = tinyseq.load(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(again.criterion.legal.start, [True, True, False])
    np.testing.assert_array_equal(again.predict(scores).data.numpy(), head.predict(scores).data.numpy())


def test_steps_that_do_not_count_may_be_anything() -> None:
    assert Tagger(3, 3, loss=CRF(3, ignore_index=-1), names=NAMES, scheme="IOB2").criterion.legal is None
    assert Tagger(3, 3, loss=CRF(3), names=NAMES, scheme="IOB2").criterion.legal is not None
