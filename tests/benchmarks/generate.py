"""One token at a time: a character model beside PyTorch's module called in a Python loop, in one process.

    python -m tests.benchmarks.generate [--json FILE]

LSTM 1x256, embedding 64, vocabulary 65, batch 1. "token" draws each token from the distribution that the one
before gave; "LSTM" is the recurrent module alone. Microseconds for each
token, and torch / ours. Needs the extra `test-peers`, and is fastest with the extra `fast`.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.language_model import LanguageModelHead

from tests.benchmarks import timing
from tests.benchmarks.train_step import TorchLanguageModel
from tinyseq import Recurrent, Tensor
from tinyseq.decoding import generate
from tinyseq.nn import Embedding, SequenceModel

TOKENS, VOCABULARY, WIDTH, HIDDEN = 100, 65, 64, 256


def tokens() -> dict[str, Callable[[], Any]]:
    """Drawing tokens."""
    head = LanguageModelHead(HIDDEN, VOCABULARY)
    ours = SequenceModel(Embedding(VOCABULARY, WIDTH), Recurrent(LSTM(WIDTH, HIDDEN)), head).eval()
    theirs = TorchLanguageModel(VOCABULARY, WIDTH, HIDDEN, 1).eval()

    @torch.no_grad()
    def in_a_loop() -> list[int]:
        ids, state, drawn = torch.tensor([[0]]), None, []
        for _ in range(TOKENS):
            scores, state = theirs(ids, state)
            ids = torch.multinomial(torch.softmax(scores[:, -1], -1), 1)
            drawn.append(ids.item())
        return drawn

    return {"ours": lambda: list(generate(ours, [0], TOKENS)), "torch": in_a_loop}


def recurrence() -> dict[str, Callable[[], Any]]:
    """The recurrent module alone."""
    ours, theirs = Recurrent(LSTM(WIDTH, HIDDEN)), torch.nn.LSTM(WIDTH, HIDDEN, batch_first=True)
    values = np.random.default_rng(0).standard_normal((1, WIDTH), np.float32)
    x, same = Tensor(values), torch.from_numpy(values[None])

    def our_loop() -> None:
        step = ours.stream(ours.initial_state(1))
        for _ in range(TOKENS):
            step(x)

    @torch.no_grad()
    def their_loop() -> None:
        state = None
        for _ in range(TOKENS):
            _, state = theirs(same, state)

    return {"ours": our_loop, "torch": their_loop}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    timing.use_threads_of_numpy()
    rows = []
    print(f"{'one step of':<12}{'ours us':>9}{'torch us':>9}{'ratio':>7}")
    for what, contenders in {"token": tokens(), "LSTM": recurrence()}.items():
        best = timing.shortest(contenders)
        rows.append({"what": what, **timing.figures({name: ms / TOKENS for name, ms in best.items()})})
        ours, theirs = (rows[-1][key] * 1e3 for key in ("ours_ms", "torch_ms"))
        print(f"{what:<12}{ours:>9.0f}{theirs:>9.0f}{rows[-1]['ratio']:>7.2f}", flush=True)
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
