"""What the benchmarks share: turns in blocks, the shortest call, equal threads for both, figures as JSON."""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]


def shortest(contenders: Mapping[str, Call], *, blocks: int = 5, seconds: float = 0.3) -> dict[str, float]:
    """The shortest of at least 15 calls of each contender, in milliseconds.

    They take turns in blocks, so that all meet the same noise of the machine. Within a block one contender
    has the cores to itself: after a call, its pool of threads spins for a while, which would slow down
    whoever comes next.
    """
    best = dict.fromkeys(contenders, math.inf)
    for _ in range(blocks):
        for name, call in contenders.items():
            call()
            end = time.perf_counter() + seconds
            runs = 0
            while runs * blocks < 15 or time.perf_counter() < end:
                began = time.perf_counter()
                call()
                best[name] = min(best[name], time.perf_counter() - began)
                runs += 1
    return {name: least * 1e3 for name, least in best.items()}


def figures(times: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds of "ours" and "torch", and torch / ours: above 1, tinyseq is faster."""
    ours, theirs = times["ours"], times["torch"]
    return {"ours_ms": round(ours, 4), "torch_ms": round(theirs, 4), "ratio": round(theirs / ours, 3)}


def geometric_mean(ratios: list[float]) -> float:
    """The mean of ratios: 2 and 1/2 make 1."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def use_threads_of_numpy() -> int:
    """Let PyTorch use as many threads as NumPy's OpenBLAS does; their number."""
    import torch

    given = (os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    count = next((int(text) for text in given if text.isdigit()), None) or len(os.sched_getaffinity(0))
    torch.set_num_threads(count)
    return count


def machine() -> dict[str, Any]:
    """Where figures were measured."""
    import torch

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def write(path: Path | None, rows: list[dict[str, Any]]) -> None:
    """Write rows and machine as JSON, if a file was asked for."""
    if path is not None:
        text = json.dumps({"rows": rows, "machine": machine()}, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
