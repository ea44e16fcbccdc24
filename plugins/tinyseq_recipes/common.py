"""What more than one recipe needs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from tinyseq import random
from tinyseq.data import read_lines
from tinyseq.errors import DataError
from tinyseq.training import Epoch, Outcome, Trainer

T = TypeVar("T")


def show_epoch(trainer: Trainer, epoch: Epoch) -> None:
    """One line for each epoch, for `Trainer(after_epoch=[show_epoch])`."""
    valid = "" if epoch.valid_loss is None else f"   valid {epoch.valid_loss:.4f}"
    figures = "".join(f"   {name} {value:.4f}" for name, value in epoch.metrics.items())
    kept = "" if epoch.best else "   no better"
    print(
        f"epoch {epoch.number:>2}   train {epoch.train_loss:.4f}{valid}{figures}"
        f"   {epoch.seconds:.1f} s{kept}",
        flush=True,
    )


def losses(trainer: Trainer) -> tuple[float, ...]:
    """The training loss of each epoch."""
    return tuple(epoch.train_loss for epoch in trainer.history)


def show(outcome: Outcome) -> Outcome:
    """Print a test figure, and hand it on."""
    print(f"test   {outcome}", flush=True)
    return outcome


def split(examples: Sequence[T], *shares: float) -> list[list[T]]:
    """The examples in one random order, which is always the same, cut into parts of these shares."""
    order = np.random.default_rng(0).permutation(len(examples))
    cuts = [round(share * len(examples)) for share in np.cumsum(shares)]
    parts = [[examples[i] for i in part] for part in np.split(order, cuts)[: len(shares)]]
    if not all(parts):
        raise DataError(
            f"{len(examples)} examples are too few to be split into parts of {', '.join(map(str, shares))}: "
            "each needs one or more."
        )
    return parts


class Drawn:
    """`count` batches an epoch, each drawn anew: `draw(rng)` makes one."""

    def __init__(self, draw: Callable[[np.random.Generator], Any], count: int) -> None:
        self.draw = draw
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        rng = np.random.default_rng(random.generator().integers(2**63))
        return (self.draw(rng) for _ in range(self.count))


def names_of(folder: Any) -> list[tuple[str, str]]:
    """Pairs (name, language) of a folder with a file LANGUAGE.txt for each language, each once."""
    files = sorted(folder.glob("*.txt")) + sorted(folder.glob("*.txt.gz"))
    pairs = [(name.strip(), file.name.partition(".")[0]) for file in files for name in read_lines(file)]
    return list(dict.fromkeys(pairs))
