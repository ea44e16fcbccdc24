"""The models behind `demo`, `train-lm`, `train` and `sample`, which predict the next symbol of a text."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from tinyseq import random
from tinyseq.data import ContiguousWindows, Vocabulary
from tinyseq.errors import DataError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam, Optimizer
from tinyseq.processes import Processes
from tinyseq.registry import cells, describe, heads, layers, load
from tinyseq.registry.model_file import MODEL
from tinyseq.registry.run_options import between
from tinyseq.scan import Recurrent
from tinyseq.training import Epoch, SaveBest, Trainer, carried_state, whole_sequences
from tinyseq.training.checkpoints import read_checkpoint
from tinyseq.training.trainer import CHECKPOINT


@dataclass(frozen=True)
class Settings:
    """What decides a run, apart from its text and its length."""

    cell: str = "lstm"
    hidden: Annotated[int, between(1, 2**31)] = 256
    embedding: Annotated[int, between(1, 2**31)] = 64
    layers: Annotated[int, between(1, 2**10)] = 1
    batch: Annotated[int, between(1, 2**31)] = 32
    window: Annotated[int, between(1, 2**31)] = 64
    lr: Annotated[float, between(0)] = 2e-3
    clip: Annotated[float, between(0)] = 5.0
    seed: Annotated[int, between(0)] = 0
    valid_fraction: Annotated[float, between(0, 1)] = 0.1


def build(settings: Settings, vocabulary_size: int) -> SequenceModel:
    """A model with new weights, drawn from the process's random numbers."""
    cell = cells[settings.cell]
    embed = Embedding(vocabulary_size, settings.embedding, init="normal")
    widths = [settings.embedding] + [settings.hidden] * settings.layers
    recurrent = [Recurrent(cell(m, n)) for m, n in itertools.pairwise(widths)]
    encoder = recurrent[0] if len(recurrent) == 1 else layers["deep"](*recurrent)
    head = heads["language-model"](settings.hidden, vocabulary_size)
    return SequenceModel(embed, encoder, head)


class Cut(Protocol):
    """How to cut a text: into how many streams, windows of how many symbols, and a part to validate on."""

    @property
    def batch(self) -> int: ...
    @property
    def window(self) -> int: ...
    @property
    def valid_fraction(self) -> float: ...


@dataclass(frozen=True)
class Corpus:
    """A text as ids, its beginning to train on and its end to validate on."""

    vocabulary: Vocabulary
    train: ContiguousWindows
    valid: ContiguousWindows | None

    @classmethod
    def cut(cls, text: str, settings: Cut) -> "Corpus":
        """Raises DataError if either part is too short for the batch."""
        vocabulary = Vocabulary.build(text)
        ids = vocabulary.encode(text)
        cut = len(ids) - int(len(ids) * settings.valid_fraction)
        needed = settings.batch + 1
        if cut < needed or (settings.valid_fraction and len(ids) - cut < needed):
            raise DataError(
                f"The text has {len(ids):,} characters, of which {len(ids) - cut:,} are for validation: too "
                f"few for {settings.batch} streams side by side, which need {needed} in each part; use a "
                "longer text or a smaller batch."
            )
        train = ContiguousWindows(ids[:cut], settings.batch, settings.window)
        rest = ContiguousWindows(ids[cut:], settings.batch, settings.window) if cut < len(ids) else None
        return cls(vocabulary, train, rest)


def trainer(
    settings: Settings,
    corpus: Corpus,
    *,
    directory: Path | None = None,
    notes: dict[str, Any] | None = None,
    after_epoch: Sequence[Callable[[Trainer, Epoch], None]] = (),
) -> Trainer:
    """A Trainer of a new model, seeded, which keeps in `directory` what `resume` and `open_model` need."""
    random.seed(settings.seed)
    model = build(settings, len(corpus.vocabulary))
    return trainer_of(
        model,
        Adam(model, lr=settings.lr),
        corpus,
        clip=settings.clip,
        directory=directory,
        notes={"settings": asdict(settings), **(notes or {})},
        after_epoch=after_epoch,
    )


def trainer_of(
    model: Any,
    optimizer: Optimizer,
    corpus: Corpus,
    *,
    clip: float | None,
    monitor: str = "loss",
    patience: int | None = None,
    directory: Path | None,
    notes: dict[str, Any],
    after_epoch: Sequence[Callable[[Trainer, Epoch], None]],
    processes: Processes | None = None,
) -> Trainer:
    """A Trainer of any model of the next symbol; one with a state carries it from window to window."""
    functions = list(after_epoch)
    if directory is not None:
        functions.append(SaveBest(directory / MODEL, {"vocabulary": corpus.vocabulary.to_json()}))
    return Trainer(
        model,
        optimizer,
        carried_state if _has_state(model) else whole_sequences,
        clip=clip,
        monitor=monitor,
        patience=patience,
        directory=directory,
        notes=notes,
        after_epoch=functions,
        processes=processes,
    )


def _has_state(model: Any) -> bool:
    return hasattr(model.encoder if isinstance(model, SequenceModel) else model, "scan")


def saved_notes(directory: Path, command: str, key: str) -> dict[str, Any]:
    """The notes of the run in a directory, which hold `key`. Raises DataError if `command` wrote none."""
    path = directory / CHECKPOINT
    _, record = read_checkpoint(path)
    notes: Any = record.get("notes")
    if not (isinstance(notes, dict) and isinstance(notes.get(key), dict)):
        raise DataError(f"{path} is the checkpoint of another program than tinyseq {command}.")
    return notes


def open_model(directory: Path) -> tuple[SequenceModel, Vocabulary]:
    """The best model in a directory of a saved run, and its vocabulary; DataError for any other."""
    path = directory / MODEL
    if not os.path.isfile(path):
        if os.path.isfile(directory / CHECKPOINT):
            raise DataError(f"The run in {directory} has finished no epoch: go on with it by --resume.")
        raise DataError(
            f"There is no model in {directory}: train one with tinyseq train-lm --save {directory}."
        )
    model, vocabulary = load(path), describe(path).extra.get("vocabulary")
    if not isinstance(model, SequenceModel) or not isinstance(vocabulary, str):
        raise DataError(f"{path} is no language model of tinyseq train-lm or train.")
    return model, Vocabulary.from_json(vocabulary)
