"""A character language model, trained by tinyseq and by PyTorch on the same text with the same settings.

    python -m tests.benchmarks.char_lm --text FILE [--epochs 3] [--json FILE]

Both begin with tinyseq's initial weights (`--own-weights`: PyTorch draws its own), see the same batches,
carry the state from window to window, clip alike and use Adam; epochs alternate, so that both meet the same
noise of the machine. Prints nats per character on the validation part and characters per second. Needs the
extra `test-peers`.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

import tinyseq
from tinyseq.cli.language_model import Corpus, Settings, trainer
from tinyseq.data import read_text


class TorchModel(torch.nn.Module):
    """Embedding, one LSTM, softmax over characters."""

    def __init__(self, symbols, settings):
        super().__init__()
        self.embed = torch.nn.Embedding(symbols, settings.embedding)
        self.lstm = torch.nn.LSTM(settings.embedding, settings.hidden, batch_first=True)
        self.linear = torch.nn.Linear(settings.hidden, symbols)

    def forward(self, ids, state):
        features, state = self.lstm(self.embed(ids), state)
        return self.linear(features), state

    def take(self, model):
        """Begin where tinyseq's model begins. Its LSTM has one bias, so the second stays zero here."""
        cell, head = model.encoder.cell, model.head.projection
        with torch.no_grad():
            for theirs, ours in (
                (self.embed.weight, model.embed.weight.numpy()),
                (self.lstm.weight_ih_l0, cell.w_x.numpy().T),  # both in the order i, f, g, o
                (self.lstm.weight_hh_l0, cell.w_h.numpy().T),
                (self.lstm.bias_ih_l0, cell.b.numpy()),
                (self.lstm.bias_hh_l0, np.zeros_like(cell.b.numpy())),
                (self.linear.weight, head.weight.numpy().T),
                (self.linear.bias, head.bias.numpy()),
            ):
                theirs.copy_(torch.from_numpy(np.array(ours)))
        self.lstm.bias_hh_l0.requires_grad_(False)


class TorchRun:
    """PyTorch's side of the comparison: the plainest loop that does what Trainer does."""

    def __init__(self, model, settings):
        self.model = model
        self.clip = settings.clip
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.lr)

    def train_epoch(self, batches):
        """Seconds of one epoch."""
        began = time.perf_counter()
        state = None
        for inputs, targets in batches:
            loss, state = self.loss(inputs, targets, state)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimizer.step()
            state = tuple(s.detach() for s in state)
        return time.perf_counter() - began

    def evaluate(self, batches):
        """Nats per character."""
        nats, count, state = 0.0, 0, None
        with torch.no_grad():
            for inputs, targets in batches:
                loss, state = self.loss(inputs, targets, state)
                nats += loss.item() * targets.numel()
                count += targets.numel()
        return nats / count

    def loss(self, inputs, targets, state):
        scores, state = self.model(inputs, state)
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten()), state


def as_torch(windows):
    """The same batches as (batch, time) tensors."""
    return [
        tuple(torch.from_numpy(np.ascontiguousarray(part.to_padded().numpy())) for part in batch)
        for batch in windows
    ]


COLUMNS = "{:>5}  {:>9}  {:>9}  {:>10}  {:>9}  {:>9}  {:>5}"


def compare(text, settings, epochs, *, own_weights=False, say=print):
    """The figures, as a dict; `say` gets one line per epoch."""
    corpus = Corpus.cut(text, settings)
    ours = trainer(settings, corpus)
    torch.manual_seed(settings.seed)
    model = TorchModel(len(corpus.vocabulary), settings)
    if not own_weights:
        model.take(ours.model)
    theirs = TorchRun(model, settings)
    train, valid = as_torch(corpus.train), as_torch(corpus.valid.one_stream())
    rows = []
    say(COLUMNS.format("epoch", "tinyseq", "torch", "difference", "chars/s", "torch", "ratio"))
    for number in range(1, epochs + 1):
        ours.fit(corpus.train, corpus.valid, epochs=number)
        epoch = ours.history[-1]
        row = {
            "tinyseq_seconds": epoch.seconds,
            "torch_seconds": theirs.train_epoch(train),
            "tinyseq_nats": epoch.valid_loss,
            "torch_nats": theirs.evaluate(valid),
        }
        rows.append(row)
        say(
            COLUMNS.format(
                number,
                f"{row['tinyseq_nats']:.4f}",
                f"{row['torch_nats']:.4f}",
                f"{difference(row):+.4f}",
                f"{epoch.targets / row['tinyseq_seconds']:,.0f}",
                f"{epoch.targets / row['torch_seconds']:,.0f}",
                f"{ratio([row]):.2f}",
            )
        )
    return {
        "settings": asdict(settings),
        "characters": len(text),
        "own_weights": own_weights,
        "threads": torch.get_num_threads(),
        "versions": {"tinyseq": tinyseq.__version__, "numpy": np.__version__, "torch": torch.__version__},
        "machine": platform.processor() or platform.machine(),
        "epochs": rows,
        "difference": difference(rows[-1]),
        "throughput_ratio": ratio(rows),
    }


def difference(row):
    """tinyseq's nats per character minus torch's."""
    return row["tinyseq_nats"] - row["torch_nats"]


def ratio(rows):
    """tinyseq's characters per second over torch's, each in its fastest epoch: noise only ever slows down."""
    return min(row["torch_seconds"] for row in rows) / min(row["tinyseq_seconds"] for row in rows)


def threads_of_numpy():
    """How many threads NumPy's OpenBLAS uses, so that torch gets no more."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(variable, "").isdigit():
            return int(os.environ[variable])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", required=True, help="UTF-8, or gzip-compressed as .gz")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--own-weights", action="store_true", help="PyTorch draws its own initial weights")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    for name, kind in (("hidden", int), ("embedding", int), ("batch", int), ("window", int), ("seed", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Settings(), name))
    args = parser.parse_args()
    torch.set_num_threads(threads_of_numpy())
    settings = Settings(
        hidden=args.hidden, embedding=args.embedding, batch=args.batch, window=args.window, seed=args.seed
    )
    figures = compare(read_text(args.text), settings, args.epochs, own_weights=args.own_weights)
    print(
        f"\ndifference {figures['difference']:+.4f} nats per character (wanted: within 0.02)"
        f"\nthroughput {figures['throughput_ratio']:.2f} of PyTorch's with {figures['threads']} threads"
    )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
