"""What tinyseq's Trainer does, done by PyTorch alone with a twin of the model; and how long either takes.

`training_by(TorchTrainer)` lets a recipe train so, in which all else (data, metric, decoding, printing) stays
as it is. Forward, loss, gradients, clipping, Adam, dropout and random numbers are torch's.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tinyseq_cells.gru import GRU

from tests.benchmarks import torch_heads  # noqa: F401  registers the twins of heads
from tests.benchmarks.torch_layers import Twins, as_torch, converts
from tinyseq import random, recipes
from tinyseq.nn import SequenceModel
from tinyseq.optim import Optimizer
from tinyseq.training import Epoch, Trainer
from tinyseq.training.objectives import Objective, whole_sequences
from tinyseq.training.records import Progress, Tally


@converts(SequenceModel)
class TorchModel(torch.nn.Module):
    """What an objective of tinyseq's calls: `loss`, or `scan` and `head.loss`."""

    def __init__(self, ours: SequenceModel, twins: Twins) -> None:
        super().__init__()
        self.embed, self.encoder, self.head = twins(ours.embed), twins(ours.encoder), twins(ours.head)

    def loss(self, xs: Any, targets: Any) -> torch.Tensor:
        return self.head.loss(self.encoder(self.embed(xs)), targets)

    def scan(self, xs: Any, state: Any = None) -> Any:
        return self.encoder.scan(self.embed(xs), state)


class Batches:
    """Batches, converted, that know how many seconds they took to come: those are nobody's training.

    Seconds here are the processor's: others may use the machine as well.
    """

    def __init__(self, batches: Any, convert: Callable[[Any], Any] = lambda batch: batch) -> None:
        self.batches, self.convert = batches, convert
        self.seconds = 0.0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        began = time.process_time()
        for batch in self.batches:
            converted = self.convert(batch)
            self.seconds += time.process_time() - began
            yield converted
            began = time.process_time()


class TimedTrainer(Trainer):
    """tinyseq's Trainer with the seconds that `fit` takes, validation included, collating left out."""

    seconds = 0.0

    def fit(self, batches: Iterable[Any], valid: Iterable[Any] | None = None, *, epochs: int) -> list[Epoch]:
        own, others = Batches(batches), None if valid is None else Batches(valid)
        began = time.process_time()
        super().fit(own, others, epochs=epochs)
        self.seconds += time.process_time() - began - own.seconds - (others.seconds if others else 0)
        return self.history


class TorchTrainer:
    """The part of Trainer that recipes use."""

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        objective: Objective = whole_sequences,
        *,
        clip: float | None = None,
        after_epoch: Iterable[Callable[[Any, Epoch], None]] = (),
    ) -> None:
        torch.manual_seed(int(random.generator().integers(2**31)))
        self.twins = Twins()
        self.model = self.twins(model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, lr=optimizer.lr)
        self.objective: Any = objective
        self.clip = math.inf if clip is None else clip
        self.after_epoch = tuple(after_epoch)
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] = {}
        self.seconds = 0.0

    @property
    def history(self) -> list[Epoch]:
        """One line per finished epoch."""
        return self.progress.history

    def fit(self, batches: Iterable[Any], valid: Iterable[Any] | None = None, *, epochs: int) -> list[Epoch]:
        """Train, and give tinyseq's model the values of the last epoch."""
        for _ in range(epochs):
            self._train_epoch(batches)
            loss = None if valid is None else self.evaluate(valid)
            epoch = self.progress.end_epoch(loss, self.optimizer.param_groups[0]["lr"])
            if epoch.best:
                self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
            for function in self.after_epoch:
                function(self, epoch)
        self.twins.write()
        return self.history

    def evaluate(self, batches: Iterable[Any]) -> float:
        """The mean loss over all targets, without dropout; the random numbers of the batches stay put."""
        batches = batches.one_stream() if hasattr(batches, "one_stream") else batches
        state, tally, numbers, came = None, Tally(), random.get_state(), Batches(batches, as_torch)
        self.model.eval()
        began = time.process_time()
        with torch.no_grad():
            for batch in came:
                loss, targets, state = self.objective(self.model, batch, state)[:3]
                tally.add(loss.item(), targets)
        self.seconds += time.process_time() - began - came.seconds
        random.set_state(numbers)
        return tally.mean

    def restore_best(self) -> None:
        """Give both models the values of the best epoch."""
        self.model.load_state_dict(self.best)
        self.twins.write()

    def _train_epoch(self, batches: Iterable[Any]) -> None:
        state, came = None, Batches(batches, as_torch)
        self.model.train()
        began = time.process_time()
        for batch in came:
            loss, targets, state = self.objective(self.model, batch, state)[:3]
            self.optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
            self.optimizer.step()
            state = detached(state)
            self.progress.end_step(loss.item(), targets, norm.item())
        self.progress.seconds = time.process_time() - began - came.seconds
        self.seconds += self.progress.seconds


def detached(state: Any) -> Any:
    """The state as constants: gradients stop at a window's beginning."""
    if isinstance(state, tuple):
        return tuple(map(detached, state))
    return None if state is None else state.detach()


@contextmanager
def training_by(trainer: Callable[..., Any]) -> Iterator[None]:
    """Within, recipes train by `trainer`, which is called as Trainer is."""
    for recipe in recipes:
        recipes[recipe]  # loads its module
    were = {
        module: module.Trainer
        for name, module in sys.modules.items()
        if name.startswith("tinyseq_recipes.") and hasattr(module, "Trainer")
    }
    try:
        for module in were:
            module.Trainer = trainer  # type: ignore[attr-defined]
        yield
    finally:
        for module, was in were.items():
            module.Trainer = was  # type: ignore[attr-defined]


@contextmanager
def gru_of_torch() -> Iterator[None]:
    """Within, GRUs are by default those that torch has, where the reset gate acts after the product.

    Recipes make their GRUs by class and by name and set no reset; nothing else changes the default.
    """
    defaults: Any = GRU.__init__.__kwdefaults__
    was = defaults["reset"]
    defaults["reset"] = "after"
    try:
        yield
    finally:
        defaults["reset"] = was
