"""The model behind `demo`, `train-lm` and `sample`: embedding, recurrent layers, softmax over symbols."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.data import ContiguousWindows, Vocabulary
from tinyseq.errors import DataError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.optim import Adam
from tinyseq.registry import cells, heads, layers
from tinyseq.scan import Recurrent
from tinyseq.training import Epoch, Trainer, carried_state
from tinyseq.training.checkpoints import part, read_checkpoint
from tinyseq.training.trainer import BEST, CHECKPOINT


@dataclass(frozen=True)
class Settings:
    """What decides a run, apart from its text and its length."""

    cell: str = "lstm"
    hidden: int = 256
    embedding: int = 64
    layers: int = 1
    batch: int = 32
    window: int = 64
    lr: float = 2e-3
    clip: float = 5.0
    seed: int = 0
    valid_fraction: float = 0.1


def build(settings: Settings, vocabulary_size: int) -> SequenceModel:
    """A model with new weights, drawn from the process's random numbers."""
    cell = cells[settings.cell]
    widths = [settings.embedding] + [settings.hidden] * settings.layers
    recurrent = [Recurrent(cell(m, n)) for m, n in itertools.pairwise(widths)]
    encoder = recurrent[0] if len(recurrent) == 1 else layers["deep"](*recurrent)
    head = heads["language-model"](settings.hidden, vocabulary_size)
    return SequenceModel(Embedding(vocabulary_size, settings.embedding), encoder, head)


@dataclass(frozen=True)
class Corpus:
    """A text as ids, its beginning to train on and its end to validate on."""

    vocabulary: Vocabulary
    train: ContiguousWindows
    valid: ContiguousWindows | None

    @classmethod
    def cut(cls, text: str, settings: Settings) -> "Corpus":
        """Raises DataError if either part is too short for the batch."""
        vocabulary = Vocabulary.build(text)
        ids = vocabulary.encode(text)
        cut = len(ids) - int(len(ids) * settings.valid_fraction)
        needed = settings.batch + 1
        if cut < needed or (settings.valid_fraction and len(ids) - cut < needed):
            raise DataError(
                f"The text has {len(ids):,} characters, of which {len(ids) - cut:,} are for validation: too "
                f"few for {settings.batch} streams side by side, which need {needed} in each part; use a "
                "longer text or a smaller --batch."
            )
        train = ContiguousWindows(ids[:cut], settings.batch, settings.window)
        rest = ContiguousWindows(ids[cut:], settings.batch, settings.window) if cut < len(ids) else None
        return cls(vocabulary, train, rest)


def trainer(
    settings: Settings,
    corpus: Corpus,
    *,
    directory: str | Path | None = None,
    notes: dict[str, Any] | None = None,
    after_epoch: Sequence[Callable[[Trainer, Epoch], None]] = (),
) -> Trainer:
    """A Trainer of a new model, seeded; its checkpoints hold all that `open_model` needs."""
    random.seed(settings.seed)
    model = build(settings, len(corpus.vocabulary))
    described = {"settings": asdict(settings), "vocabulary": corpus.vocabulary.to_json()}
    return Trainer(
        model,
        Adam(model, lr=settings.lr),
        carried_state,
        clip=settings.clip,
        directory=directory,
        notes={**described, **(notes or {})},
        after_epoch=after_epoch,
    )


def open_model(directory: Path) -> tuple[SequenceModel, Vocabulary]:
    """The best model in a directory that `train-lm` wrote, and its vocabulary; DataError for other ones."""
    path = directory / BEST
    if not path.is_file() and (directory / CHECKPOINT).is_file():
        path = directory / CHECKPOINT  # stopped within the first epoch
    if not path.is_file():
        raise DataError(
            f"There is no trained model in {directory}: train one with tinyseq train-lm --save {directory}."
        )
    arrays, record = read_checkpoint(path)
    settings, vocabulary = described(path, record)
    model = build(settings, len(vocabulary))
    model.load_state_dict(part(arrays, "model"))
    return model, vocabulary


def described(path: Path, record: dict[str, Any]) -> tuple[Settings, Vocabulary]:
    """The settings and the vocabulary in the notes of a checkpoint; DataError if they are not there."""
    try:
        notes = record["notes"]
        return Settings(**notes["settings"]), Vocabulary.from_json(notes["vocabulary"])
    except (KeyError, TypeError):
        raise DataError(f"{path} holds no language model: it was not written by tinyseq train-lm.") from None
