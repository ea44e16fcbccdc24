"""The numba emitter: what its kernels compute, where they are kept, and when it is chosen."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM

from tinyseq import Tensor, ops
from tinyseq.errors import ConfigError
from tinyseq.scan import eager
from tinyseq.scan.emitters.numba import kernels
from tinyseq.scan.emitters.numba.emitter import TANH_FLOAT32, TANH_ULPS
from tinyseq.scan.emitters.numba.kernels import HEADER
from tinyseq.scan.emitters.numba.products import LEAST_ROWS
from tinyseq.scan.running import compiled
from tinyseq.scan.running.program import Options
from tinyseq.sequences import Layout

pytest.importorskip("numba")
EXTREMES = np.array([np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30, 1.0, -2.0], "f")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.getbasetemp().parent / "tinyseq-kernels"
    monkeypatch.setenv("TINYSEQ_CACHE", os.environ.get("TINYSEQ_CACHE", str(folder)))


def test_tanh_is_within_its_ulps() -> None:
    """Of every 4099th float32 number."""
    source = HEADER.format(dtype="float32", cache=True) + TANH_FLOAT32
    source += "\n\n@kernel\ndef values(x, y):\n    for i in range(x.shape[0]):\n        y[i] = tanh(x[i])\n"
    x = np.arange(0, 1 << 32, 4099, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    y = np.empty_like(x)
    kernels.load_kernels(source)["values"](x, y)
    exact = np.tanh(x.astype(np.float64))
    ulps = np.abs(y - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert ulps.max() <= TANH_ULPS
    assert np.abs(y).max() <= 1


def extremes(x: Any, s: Any) -> Any:
    y = ops.maximum(x, s) + ops.relu(ops.minimum(x, 1.0))
    return (ops.tanh(x), y, ops.sigmoid(-x) * 2.0, ops.where(x > 0, x, s)), s * 1.0 + x * 0.0


@pytest.mark.parametrize("emitter", ["numpy", "numba"])
def test_nan_and_infinity_as_numpy_has_them(emitter: str) -> None:
    x, s = Tensor(np.tile(EXTREMES, (8, 1))), Tensor(np.repeat(EXTREMES, 8).reshape(8, 8))
    with np.errstate(all="ignore"):
        want = eager.run(extremes, x, s, Layout([1] * 8))
        got = compiled.run(extremes, x, s, Layout([1] * 8), options=Options(emitter=emitter))
    for a, b in zip((*got[0], got[1]), (*want[0], want[1]), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("cell", [LSTM(5, 7), GRU(5, 7)], ids=["lstm", "gru"])
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_the_tape(cell: Any, reverse: bool) -> None:
    layout = Layout([6, 2, 6, 3])
    x = Tensor(np.random.default_rng(0).normal(size=(layout.total, 5)).astype("f"), requires_grad=True)
    state, found = cell.initial_state(4), []
    for run, extra in ((eager.run, {}), (compiled.run, {"options": Options(emitter="numba")})):
        for t in (x, *cell.parameters()):
            t.grad = None
        ys, final = run(cell.step, x, state, layout, reverse=reverse, **extra)
        ((ys * ys).sum() + final[0].sum()).backward()
        found.append([ys, *final, x.grad, *(p.grad for p in cell.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-4, atol=2e-5)


def test_one_kernel_for_each_direction() -> None:
    cell = LSTM(5, 7)
    x = Tensor(np.zeros((4, 5), "f"), requires_grad=True)
    program, _, _ = compiled.program_for(cell.step, x, cell.initial_state(2), Options(emitter="numba"))
    assert sorted(n for n in program._functions if n.endswith("_step")) == ["backward_step", "forward_step"]


@pytest.mark.parametrize(("batch", "width"), [(1, 5), (2, 8), (1, 64), (2, 3), (9, 40)])
def test_products_with_packed_weights(batch: int, width: int) -> None:
    """In a loop that is long enough for them, and whatever the remainders of their tiles."""
    rng = np.random.default_rng(0)
    cell, steps = LSTM(3, width), LEAST_ROWS
    x = Tensor(rng.normal(size=(steps * batch, 3)).astype("f"), requires_grad=True)
    runs = []
    for run, extra in ((eager.run, {}), (compiled.run, {"options": Options(emitter="numba")})):
        x.grad = None
        ys, _ = run(cell.step, x, cell.initial_state(batch), Layout([steps] * batch), **extra)
        (ys * ys).sum().backward()
        runs.append((ys.numpy(), x.grad.numpy()))
    for got, want in zip(*runs, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("lengths", [[70], [30, 30, 30], [40, 7, 25, 1]], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_of_kernels_is_a_kernel(lengths: list[int], reverse: bool) -> None:
    """And does what the loop in Python does, to the last bit."""
    rng = np.random.default_rng(0)
    cell, layout = LSTM(3, 20), Layout(lengths)
    x = Tensor(rng.normal(size=(layout.total, 3)).astype("f"), requires_grad=True)
    runs = []
    for whole in (True, False):
        options = Options(emitter="numba", whole=whole)
        program, _, _ = compiled.program_for(cell.step, x, cell.initial_state(len(lengths)), options)
        assert (program._whole is program._functions) is not whole
        x.grad = None
        ys, final = compiled.run(
            cell.step, x, cell.initial_state(len(lengths)), layout, reverse=reverse, options=options
        )
        ((ys * ys).sum() + final[1].sum()).backward()
        runs.append([ys.numpy(), *(s.numpy() for s in final), x.grad.numpy()])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_numba_has_no_numbers_for_runs_on_numpy() -> None:
    w = Tensor(np.full((4, 4), 0.25, "float16"))
    x, s = Tensor(np.ones((140, 4), "float16")), Tensor(np.ones((2, 4), "float16"))

    def step(x: Any, s: Any) -> Any:
        s = ops.tanh(s @ w + x)
        return s, s

    layout, options = Layout([70, 70]), Options(emitter="numba")
    ys, _ = compiled.run(step, x, s, layout, options=options)
    np.testing.assert_array_equal(ys.numpy(), eager.run(step, x, s, layout)[0].numpy())
    assert ys.dtype == "float16"


def test_kernels_are_kept_on_disk(tmp_path: Path) -> None:
    code = (
        "from tinyseq.scan.emitters.numba.kernels import load_kernels\n"
        "from tinyseq.scan.emitters.numba.kernels import HEADER\n"
        "import numpy as np\n"
        "source = HEADER.format(dtype='float64', cache=True)\n"
        "source += '@kernel\\ndef twice(x):\\n    return 2 * x[0]\\n'\n"
        "twice = load_kernels(source)['twice']\n"
        "assert twice(np.ones(1)) == 2\n"
        "print(sum(twice.stats.cache_hits.values()))\n"
    )
    env = {**os.environ, "TINYSEQ_CACHE": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [r.stdout.strip() for r in runs] == ["0", "1"]


def test_without_a_place_to_keep_them_kernels_are_compiled_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TINYSEQ_CACHE", str(tmp_path / "file" / "folder"))
    source = HEADER.format(dtype="float64", cache=True) + "@kernel\ndef thrice(x):\n    return 3 * x[0]\n"
    assert kernels.load_kernels(source)["thrice"](np.ones(1)) == 3


def test_the_emitter_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYSEQ_EMITTER", raising=False)
    assert kernels.emitter_name("numpy") == "numba"
    assert kernels.emitter_name("cupy") == "numpy"
    monkeypatch.setenv("TINYSEQ_EMITTER", "numpy")
    assert kernels.emitter_name("numpy") == "numpy"
    monkeypatch.setenv("TINYSEQ_EMITTER", "fast")
    with pytest.raises(
        ConfigError, match="TINYSEQ_EMITTER is 'fast': set it to numpy, numba or cuda, or not at all"
    ):
        kernels.emitter_name("numpy")


DAMAGED = """
import numpy as np
from tinyseq.scan.emitters.numba.kernels import HEADER, load_kernels

source = HEADER.format(dtype="float32", cache=True) + '''

@kernel
def half(x):
    return x / 2


@kernel
def twice_half(x):
    return 2 * half(x) + 1
'''
kernels = load_kernels(source)
x = np.float32(3)
print(kernels["twice_half"](x), kernels["half"](x), sum(kernels["half"].stats.cache_hits.values()))
"""


def run_kernels(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED],
        env={**os.environ, "TINYSEQ_CACHE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "noise"])
@pytest.mark.parametrize("suffix", [".py", ".nbi", ".nbc"])
def test_a_damaged_cache_is_thrown_away_and_written_anew(suffix: str, damage: str, tmp_path: Path) -> None:
    assert run_kernels(tmp_path) == "4.0 1.5 0\n"
    assert run_kernels(tmp_path).startswith("4.0 1.5")
    files = [path for path in tmp_path.rglob("*") if path.suffix == suffix]
    assert files
    for path in files:
        content = path.read_bytes()
        half = content[: len(content) // 2]
        spoilt = {"empty": b"", "cut": half, "zeros": bytes(len(content)), "noise": b"\x93\xff" + half[::-1]}
        path.write_bytes(spoilt[damage])
    assert run_kernels(tmp_path).startswith("4.0 1.5")
    assert run_kernels(tmp_path) == "4.0 1.5 1\n", "it is kept again"


def test_kernels_without_a_place_to_keep_them_are_compiled_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run_kernels(tmp_path / "file" / "under a file").startswith("4.0 1.5")
