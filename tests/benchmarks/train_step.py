"""Whole training steps (forward, loss, backward, clip, Adam) beside PyTorch, in one process.

    python -m tests.benchmarks.train_step [--task NAME] [--json FILE]

Prints milliseconds of the shortest step of each and torch / ours; above 1, tinyseq is faster. Needs the extra
`test-peers`, and is fastest with the extra `fast`.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.language_model import LanguageModelHead
from tinyseq_heads.siamese import Siamese
from tinyseq_heads.tagger import Tagger
from tinyseq_losses.contrastive import InfoNCE
from torch.nn.functional import cross_entropy, normalize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.benchmarks import timing
from tinyseq import Recurrent, Sequences, detach
from tinyseq.nn import Embedding, Module, SequenceModel
from tinyseq.optim import Adam, clip_grad_norm

BATCHES = 4  # different ones in turn, since a new batch has lengths and ids that were not seen before
LR, CLIP = 1e-3, 1.0
Step = Callable[[], Any]
Pair = tuple[Step, Step]


def tinyseq_step(model: Module, losses: Iterator[Any]) -> Step:
    """A training step of ours on the next loss that `losses` computes."""
    optimizer = Adam(model, lr=LR)

    def step() -> None:
        model.zero_grad()
        next(losses).backward()
        clip_grad_norm(model, CLIP)
        optimizer.step()

    return step


def torch_step(model: torch.nn.Module, losses: Iterator[Any]) -> Step:
    """The same for PyTorch."""
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LR)

    def step() -> None:
        optimizer.zero_grad()
        next(losses).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return step


class TorchLanguageModel(torch.nn.Module):
    def __init__(self, vocabulary: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width)
        self.lstm = torch.nn.LSTM(width, hidden, layers, batch_first=True)
        self.linear = torch.nn.Linear(hidden, vocabulary)

    def forward(self, ids: Any, state: Any) -> Any:
        features, state = self.lstm(self.embed(ids), state)
        return self.linear(features), state


def language_model(vocabulary: int, width: int, hidden: int, layers: int, batch: int, window: int) -> Pair:
    """Windows of a running text, the state carried from one to the next."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, vocabulary + 1)  # words are about as frequent as Zipf's law says
    text = rng.choice(vocabulary, (BATCHES, batch, window + 1), p=shares / shares.sum())
    cells = [LSTM(width if i == 0 else hidden, hidden) for i in range(layers)]
    encoder = Recurrent(cells[0]) if layers == 1 else Deep(*cells)
    model = SequenceModel(Embedding(vocabulary, width), encoder, LanguageModelHead(hidden, vocabulary))
    theirs = TorchLanguageModel(vocabulary, width, hidden, layers)

    def our_losses() -> Iterator[Any]:
        state = None
        for ids in cycle(text):
            features, state = model.scan(Sequences.from_padded(ids[:, :-1]), state)
            yield model.head.loss(features, Sequences.from_padded(ids[:, 1:]))
            state = detach(state)

    def their_losses() -> Iterator[Any]:
        state = None
        for ids in cycle(torch.from_numpy(text)):
            scores, state = theirs(ids[:, :-1], state)
            yield cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())
            state = tuple(s.detach() for s in state)

    return tinyseq_step(model, our_losses()), torch_step(theirs, their_losses())


class TorchEncoder(torch.nn.Module):
    """An LSTM over packed sequences, as PyTorch's users run it on ragged batches."""

    def __init__(self, vocabulary: int, width: int, hidden: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = torch.nn.LSTM(width, hidden, batch_first=True, bidirectional=bidirectional)

    def forward(self, ids: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


class TorchTagger(TorchEncoder):
    def __init__(self, vocabulary: int, width: int, hidden: int, tags: int) -> None:
        super().__init__(vocabulary, width, hidden, bidirectional=True)
        self.linear = torch.nn.Linear(2 * hidden, tags)

    def forward(self, ids: Any, lengths: Any) -> Any:
        return self.linear(super().forward(ids, lengths))


def ragged(
    rng: np.random.Generator, batch: int, vocabulary: int, shortest: int = 5, longest: int = 40
) -> Any:
    """Sequences of ids of different lengths; 0 is for PyTorch's padding."""
    return [rng.integers(1, vocabulary, n) for n in rng.integers(shortest, longest + 1, batch)]


def padded(sequences: Any, value: int) -> Any:
    parts = [torch.from_numpy(s) for s in sequences]
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=value)


def tagger(
    vocabulary: int = 5000, width: int = 100, hidden: int = 128, tags: int = 17, batch: int = 32
) -> Pair:
    """A tag for each word of sentences of different lengths."""
    rng = np.random.default_rng(0)
    sentences = [ragged(rng, batch, vocabulary) for _ in range(BATCHES)]
    answers = [[rng.integers(0, tags, len(s)) for s in batch] for batch in sentences]
    encoder = Bidirectional(LSTM(width, hidden), LSTM(width, hidden))
    model = SequenceModel(Embedding(vocabulary, width), encoder, Tagger(2 * hidden, tags))
    theirs = TorchTagger(vocabulary, width, hidden, tags)

    def our_losses() -> Iterator[Any]:
        for ids, targets in cycle(zip(sentences, answers, strict=True)):
            yield model.loss(Sequences.from_list(ids), Sequences.from_list(targets))

    def their_losses() -> Iterator[Any]:
        for ids, targets in cycle(zip(sentences, answers, strict=True)):
            scores = theirs(padded(ids, 0), torch.tensor([len(s) for s in ids]))
            yield cross_entropy(scores.flatten(0, 1), padded(targets, -100).flatten())

    return tinyseq_step(model, our_losses()), torch_step(theirs, their_losses())


def siamese(vocabulary: int = 5000, width: int = 100, hidden: int = 128, pairs: int = 64) -> Pair:
    """Pairs of sentences, mean-pooled; each picks its partner among those of the batch."""
    rng = np.random.default_rng(0)
    batches = [ragged(rng, 2 * pairs, vocabulary) for _ in range(BATCHES)]
    groups = np.tile(np.arange(pairs), 2)
    head = Siamese(hidden, loss=InfoNCE(temperature=0.05))
    model = SequenceModel(Embedding(vocabulary, width), Recurrent(LSTM(width, hidden)), head)
    theirs = TorchEncoder(vocabulary, width, hidden)

    def our_losses() -> Iterator[Any]:
        for ids in cycle(batches):
            yield model.loss(Sequences.from_list(ids), groups)

    def their_losses() -> Iterator[Any]:
        for ids in cycle(batches):
            lengths = torch.tensor([len(s) for s in ids])
            features = theirs(padded(ids, 0), lengths)  # zeros where a sequence has ended
            left, right = normalize(features.sum(1) / lengths[:, None], dim=-1).chunk(2)
            yield cross_entropy(left @ right.T / 0.05, torch.arange(pairs))

    return tinyseq_step(model, our_losses()), torch_step(theirs, their_losses())


TASKS: dict[str, Callable[[], Pair]] = {
    "character LM": lambda: language_model(65, 64, 256, 1, 32, 64),
    "word LM": lambda: language_model(10_000, 200, 200, 2, 20, 35),
    "tagger": tagger,
    "siamese": siamese,
}


def measure(task: str, blocks: int = 5) -> dict[str, Any]:
    """A row of the table."""
    ours, theirs = TASKS[task]()
    times = timing.shortest({"ours": ours, "torch": theirs}, blocks=blocks, seconds=0.6)
    return {"task": task, **timing.figures(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--task", choices=TASKS, action="append", help="only this one (may be repeated)")
    parser.add_argument("--blocks", type=int, default=5, help="how often the two take turns")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    timing.use_threads_of_numpy()
    rows = []
    print(f"{'task':<14}{'ours ms':>10}{'torch ms':>10}{'ratio':>8}")
    for task in args.task or TASKS:
        rows.append(row := measure(task, args.blocks))
        print(f"{task:<14}{row['ours_ms']:>10.2f}{row['torch_ms']:>10.2f}{row['ratio']:>8.2f}", flush=True)
    print(f"geometric mean {timing.geometric_mean([row['ratio'] for row in rows]):.2f}")
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
