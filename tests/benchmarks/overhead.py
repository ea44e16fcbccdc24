"""What one op costs on the tape: forward plus backward on small arrays, beside PyTorch in one process.

    python -m tests.benchmarks.overhead --json overhead.json

16x16 float32 arrays, chains of 100 ops, one thread, microseconds; ours / torch: below 1, ours is faster. Both
take turns in many short blocks, and the shortest run of each counts: other processes then disturb neither.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks import timing
from tinyseq import Tensor, ops

SIZE, LENGTH = 16, 100

# One step of a chain in which nothing grows. f: tinyseq.ops or torch; w: orthogonal; b: a small vector;
# s: near 1; m: near 1 / 16.
STEPS: dict[str, Callable[..., Any]] = {
    "add": lambda f, x, w, b, s, m: x + w,
    "multiply": lambda f, x, w, b, s, m: x * s,
    "tanh": lambda f, x, w, b, s, m: f.tanh(x),
    "sigmoid": lambda f, x, w, b, s, m: f.sigmoid(x),
    "relu": lambda f, x, w, b, s, m: f.relu(x),
    "exp of -exp": lambda f, x, w, b, s, m: f.exp(-x),
    "matmul": lambda f, x, w, b, s, m: x @ w,
    "add bias": lambda f, x, w, b, s, m: x + b,
    "sum * matrix": lambda f, x, w, b, s, m: x.sum(0, keepdims=True) * m,
    "softmax": lambda f, x, w, b, s, m: f.softmax(x, -1),
    "mix: tanh(x @ w + b) * s": lambda f, x, w, b, s, m: f.tanh(x @ w + b) * s,
}
OPS_PER_STEP = {"exp of -exp": 2, "sum * matrix": 2, "mix: tanh(x @ w + b) * s": 4}


def chain(f: Any, make: Callable[[Any], Any], step: Callable[..., Any], steps: int) -> Callable[[], None]:
    """One forward and backward pass through `steps` steps."""
    rng = np.random.default_rng(0)
    orthogonal, _ = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))
    arrays = [
        0.1 * rng.normal(size=(SIZE, SIZE)),
        orthogonal,
        0.01 * rng.normal(size=SIZE),
        1 + 0.01 * rng.normal(size=(SIZE, SIZE)),
        1 / SIZE + 0.001 * rng.normal(size=(SIZE, SIZE)),
    ]
    leaves = [make(a.astype(np.float32)) for a in arrays]
    seed = make(np.ones((SIZE, SIZE), np.float32)).detach()

    def run() -> None:
        x, *others = leaves
        y = x
        for _ in range(steps):
            y = step(f, y, *others)
        y.backward(seed)
        for leaf in leaves:
            leaf.grad = None

    return run


def measure(blocks: int, seconds: float) -> list[dict[str, Any]]:
    """One row for each kind of op, in microseconds for each op."""
    rows = []
    for name, step in STEPS.items():
        per_step = OPS_PER_STEP.get(name, 1)
        steps = LENGTH // per_step
        ours = chain(ops, lambda a: Tensor(a, requires_grad=True), step, steps)
        theirs = chain(torch, lambda a: torch.from_numpy(a).requires_grad_(), step, steps)
        best = timing.shortest({"ours": ours, "torch": theirs}, blocks=blocks, seconds=seconds)
        us, them = (best[who] / (steps * per_step) * 1e3 for who in ("ours", "torch"))
        rows.append(
            {"op": name, "ours_us": round(us, 2), "torch_us": round(them, 2), "ratio": round(us / them, 2)}
        )
    return rows


def main() -> None:
    """Print the table; write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--blocks", type=int, default=100, help="how many blocks to take the least of")
    parser.add_argument("--seconds", type=float, default=0.006, help="length of a block")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(args.blocks, args.seconds)
    width = max(len(row["op"]) for row in rows)
    print(f"{'microseconds an op, forward + backward':{width}}  ours  torch  ratio")
    for row in rows:
        print(f"{row['op']:{width}}  {row['ours_us']:4.1f}  {row['torch_us']:5.1f}  {row['ratio']:5.2f}")
    timing.write(args.json, rows)


if __name__ == "__main__":
    sys.exit(main())
