"""What 2, 8, 64 and 512 processes would give: measured compute, and the usual model of network time.

    python -m tests.benchmarks.scale [--json FILE]

Compute is a whole training step of one process with one thread on 1 to 64 sequences. An all-reduce of b bytes
among n takes 2 log2(n) a + 2 (n - 1) / n b / B (latency a, bandwidth B), and an exchange of few bytes through
rank 0, of which a step has two, 2 a + 2 (n - 1) m (m: what a message costs its sender, measured).
"""

import argparse
import json
import math
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tests.benchmarks import timing
from tinyseq.data import ContiguousWindows
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.training import Trainer, carried_state

NETWORKS = {"one machine": (1e-6, 3e9), "10 Gbit/s Ethernet": (30e-6, 1.1e9), "100 Gbit/s": (2e-6, 11e9)}
MESSAGE = 4e-6  # seconds of rank 0 for a message to or from another, measured on one machine
SIZES = (2, 8, 64, 512)
ROWS = (1, 2, 4, 8, 16, 32, 64)
MODELS = {"characters": (65, 256, 1), "words": (10_000, 650, 2)}
"""Symbols, width and layers."""


def steps(name: str, rows: int, window: int = 32) -> tuple[Trainer, Any]:
    """A Trainer of a language model, and its batches."""
    symbols, width, count = MODELS[name]
    tinyseq.seed(0)
    layers = [tinyseq.Recurrent(tinyseq.cells["lstm"](width, width)) for _ in range(count)]
    encoder = layers[0] if count == 1 else tinyseq.layers["deep"](*layers)
    head = tinyseq.heads["language-model"](width, symbols)
    model = SequenceModel(Embedding(symbols, width), encoder, head)
    ids = np.random.default_rng(0).integers(0, symbols, 4 * rows * window + 1)
    model.train()
    return Trainer(model, Adam(model), carried_state, clip=1.0), cycle(
        list(ContiguousWindows(ids, rows, window))
    )


def compute(name: str, rows: int) -> tuple[float, int]:
    """Seconds of the shortest of some steps, and the bytes of all gradients."""
    trainer, batches = steps(name, rows)
    best, end = math.inf, time.perf_counter() + (2 if name == "characters" else 5)
    for i in range(100):
        began = time.perf_counter()
        trainer.train_step(next(batches))
        best = min(best, time.perf_counter() - began) if i else best
        if i > 2 and time.perf_counter() > end:
            break
    return best, 4 * trainer.model.parameter_count()


def exchanges(size: int, count: int, latency: float, bandwidth: float) -> float:
    """Seconds of a step's all-reduce of `count` bytes, and of its two exchanges."""
    reduce = 2 * math.log2(size) * latency + 2 * (size - 1) / size * count / bandwidth
    return reduce + 2 * (2 * latency + 2 * (size - 1) * MESSAGE)


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    for name in MODELS:
        took = {n: compute(name, n) for n in ROWS if name == "characters" or n >= 8}
        for network, (latency, bandwidth) in NETWORKS.items():
            for size in SIZES:
                seconds, count = took[32]
                waits = exchanges(size, count, latency, bandwidth)
                shared = 64 // size
                row: dict[str, Any] = {
                    "model": name,
                    "network": network,
                    "processes": size,
                    "compute_ms": round(seconds * 1e3, 1),
                    "exchange_ms": round(waits * 1e3, 2),
                    "32 each": round(size * seconds / (seconds + waits), 1),
                }
                if shared in took:
                    row["64 shared"] = round(took[64][0] / (took[shared][0] + waits), 1)
                rows.append(row)
                print(json.dumps(row), flush=True)
        print(json.dumps({n: round(s * 1e3, 2) for n, (s, _) in took.items()}), flush=True)
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
