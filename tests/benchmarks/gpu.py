"""Recurrent layers on a GPU: by kernels, by CuPy's calls, and by torch with cuDNN where it is there.

Run: python -m tests.benchmarks.gpu [--json FILE] [--quick]

Each figure is the shortest of several training passes (forward, backward, gradients of inputs and weights) in
float32, in milliseconds, with the wait for the device. --quick: one small shape, few calls.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

import tinyseq
from tinyseq import Sequences, Tensor
from tinyseq.backend import backend
from tinyseq.scan import Recurrent
from tinyseq.scan.emitters.cuda.cards import card_of
from tinyseq.sequences import Layout

Shape = tuple[int, int, int, int]  # steps, sequences, inputs, hidden units
SHAPES: list[Shape] = [
    (35, 20, 200, 200),
    (64, 32, 128, 128),
    (100, 64, 256, 256),
    (50, 64, 512, 512),
    (35, 20, 650, 650),
    (64, 64, 384, 384),
    (128, 128, 64, 64),
    (128, 1, 64, 64),
]
QUICK: list[Shape] = [(6, 3, 8, 8)]
CELLS: dict[str, Callable[[int, int], Any]] = {
    "lstm": LSTM,
    "gru": lambda i, h: GRU(i, h, reset="after"),
    "rnn": RNN,
}


def milliseconds(call: Callable[[], Any], wait: Callable[[], Any], seconds: float) -> float:
    """The shortest call, after two that compile and make room."""
    call()
    call()
    wait()
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        call()
        wait()
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def ours(name: str, lengths: list[int], inputs: int, units: int, emitter: str, seconds: float) -> float:
    """Of a layer whose loops the emitter writes."""
    os.environ["TINYSEQ_EMITTER"] = emitter
    tinyseq.clear_cache()
    layer = Recurrent(CELLS[name](inputs, units))
    layout = Layout(lengths)
    rows = np.random.default_rng(0).standard_normal((layout.total, inputs)).astype("f4")
    xs = Sequences(Tensor(rows, requires_grad=True), layout)
    gradient = Tensor(np.ones((layout.total, units), "f4"))
    leaves = [xs.data, *layer.parameters()]

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        layer(xs).data.backward(gradient)

    return milliseconds(call, backend().synchronize, seconds)


def cudnn(name: str, lengths: list[int], inputs: int, units: int, seconds: float) -> float | None:
    """Of torch's own layer; None without torch or its GPU."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[name](inputs, units).cuda()
    x = torch.randn(max(lengths), len(lengths), inputs, device="cuda", requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence
    is_dense = min(lengths) == max(lengths)

    def call() -> None:
        module.zero_grad()
        x.grad = None
        given = x if is_dense else packed(x, torch.tensor(lengths), enforce_sorted=False)
        y = module(given)[0]
        (y if is_dense else y.data).sum().backward()

    return milliseconds(call, torch.cuda.synchronize, seconds)


def measured(shapes: list[Shape], seconds: float) -> list[dict[str, Any]]:
    """A row for each shape and cell, dense and ragged."""
    found = []
    for steps, batch, inputs, units in shapes:
        ragged = np.random.default_rng(1).integers(max(1, steps // 3), steps + 1, batch).tolist()
        for name in CELLS:
            for kind, lengths in (("dense", [steps] * batch), ("ragged", ragged)):
                row: dict[str, Any] = {"cell": name, "shape": [steps, batch, inputs, units], "lengths": kind}
                row["kernels"] = ours(name, lengths, inputs, units, "cuda", seconds)
                row["calls"] = ours(name, lengths, inputs, units, "numpy", seconds)
                row["cudnn"] = cudnn(name, lengths, inputs, units, seconds)
                found.append(row)
                figures = "  ".join([f"{k} {row[k]:.3f}" for k in ("kernels", "calls", "cudnn") if row[k]])
                print(f"{name:<5} {kind:<6} {steps, batch, inputs, units}: {figures} ms", flush=True)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the figures")
    parser.add_argument("--quick", action="store_true", help="one small shape, few calls")
    args = parser.parse_args(arguments)
    with tinyseq.use("cupy"):
        import cupy

        rows = measured(QUICK if args.quick else SHAPES, 0.0 if args.quick else 0.2)
        about = {"card": card_of(cupy).name, "cupy": cupy.__version__, "python": platform.python_version()}
    if args.json:
        text = json.dumps({"machine": about, "milliseconds": rows}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
