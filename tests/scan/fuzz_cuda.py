"""Random steps by the kernels of the cuda emitter, against the tape on NumPy, in three orders of threads.

    PYTHONPATH=tests CPUCUDA_GUARD=1 python -m tests.scan.fuzz_cuda --seeds 0:2000

Without a GPU they run on cpucuda, where a kernel takes a second to compile; what a kernel cannot do in its
loop is counted as refused. Every fifth seed has the plan that would be chosen, the others one of their own.
"""

import argparse
import sys
from collections import Counter
from typing import Any

import cpucuda
import numpy as np

import tinyseq
from tests.scan import fuzz
from tinyseq.scan import eager
from tinyseq.scan.emitters.cuda.plan import Strategy

# Weights in registers, in shared memory and elsewhere; one row and several; one block and clusters.
STRATEGIES = [
    Strategy(rows=3),
    Strategy(cluster=2, rows=2, threads=32, weights=16),
    Strategy(cluster=4, rows=1, threads=16, weights=0),
    Strategy(rows=2, threads=32, shared=4000, weights=8),
]


class Refused(Exception):
    """There are no kernels for a step."""


def worst_error(seed: int) -> float:
    """The largest difference of any result, in any order. Raises Refused."""
    from tinyseq.scan.running import compiled
    from tinyseq.scan.running.program import Program

    class OnlyKernels(Program):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if self.refusal:
                raise Refused(self.refusal)

    case = fuzz.case(seed)
    case.options.emitter, case.options.strategy = "cuda", [None, *STRATEGIES][seed % 5]
    with np.errstate(all="ignore"):
        wanted = fuzz.results(eager.run, case)
    worst = 0.0
    compiled.Program = OnlyKernels  # type: ignore[misc]
    with tinyseq.use("cupy"):
        for order in cpucuda.ORDERS:
            with cpucuda.thread_order(order):
                got = fuzz.results(compiled.run, case, options=case.options)
            worst = max(worst, *fuzz.differences(wanted, got).values())
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0:100", help="first:beyond")
    first, beyond = map(int, parser.parse_args().seeds.split(":"))
    cpucuda.install()
    counts: Counter[str] = Counter()
    for seed in range(first, beyond):
        try:
            error = worst_error(seed)
        except Refused:
            counts["refused"] += 1
            continue
        counts["right" if error < fuzz.TOLERANCE else "wrong"] += 1
        if not error < fuzz.TOLERANCE:
            print(f"seed {seed}: {error:.0e}", flush=True)
    print(f"{beyond - first} seeds: {dict(counts)}")
    sys.exit(counts["wrong"] > 0)


if __name__ == "__main__":
    main()
