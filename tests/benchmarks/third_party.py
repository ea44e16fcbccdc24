"""What a stranger's cell costs: the MGU that `tinyseq plugins new cell mgu` writes beside the built-in LSTM.

    python -m tests.benchmarks.third_party [--json FILE]

Milliseconds of a compiled forward and backward pass over a batch, all gradients wanted, float32. Flops are
those of the matrix products, 2 m n k each: one product forward and two backward for every weight matrix and
every token, which is 6 (input + hidden) gates hidden for a token, with 4 gates in an LSTM and 2 in an MGU.
The last column is the MGU's time per flop over the LSTM's; the two take turns, and the shortest call counts.
"""

import argparse
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tests.benchmarks.timing import Call, shortest, write
from tinyseq.cli import skeleton

GATES = {"lstm": 4, "mgu": 2}
SETTINGS = ((32, 64, 128, 128), (64, 64, 256, 256), (32, 35, 650, 650))
"""Batch, steps, input size, hidden size."""

WANTED = 1.3


def stranger() -> Any:
    """The class in a package that is written for this purpose, somewhere else."""
    folder = Path(tempfile.mkdtemp())
    root = skeleton.write("cell", "mgu", folder=folder)
    sys.path.insert(0, str(root / "src"))
    return import_module("tinyseq_mgu").MGU


def both_passes(cell: Any, batch: int, steps: int) -> Call:
    """A function that runs the compiled layer forward and backward."""
    layer = tinyseq.Recurrent(cell)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((batch, steps, cell.input_size), np.float32)
    xs = tinyseq.Tensor(values, requires_grad=True)
    seed = tinyseq.Tensor(rng.standard_normal((batch, steps, cell.output_size), np.float32))

    def call() -> None:
        layer.zero_grad()
        (layer(xs) * seed).sum().backward()

    return call


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    cells = {"lstm": tinyseq.cells["lstm"], "mgu": stranger()}
    rows = []
    print("batch steps input hidden     lstm ms      mgu ms   lstm GF/s    mgu GF/s   per flop")
    for batch, steps, inputs, hidden in SETTINGS:
        calls = {name: both_passes(cell(inputs, hidden), batch, steps) for name, cell in cells.items()}
        times = shortest(calls)
        flops = {
            name: 6 * batch * steps * (inputs + hidden) * gates * hidden for name, gates in GATES.items()
        }
        speeds = {name: flops[name] / times[name] / 1e6 for name in GATES}
        ratio = speeds["lstm"] / speeds["mgu"]
        figures = [times["lstm"], times["mgu"], speeds["lstm"], speeds["mgu"], ratio]
        print(f"{batch:5} {steps:5} {inputs:5} {hidden:6}" + "".join(f"{figure:12.2f}" for figure in figures))
        rows.append({"batch": batch, "steps": steps, "input": inputs, "hidden": hidden, "ratio": ratio})
    worst = max(row["ratio"] for row in rows)
    print(f"worst: {worst:.2f} (wanted: {WANTED} or less)")
    write(args.json, rows)


if __name__ == "__main__":
    main()
