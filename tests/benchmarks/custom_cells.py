"""Cells that no library has ready-made: compiled by tinyseq, and as a loop of torch's own operations.

Run: python -m tests.benchmarks.custom_cells [--json FILE] [--blocks 5]

Each step is written once, over a namespace that either library fills in. Times are of a forward and a
backward pass with the gradients of inputs and all weights; the first pass, which compiles, is left out.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from tests.benchmarks import timing
from tinyseq import Tensor, ops
from tinyseq.scan import scan
from tinyseq.scan.emitters.numba.kernels import emitter_name
from tinyseq.sequences import Layout, Sequences

STEPS, BATCH, SIZE = 64, 32, 128
OURS = SimpleNamespace(
    sigmoid=ops.sigmoid,
    tanh=ops.tanh,
    sqrt=ops.sqrt,
    mean=lambda x: ops.mean(x, axis=-1, keepdims=True),
    split=lambda x, n: ops.split(x, n, axis=-1),
)
THEIRS = SimpleNamespace(
    sigmoid=torch.sigmoid,
    tanh=torch.tanh,
    sqrt=torch.sqrt,
    mean=lambda x: x.mean(-1, keepdim=True),
    split=lambda x, n: x.chunk(n, -1),
)
Weights = dict[str, Any]


def peephole_lstm(xp: Any, w: Weights, x: Any, state: Any) -> Any:
    h, c = state
    i, f, g, o = xp.split(x @ w["wx"] + h @ w["wh"] + w["b"], 4)
    c_new = xp.sigmoid(f + c * w["pf"]) * c + xp.sigmoid(i + c * w["pi"]) * xp.tanh(g)
    h_new = xp.sigmoid(o + c_new * w["po"]) * xp.tanh(c_new)
    return h_new, (h_new, c_new)


def normalized(xp: Any, x: Any, gain: Any, bias: Any) -> Any:
    centred = x - xp.mean(x)
    return centred / xp.sqrt(xp.mean(centred * centred) + 1e-5) * gain + bias


def layer_norm_lstm(xp: Any, w: Weights, x: Any, state: Any) -> Any:
    h, c = state
    z = normalized(xp, x @ w["wx"], w["gx"], w["bx"]) + normalized(xp, h @ w["wh"], w["gh"], w["bh"])
    i, f, g, o = xp.split(z, 4)
    c = xp.sigmoid(f) * c + xp.sigmoid(i) * xp.tanh(g)
    h = xp.sigmoid(o) * xp.tanh(normalized(xp, c, w["gc"], w["bc"]))
    return h, (h, c)


def minimal_gated_unit(xp: Any, w: Weights, x: Any, state: Any) -> Any:
    (h,) = state
    f = xp.sigmoid(x @ w["wf"] + h @ w["uf"] + w["bf"])
    n = xp.tanh(x @ w["wn"] + (f * h) @ w["un"] + w["bn"])
    h = (1 - f) * h + f * n
    return h, (h,)


def gru_reset_before(xp: Any, w: Weights, x: Any, state: Any) -> Any:
    (h,) = state
    r = xp.sigmoid(x @ w["wr"] + h @ w["ur"] + w["br"])
    z = xp.sigmoid(x @ w["wz"] + h @ w["uz"] + w["bz"])
    n = xp.tanh(x @ w["wn"] + (r * h) @ w["un"] + w["bn"])
    h = (1 - z) * h + z * n
    return h, (h,)


def gru_reset_after(xp: Any, w: Weights, x: Any, state: Any) -> Any:
    (h,) = state
    x_r, x_z, x_n = xp.split(x @ w["wx"] + w["bx"], 3)
    h_r, h_z, h_n = xp.split(h @ w["wh"] + w["bh"], 3)
    z = xp.sigmoid(x_z + h_z)
    h = (1 - z) * h + z * xp.tanh(x_n + xp.sigmoid(x_r + h_r) * h_n)
    return h, (h,)


def matrices(gates: int, *vectors: str) -> dict[str, tuple[int, ...]]:
    return {"wx": (SIZE, gates * SIZE), "wh": (SIZE, gates * SIZE)} | dict.fromkeys(vectors, (gates * SIZE,))


def gates(names: str) -> dict[str, tuple[int, ...]]:
    kinds = {"w": (SIZE, SIZE), "u": (SIZE, SIZE), "b": (SIZE,)}
    return {kind + name: shape for name in names for kind, shape in kinds.items()}


Case = tuple[Callable[..., Any], dict[str, tuple[int, ...]], int]
CELLS: dict[str, Case] = {
    "peephole LSTM": (peephole_lstm, matrices(4, "b") | dict.fromkeys(("pi", "pf", "po"), (SIZE,)), 2),
    "layer-norm LSTM": (
        layer_norm_lstm,
        matrices(4, "gx", "bx", "gh", "bh") | dict.fromkeys(("gc", "bc"), (SIZE,)),
        2,
    ),
    "MGU": (minimal_gated_unit, gates("fn"), 1),
    "GRU, reset before": (gru_reset_before, gates("rzn"), 1),
    "GRU, reset after": (gru_reset_after, matrices(3, "bx", "bh"), 1),
}


def contenders(cell: str) -> dict[str, Callable[[], Any]]:
    """A training step of ours and of torch's, with the same numbers."""
    step, shapes, states = CELLS[cell]
    rng = np.random.default_rng(0)
    values = {name: (rng.normal(size=shape) / SIZE**0.5).astype("f") for name, shape in shapes.items()}
    x, d_y = (rng.normal(size=(STEPS * BATCH, SIZE)).astype("f") for _ in range(2))
    weights = {name: Tensor(v, requires_grad=True) for name, v in values.items()}
    rows = Tensor(x, requires_grad=True)
    xs, start = Sequences(rows, Layout([STEPS] * BATCH)), (Tensor(np.zeros((BATCH, SIZE), "f")),) * states

    def ours_step(x: Any, state: Any) -> Any:
        return step(OURS, weights, x, state)

    def ours() -> None:
        for leaf in (rows, *weights.values()):
            leaf.grad = None
        scan(ours_step, xs, start)[0].data.backward(d_y)

    theirs_weights = {name: torch.tensor(v, requires_grad=True) for name, v in values.items()}
    theirs_x = torch.tensor(x.reshape(STEPS, BATCH, SIZE), requires_grad=True)
    theirs_d = torch.tensor(d_y.reshape(STEPS, BATCH, SIZE))

    def theirs() -> None:
        for leaf in (theirs_x, *theirs_weights.values()):
            leaf.grad = None
        state = (torch.zeros(BATCH, SIZE),) * states
        ys = []
        for row in theirs_x:
            y, state = step(THEIRS, theirs_weights, row, state)
            ys.append(y)
        torch.stack(ys).backward(theirs_d)

    return {"ours": ours, "torch": theirs}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5, help="how often the two take turns")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    timing.use_threads_of_numpy()
    rows = []
    for cell in CELLS:
        times = timing.shortest(contenders(cell), blocks=args.blocks)
        ratio = round(times["torch"] / times["ours"], 3)
        rows.append(
            {
                "cell": cell,
                "shape": [STEPS, BATCH, SIZE, SIZE],
                "emitter": emitter_name("numpy"),
                "ours_ms": round(times["ours"], 3),
                "torch_ms": round(times["torch"], 3),
                "ratio": ratio,
            }
        )
        print(*rows[-1].values(), flush=True)
    print(f"geometric mean {timing.geometric_mean([row['ratio'] for row in rows]):.2f}")
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
