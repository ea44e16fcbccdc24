"""Kernels of the cuda emitter, against the tape; without a GPU they run on the CPU device of cpucuda."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM

import tinyseq
from tests.scan import fuzz
from tests.scan.fuzz_cuda import STRATEGIES
from tinyseq import Tensor, ops
from tinyseq.scan import Recurrent
from tinyseq.scan.emitters.cuda.plan import Strategy
from tinyseq.scan.running.explain import explanation
from tinyseq.scan.running.program import Program

Counts = Callable[[], AbstractContextManager[Counter[str]]]


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_kernels_equal_the_tape(first: int, cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    start = Program.__init__

    def noted(self: Program, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        written.append(self.kernel_source)

    monkeypatch.setattr(Program, "__init__", noted)
    with tinyseq.use("cupy"):
        for seed in range(first, first + 10):
            case = fuzz.case(seed)
            case.options.emitter = "cuda"
            found = fuzz.errors(case)
            wrong = {name: error for name, error in found.items() if not error < fuzz.TOLERANCE}
            assert not wrong, f"seed {seed}: {wrong}\n{case.source}"
    assert any(written), "no step of these had kernels"


@pytest.mark.usefixtures("schedule")
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_in_any_order_of_threads(strategy: Strategy, cupy: Any) -> None:
    with tinyseq.use("cupy"):
        for seed in range(4):
            case = fuzz.case(seed)
            case.options.emitter, case.options.strategy = "cuda", strategy
            assert max(fuzz.errors(case).values()) < fuzz.TOLERANCE, case.source


@pytest.mark.parametrize("make", [LSTM, GRU])
def test_launches_do_not_grow_with_time(
    make: Any, cupy: Any, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYSEQ_EMITTER", "cuda")
    tinyseq.clear_cache()  # of such a layer that another test compiled
    seen = []
    with tinyseq.use("cupy"):
        layer = Recurrent(make(3, 4))
        for steps in (5, 64):
            x = Tensor(np.ones((2, steps, 3), np.float32))
            for _ in range(2):  # the first compiles
                with counts() as counted:
                    layer(x).sum().backward()
            seen.append((counted["launch"], counted["gemm"]))
    assert seen[0] == seen[1]
    assert sum(seen[0]) <= 40


def test_what_has_no_kernel_is_said() -> None:
    def step(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = ops.tanh(x + h[:, ::-1])
        return h, h

    row = Tensor(np.ones((1, 4), np.float32))
    assert "no kernels: getitem() of" in explanation(step, row, row, emitter="cuda")
    assert "__global__" in explanation(LSTM(2, 3), emitter="cuda")
