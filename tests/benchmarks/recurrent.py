"""Recurrent layers against torch.nn's, in one process: a forward and backward pass, or a forward pass alone.

Run: python -m tests.benchmarks.recurrent [--json FILE] [--cells lstm,gru,rnn,bilstm] [--shapes 0,1,...]

Train: gradients of inputs and all weights. Ragged: lengths uniform in [T/3, T]; torch's time includes
packing and padding, ours is on packed rows throughout. Needs torch; TINYSEQ_EMITTER chooses the emitter.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

import tinyseq
from tests.benchmarks import timing
from tinyseq import Tensor
from tinyseq.scan import Recurrent
from tinyseq.scan.emitters.numba.kernels import emitter_name
from tinyseq.sequences import Layout, Sequences

Shape = tuple[int, int, int, int]  # steps, sequences, inputs, hidden units
SHAPES: list[Shape] = [
    (35, 20, 200, 200),
    (64, 32, 128, 128),
    (100, 64, 256, 256),
    (35, 20, 650, 650),
    (50, 64, 512, 512),
    (128, 1, 64, 64),
    (128, 128, 64, 64),
]
CELLS: dict[str, tuple[Callable[[int, int], Any], Callable[[int, int], Any]]] = {
    "lstm": (lambda i, h: Recurrent(LSTM(i, h)), torch.nn.LSTM),
    "gru": (lambda i, h: Recurrent(GRU(i, h, reset="after")), torch.nn.GRU),
    "rnn": (lambda i, h: Recurrent(RNN(i, h)), torch.nn.RNN),
    "bilstm": (
        lambda i, h: Bidirectional(LSTM(i, h), LSTM(i, h)),
        lambda i, h: torch.nn.LSTM(i, h, bidirectional=True),
    ),
}


def ours(layer: Any, xs: Sequences, d_rows: np.ndarray[Any, Any]) -> dict[str, Callable[[], Any]]:
    """A training step and a forward pass of ours."""
    leaves = [xs.data, *layer.parameters()]

    def train() -> None:
        for leaf in leaves:
            leaf.grad = None
        layer(xs).data.backward(d_rows)

    def infer() -> None:
        with tinyseq.no_grad():
            layer(xs)

    return {"train": train, "infer": infer}


def theirs(module: Any, x: Any, d_y: Any, lengths: list[int] | None) -> dict[str, Callable[[], Any]]:
    """The same of torch's."""

    def forward() -> Any:
        if lengths is None:
            return module(x)[0]
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths))
        return torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], total_length=len(x))[0]

    def train() -> None:
        module.zero_grad()
        x.grad = None
        forward().backward(d_y)

    def infer() -> None:
        with torch.no_grad():
            forward()

    return {"train": train, "infer": infer}


def contenders(cell: str, shape: Shape, ragged: bool) -> dict[str, dict[str, Callable[[], Any]]]:
    """By contender and mode, what to time."""
    steps, batch, inputs, hidden = shape
    rng = np.random.default_rng(0)
    lengths = sorted([steps, *rng.integers(steps // 3, steps + 1, batch - 1).tolist()], reverse=True)
    layout = Layout(lengths if ragged else [steps] * batch)
    make_ours, make_theirs = CELLS[cell]
    layer, module = make_ours(inputs, hidden), make_theirs(inputs, hidden)
    width = hidden * (2 if cell == "bilstm" else 1)
    rows = Tensor(rng.normal(size=(layout.total, inputs)).astype("f"), requires_grad=True)
    d_rows = rng.normal(size=(layout.total, width)).astype("f")
    x = torch.tensor(rng.normal(size=(steps, batch, inputs)).astype("f"), requires_grad=True)
    d_y = torch.tensor(rng.normal(size=(steps, batch, width)).astype("f"))
    return {
        "ours": ours(layer, Sequences(rows, layout), d_rows),
        "torch": theirs(module, x, d_y, lengths if ragged else None),
    }


def measure(cell: str, shape: Shape, ragged: bool, blocks: int) -> list[dict[str, Any]]:
    """One row for each mode."""
    both = contenders(cell, shape, ragged)
    out = []
    for mode in ("train", "infer"):
        times = timing.shortest({name: modes[mode] for name, modes in both.items()}, blocks=blocks)
        out.append(
            {
                "cell": cell,
                "layout": "ragged" if ragged else "dense",
                "mode": mode,
                "shape": list(shape),
                "emitter": emitter_name("numpy"),
                **timing.figures(times),
            }
        )
    return out


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The geometric mean of the ratios for each cell, layout and mode."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(f"{row['cell']} {row['layout']} {row['mode']}", []).append(row["ratio"])
    return {name: round(timing.geometric_mean(ratios), 3) for name, ratios in groups.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--shapes", default=",".join(map(str, range(len(SHAPES)))))
    parser.add_argument("--blocks", type=int, default=5, help="how often the two take turns")
    args = parser.parse_args()
    timing.use_threads_of_numpy()
    rows: list[dict[str, Any]] = []
    for cell in args.cells.split(","):
        for shape in [SHAPES[int(k)] for k in args.shapes.split(",")]:
            for ragged in (False, True) if shape[1] > 1 else (False,):
                for row in measure(cell, shape, ragged, args.blocks):
                    rows.append(row)
                    print(*row.values(), flush=True)
    for name, ratio in summary(rows).items():
        print(f"{name}: geometric mean {ratio}")
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
