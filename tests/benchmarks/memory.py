"""Peak memory of a training step of recurrent layers beside PyTorch, each in a process of its own.

    python -m tests.benchmarks.memory [--json FILE]

A forward and a backward pass of the larger dense shapes of the benchmark `recurrent`, three times. The figure
is the peak of resident memory less what was resident with libraries, layers and inputs loaded: what the step
itself needs. Megabytes, and torch / ours. Linux only. Needs the extra `test-peers`.
"""

import argparse
import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import recurrent, timing

SHAPES = [(35, 20, 650, 650), (100, 64, 256, 256), (50, 64, 512, 512)]
CELLS = ("lstm", "gru", "rnn", "bilstm")


def resident(field: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def contend(who: str, cell: str, shape: Any) -> float:
    """Megabytes that steps of one contender need, in this process."""
    timing.use_threads_of_numpy()
    few = (40, 2, *shape[2:])
    recurrent.contenders(cell, few, False)[who]["train"]()  # what is loaded or compiled at first use
    step = recurrent.contenders(cell, shape, False)[who]["train"]
    ctypes.CDLL(None).malloc_trim(0)  # what making the inputs left behind would hide what the steps need
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    for _ in range(3):
        step()
    return resident("VmHWM") - before


def measure(cell: str, shape: Any) -> dict[str, Any]:
    """A row of the table."""
    megabytes = {}
    for who in ("ours", "torch"):
        job = json.dumps([who, cell, shape])
        command = [sys.executable, "-m", "tests.benchmarks.memory", "--contend", job]
        megabytes[who] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {
        "cell": cell,
        "shape": shape,
        "ours_mb": round(megabytes["ours"], 1),
        "torch_mb": round(megabytes["torch"], 1),
        "ratio": round(megabytes["torch"] / megabytes["ours"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--contend", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contend:
        print(contend(*json.loads(args.contend)))
        return
    rows = []
    print(f"{'cell':<8}{'steps, batch, inputs, hidden':<30}{'ours MB':>9}{'torch MB':>9}{'ratio':>7}")
    for cell in CELLS:
        for shape in SHAPES:
            rows.append(row := measure(cell, shape))
            megabytes = f"{row['ours_mb']:>9.1f}{row['torch_mb']:>9.1f}{row['ratio']:>7.2f}"
            print(f"{cell:<8}{', '.join(map(str, shape)):<30}{megabytes}", flush=True)
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
