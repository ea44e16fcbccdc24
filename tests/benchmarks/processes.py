"""Two processes of one thread each beside one, and beside PyTorch's DistributedDataParallel (gloo).

    python -m tests.benchmarks.processes [--task NAME] [--seconds S] [--json FILE]

Prints tokens a second of whole training steps: one process; two that share a batch (the same update as
one); two with a batch each (as DistributedDataParallel is used). Needs the extras `test-peers`, `test-mpi`,
and is fastest with the extra `fast`.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tests.benchmarks import timing
from tinyseq.data import ContiguousWindows
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.processes import MPI
from tinyseq.sequences import Sequences
from tinyseq.training import Trainer, carried_state, whole_sequences

CLIP, LR, STREAMS, WINDOW = 1.0, 1e-3, 32, 64
BATCHES = 4  # different ones in turn
SYMBOLS, WORDS, TAGS = 65, 5000, 17
Steps = Iterator[tuple[Callable[[], Any], int]]
"""A training step and the tokens that this process's data have in it, again and again."""


def sentences(count: int, seed: int) -> list[list[Any]]:
    """Batches of 32 sentences of 3 to 40 words with a tag each."""
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        lengths = np.sort(rng.integers(3, 41, 32))
        batches.append([(rng.integers(0, WORDS, n), rng.integers(0, TAGS, n)) for n in lengths])
    return batches


def characters(copies: int) -> np.ndarray[Any, Any]:
    """Windows for `copies` batches side by side."""
    return np.random.default_rng(0).integers(0, SYMBOLS, BATCHES * WINDOW * STREAMS * copies + 1)


def tinyseq_steps(task: str, copies: int) -> Steps:
    """Steps of a Trainer whose batches are `copies` times as large as those of one process."""
    processes = MPI() if "PMI_SIZE" in os.environ else None
    tinyseq.seed(0)
    batches: Any
    if task == "characters":
        encoder = tinyseq.Recurrent(tinyseq.cells["lstm"](256, 256))
        model = SequenceModel(Embedding(SYMBOLS, 256), encoder, tinyseq.heads["language-model"](256, SYMBOLS))
        batches, objective = (
            list(ContiguousWindows(characters(copies), STREAMS * copies, WINDOW)),
            carried_state,
        )
    else:
        cell = tinyseq.cells["lstm"]
        layers = [tinyseq.layers["bidirectional"](cell(n, 128), cell(n, 128)) for n in (128, 256)]
        encoder = tinyseq.layers["deep"](*layers)
        model = SequenceModel(Embedding(WORDS, 128), encoder, tinyseq.heads["tagger"](256, TAGS))
        pairs = zip(*(sentences(BATCHES, seed) for seed in range(copies)), strict=True)
        parts = [[example for batch in both for example in batch] for both in pairs]
        batches = [tuple(map(Sequences.from_list, zip(*part, strict=True))) for part in parts]
        objective = whole_sequences
    trainer = Trainer(model, Adam(model, lr=LR), objective, clip=CLIP, processes=processes, bars=False)
    model.train()
    for batch in cycle(batches):
        yield lambda batch=batch: trainer.train_step(batch), batch[0].layout.total


def torch_steps(task: str, copies: int) -> Steps:
    """The same of PyTorch, under DistributedDataParallel where there are two processes."""
    import torch
    from torch.nn.functional import cross_entropy
    from torch.nn.utils.rnn import pack_sequence

    torch.set_num_threads(1)
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            text = task == "characters"
            width, self.text = (256, text) if text else (128, text)
            self.embed = torch.nn.Embedding(SYMBOLS if text else WORDS, width)
            options = {} if text else {"num_layers": 2, "bidirectional": True}
            self.lstm = torch.nn.LSTM(width, width, **options)
            self.out = torch.nn.Linear(256, SYMBOLS if text else TAGS)

        def forward(self, xs: Any, state: Any) -> Any:
            if self.text:
                hidden, state = self.lstm(self.embed(xs), state)
                return self.out(hidden).flatten(0, 1), state
            packed = xs._replace(data=self.embed(xs.data))
            return self.out(self.lstm(packed)[0].data), None

    torch.manual_seed(0)
    model: Any = Net()
    if size > 1:
        torch.distributed.init_process_group("gloo")
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    batches: list[Any] = []
    if task == "characters":
        streams = STREAMS * copies // size
        for inputs, targets in ContiguousWindows(characters(copies), STREAMS * copies, WINDOW):
            mine = slice(rank * streams, (rank + 1) * streams)
            xs, ys = (torch.from_numpy(part.to_padded().numpy()[mine].T.copy()) for part in (inputs, targets))
            batches.append((xs, ys.flatten(), inputs.layout.total))
    else:
        for both in zip(*(sentences(BATCHES, seed) for seed in range(copies)), strict=True):
            part = sorted((example for batch in both for example in batch), key=lambda e: -len(e[0]))
            mine = part[rank::size]
            xs = pack_sequence([torch.from_numpy(ids) for ids, _ in mine])
            ys = pack_sequence([torch.from_numpy(tags) for _, tags in mine]).data
            batches.append((xs, ys, sum(len(ids) for ids, _ in part)))
    state: Any = None

    def step(xs: Any, ys: Any) -> None:
        nonlocal state
        optimizer.zero_grad()
        scores, state = model(xs, state)
        cross_entropy(scores, ys).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        state = None if state is None else tuple(part.detach() for part in state)

    for xs, ys, tokens in cycle(batches):
        yield lambda xs=xs, ys=ys: step(xs, ys), tokens


def work(args: argparse.Namespace) -> None:
    """Take steps on a few batches again and again, and print the tokens a second of all processes.

    Of each batch the shortest step counts, because a busy machine makes steps longer and never shorter.
    """
    steps = (tinyseq_steps if args.library == "tinyseq" else torch_steps)(args.task, args.copies)
    batches = [next(steps) for _ in range(BATCHES)]
    best = [math.inf] * BATCHES
    for i in range(args.steps + 8):  # in the first ones kernels are compiled
        began = time.perf_counter()
        batches[i % BATCHES][0]()
        took = time.perf_counter() - began
        best[i % BATCHES] = min(best[i % BATCHES], took) if i >= 8 else math.inf
    if os.environ.get("PMI_RANK", os.environ.get("RANK", "0")) == "0":
        print(sum(tokens for _, tokens in batches) / sum(best), flush=True)


def measured(library: str, task: str, size: int, copies: int, steps: int) -> float:
    """Tokens a second of `size` processes of one thread each."""
    script = [sys.executable, "-m", "tests.benchmarks.processes", "--work", library]
    script += ["--task", task, "--copies", str(copies), "--steps", str(steps)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29555"}
    if library == "tinyseq" and size > 1:
        beside = Path(sys.executable).with_name("mpiexec")
        commands = [[str(beside) if beside.exists() else shutil.which("mpiexec"), "-n", str(size), *script]]
    else:
        commands = [script] * size
    jobs = []
    for rank, command in enumerate(commands):
        if size > 1 and library == "torch":
            environment = {**environment, "RANK": str(rank), "WORLD_SIZE": str(size)}
        jobs.append(subprocess.Popen(command, env=environment, stdout=-1, text=True))
    texts = [job.communicate()[0] for job in jobs]
    return next(float(text) for text in texts if text)


def main() -> None:
    """Measure in turns, and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=["characters", "tagger"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", dest="library", choices=["tinyseq", "torch"])
    args = parser.parse_args()
    if args.library:
        work(args)
        return
    rows = []
    for task in [args.task] if args.task else ["characters", "tagger"]:
        best: dict[tuple[str, int, int], float] = {}
        for _ in range(args.turns):
            for library in ("tinyseq", "torch"):
                for size, copies in ((1, 1), (2, 1), (2, 2)):
                    found = measured(library, task, size, copies, args.steps)
                    best[library, size, copies] = max(found, best.get((library, size, copies), 0.0))
        for library in ("tinyseq", "torch"):
            one, shared, each = (best[library, size, copies] for size, copies in ((1, 1), (2, 1), (2, 2)))
            row = {
                "task": task,
                "library": library,
                "one": round(one),
                "two, one batch": round(shared),
                "two, a batch each": round(each),
                "times": [round(shared / one, 2), round(each / one, 2)],
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
