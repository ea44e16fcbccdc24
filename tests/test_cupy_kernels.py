"""What CuPy computes in one kernel, against the formulas that NumPy runs; what a training step costs."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.language_model import LanguageModelHead

import tinyseq
from tinyseq import Tensor, ops
from tinyseq.data import ContiguousWindows, Vocabulary, demo_text
from tinyseq.nn import Embedding, Parameter, SequenceModel
from tinyseq.optim import SGD, Adam, AdamW, clip_grad_norm
from tinyseq.scan import Recurrent
from tinyseq.training import Trainer, carried_state

Counts = Callable[[], AbstractContextManager[Counter[str]]]
SCORES = np.random.default_rng(0).normal(size=(3, 5, 200)) * 3
EXTREME = np.array(
    [
        [1e4, -1e4, 0, 2],
        [-np.inf, 0, 1, 2],
        [-np.inf, -np.inf, -np.inf, -np.inf],
        [np.nan, 0, 1, 2],
        [np.inf, 0, 1, 2],
    ]
)


def cross_entropy(backend: str, scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Losses, and the gradient of their sum in which every row counts differently."""
    with tinyseq.use(backend), np.errstate(all="ignore"):
        x = Tensor(scores, requires_grad=True)
        losses = ops.softmax_cross_entropy(x, Tensor(targets))
        weights = np.arange(1, targets.size + 1, dtype=scores.dtype).reshape(targets.shape)
        (losses * Tensor(weights)).sum().backward()
        assert x.grad is not None
        return losses.numpy(), x.grad.numpy()


@pytest.mark.usefixtures("schedule")
@pytest.mark.parametrize("scores", [SCORES, SCORES.astype("f4"), SCORES[..., :3], EXTREME], ids=len)
@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_cross_entropy(scores: np.ndarray, kind: str) -> None:
    targets = np.arange(np.prod(scores.shape[:-1])).reshape(scores.shape[:-1]).astype(kind) % scores.shape[-1]
    want, got = cross_entropy("numpy", scores, targets), cross_entropy("cupy", scores, targets)
    for w, g in zip(want, got, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5 if scores.dtype == "f4" else 1e-12, atol=1e-6)


@pytest.mark.usefixtures("cupy")
def test_a_target_that_is_no_class_costs_nan_and_touches_nothing() -> None:
    losses, _ = cross_entropy("cupy", SCORES[0], np.array([0, 200, -1, 3, 199]))
    assert np.isnan(losses).tolist() == [False, True, True, False, False]


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(
    "make",
    [
        lambda p: Adam(p, lr=0.1, eps=1e-3),
        lambda p: AdamW(p, lr=0.1, weight_decay=0.3, betas=(0.5, 0.8)),
        lambda p: SGD(p, lr=0.1, momentum=0.7),
        lambda p: SGD(p, lr=0.1, momentum=0.7, nesterov=True, weight_decay=0.2),
    ],
)
def test_optimizers(make: Any) -> None:
    found = {}
    for backend in ("numpy", "cupy"):
        rng = np.random.default_rng(1)
        with tinyseq.use(backend):
            parameters = [Parameter(rng.normal(size=shape)) for shape in [(3, 4), (5,)]]
            optimizer = make(parameters)
            for _ in range(4):
                for p in parameters:
                    p.grad = Tensor(rng.normal(size=p.shape).astype(p.dtype))
                clip_grad_norm(parameters, 2.0)
                optimizer.step()
            found[backend] = [p.numpy() for p in parameters]
    for w, g in zip(found["numpy"], found["cupy"], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-6)


def test_a_training_step_of_a_character_model(
    cupy: Any, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSEQ_EMITTER", "cuda")
    tinyseq.clear_cache()
    text = demo_text()[:6000]
    vocabulary = Vocabulary.build(text)
    seen = []
    with tinyseq.use("cupy"):
        for window in (8, 32):
            batches = list(ContiguousWindows(vocabulary.encode(text), batch_size=4, window=window))
            encoder = Recurrent(LSTM(6, 8))
            model = SequenceModel(
                Embedding(len(vocabulary), 6), encoder, LanguageModelHead(8, len(vocabulary))
            )
            trainer = Trainer(model, Adam(model), carried_state, clip=5.0, bars=False)
            for batch in batches[:3]:
                trainer.train_step(batch)
            with counts() as counted:
                trainer.train_step(batches[3])
            seen.append(counted)
    for counted in seen:
        assert counted["launch"] <= 25
        assert counted["gemm"] == 7
        assert counted["sync"] == 2  # the Trainer asks for the loss, and for the norm
        assert counted["malloc"] == 0


@pytest.mark.usefixtures("cupy")
def test_the_benchmark_runs_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.benchmarks import gpu

    monkeypatch.setenv("TINYSEQ_EMITTER", "numpy")  # which the benchmark changes
    gpu.main(["--quick", "--json", str(tmp_path / "figures.json")])
    rows = json.loads((tmp_path / "figures.json").read_text())["milliseconds"]
    assert [row["cell"] for row in rows] == [cell for cell in gpu.CELLS for _ in range(2)]
    assert all(row["kernels"] > 0 and row["calls"] > 0 for row in rows)
    assert "lstm  dense" in capsys.readouterr().out
