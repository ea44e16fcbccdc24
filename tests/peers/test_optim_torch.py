"""Optimisers, clipping and schedules equal PyTorch's over twenty steps in float64."""

from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, optim
from tinyseq.nn import Parameter

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")

SHAPES = [(3, 4), (4,), (), (5, 1, 2)]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.03, "alpha": 0.8, "eps": 1e-3, "momentum": 0.7, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.7, 0.8), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "betas": (0.7, 0.8), "eps": 1e-3, "weight_decay": 0.3}),
]


def both(name: str, options: dict[str, Any]) -> tuple[list[Parameter], Any, list[Any], Any]:
    """The same parameters with the same optimiser, here and there."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in SHAPES]
    ours = [Parameter(v, np.float64) for v in values]
    theirs = [torch.nn.Parameter(torch.tensor(v)) for v in values]
    return ours, getattr(optim, name)(ours, **options), theirs, getattr(torch.optim, name)(theirs, **options)


def give_gradients(ours: list[Parameter], theirs: list[Any], step: int, *, sparse: bool = True) -> None:
    """The same gradients of changing size; with `sparse`, parameter 1 has none in every third step."""
    rng = np.random.default_rng(step + 1)
    for i, (mine, peer) in enumerate(zip(ours, theirs, strict=True)):
        gradient = rng.normal(size=mine.shape) * 10.0 ** rng.integers(-3, 3)
        absent = sparse and i == 1 and step % 3 == 0
        mine.grad = None if absent else Tensor(gradient)
        peer.grad = None if absent else torch.tensor(gradient)


def assert_equal(ours: list[Parameter], theirs: list[Any]) -> None:
    for mine, peer in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), peer.detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{len(o)}-options" for n, o in CASES])
def test_twenty_steps(name: str, options: dict[str, Any], backend: str) -> None:
    ours, optimizer, theirs, peer = both(name, options)
    for step in range(20):
        give_gradients(ours, theirs, step)
        optimizer.step()
        peer.step()
        assert_equal(ours, theirs)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_rate_that_changes(name: str) -> None:
    ours, optimizer, theirs, peer = both(name, {"lr": 0.1})
    schedule = optim.Schedule(optimizer, optim.Cosine(15, floor=0.0))
    peers = torch.optim.lr_scheduler.CosineAnnealingLR(peer, 15)
    for step in range(15):
        give_gradients(ours, theirs, step, sparse=False)
        assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], abs=1e-15)
        optimizer.step()
        peer.step()
        schedule.step()
        peers.step()
    assert_equal(ours, theirs)


def test_step_decay_and_exponential() -> None:
    for factor, make in [
        (optim.StepDecay(3, 0.5), lambda peer: torch.optim.lr_scheduler.StepLR(peer, 3, 0.5)),
        (optim.Exponential(0.9), lambda peer: torch.optim.lr_scheduler.ExponentialLR(peer, 0.9)),
    ]:
        _, optimizer, _, peer = both("SGD", {"lr": 0.1})
        schedule, peers = optim.Schedule(optimizer, factor), make(peer)
        for _ in range(10):
            assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12)
            peer.step()
            schedule.step()
            peers.step()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_reduce_on_plateau(mode: str) -> None:
    options: dict[str, Any] = {"factor": 0.5, "patience": 2, "threshold": 0.05, "mode": mode, "min_lr": 0.01}
    _, optimizer, _, peer = both("SGD", {"lr": 0.1})
    schedule = optim.ReduceOnPlateau(optimizer, **options)
    peers = torch.optim.lr_scheduler.ReduceLROnPlateau(peer, threshold_mode="abs", **options)
    for value in np.random.default_rng(0).normal(size=40).round(2).tolist():
        schedule.step(value)
        peers.step(value)
        assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-12)


@pytest.mark.parametrize("bound", [0.5, 1e6])
def test_clipping(bound: float) -> None:
    ours, _, theirs, _ = both("SGD", {"lr": 0.1})
    give_gradients(ours, theirs, 0)
    norm = optim.clip_grad_norm(ours, bound)
    assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, bound).item(), rel=1e-12)
    for mine, peer in zip(ours, theirs, strict=True):
        if peer.grad is not None:  # PyTorch divides by the norm plus 1e-6
            np.testing.assert_allclose(mine.grad.numpy(), peer.grad.numpy(), rtol=2e-6 / norm + 1e-12)
    optim.clip_grad_value(ours, 0.01)
    torch.nn.utils.clip_grad_value_(theirs, 0.01)
    for mine, peer in zip(ours, theirs, strict=True):
        if peer.grad is not None:
            np.testing.assert_allclose(mine.grad.numpy(), peer.grad.numpy(), rtol=2e-6)
