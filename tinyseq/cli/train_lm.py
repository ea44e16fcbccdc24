"""tinyseq train-lm: a character language model of one's own text."""

import argparse
import hashlib
import shlex
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter, number, whole
from tinyseq.cli.console import epoch_printer, show_table
from tinyseq.cli.language_model import Corpus, Settings, saved_notes, trainer
from tinyseq.data import read_text
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry import cells
from tinyseq.training.trainer import CHECKPOINT

EPOCHS = 3
EXAMPLES = """\
examples:
  tinyseq train-lm --text book.txt --save runs/book
  tinyseq train-lm --text book.txt --save runs/book --resume --epochs 10
  tinyseq sample runs/book --prompt "Once upon"
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train-lm",
        help="train a character language model on a text file",
        description="Train a character language model on a text file (UTF-8, or gzip-compressed as .gz).",
        epilog=EXAMPLES,
        formatter_class=Formatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.set_defaults(run=run)
    default = Settings()
    files = parser.add_argument_group("files")
    files.add_argument("--text", metavar="FILE", type=Path, required=True, help="the text to learn from")
    files.add_argument("--save", metavar="DIR", type=Path, help="keep checkpoints and the best model here")
    files.add_argument("--resume", action="store_true", help="go on with the run in --save")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--cell",
        metavar="NAME",
        help=f"one of {', '.join(cells)} or another plugin (default: {default.cell})",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", metavar="N", type=whole(1), help=f"passes over the text (default: {EPOCHS})"
    )
    for group, name, kind, text in (
        (model, "hidden", whole(1), "units of each recurrent layer"),
        (model, "embedding", whole(1), "size of the vector of each character"),
        (model, "layers", whole(1), "recurrent layers"),
        (training, "batch", whole(1), "streams of text side by side"),
        (training, "window", whole(1), "characters through which gradients go back"),
        (training, "lr", number(0), "Adam's learning rate"),
        (training, "clip", number(0), "bound on the gradients' global norm"),
        (training, "seed", whole(0), "seed of the random numbers"),
        (training, "valid-fraction", number(0, 1, low_allowed=True), "share of the text to validate on"),
    ):
        value = getattr(default, name.replace("-", "_"))
        metavar = "X" if isinstance(value, float) else "N"
        group.add_argument(f"--{name}", metavar=metavar, type=kind, help=f"{text} (default: {value:g})")


def run(args: argparse.Namespace) -> None:
    """Train, from the start or from where a checkpoint stands."""
    given = vars(args)
    directory: Path | None = given.get("save")
    epochs: int = given.get("epochs", EPOCHS)
    text = read_text(args.text)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    resume = "resume" in given
    if resume:
        settings = _resumed_settings(given, directory, fingerprint)
    else:
        _require_fresh(directory)
        settings = Settings(**_options(given))
    corpus = Corpus.cut(text, settings)
    show = epoch_printer(epochs)
    notes = {"text": str(args.text), "sha256": fingerprint}
    training = trainer(settings, corpus, directory=directory, notes=notes, after_epoch=[show])
    if resume:
        training.resume()
    show_table(_rows(args.text, text, corpus, settings, training.model.parameter_count(), directory))
    print(flush=True)
    done = training.progress
    if done.epoch >= epochs:
        print(f"All {done.epoch} epochs are done; --epochs {done.epoch + 1} would train on.")
        return
    if resume:
        print(f"goes on in epoch {done.epoch + 1} after {done.step:,} steps", flush=True)
    try:
        training.fit(corpus.train, corpus.valid, epochs=epochs)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_how_to_resume(args, directory, epochs, str(stop))) from None
    if directory is not None:
        print(f'\nLet it write: tinyseq sample {directory} --prompt "..."')


def _rows(
    path: Path, text: str, corpus: Corpus, settings: Settings, parameters: int, directory: Path | None
) -> list[tuple[str, str]]:
    """What is about to happen."""
    valid = 0 if corpus.valid is None else corpus.valid.tokens
    layers = "1 layer" if settings.layers == 1 else f"{settings.layers} layers"
    return [
        ("text", f"{path}: {len(text):,} characters, {len(corpus.vocabulary)} of them different"),
        ("parts", f"{corpus.train.tokens:,} characters to train on, {valid:,} to validate on"),
        ("model", f"{settings.cell}, {layers} of {settings.hidden}: {parameters:,} parameters"),
        ("saved in", "nowhere (no --save)" if directory is None else str(directory)),
    ]


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that the command line names."""
    return {field.name: given[field.name] for field in fields(Settings) if field.name in given}


def _require_fresh(directory: Path | None) -> None:
    if directory is not None and (directory / CHECKPOINT).exists():
        raise ConfigError(
            f"{directory} already holds a run: go on with it by --resume, or choose another directory."
        )


def _resumed_settings(given: dict[str, Any], directory: Path | None, fingerprint: str) -> Settings:
    """The settings of the run in `directory`. Raises ConfigError or DataError if others are asked for."""
    if directory is None:
        raise ConfigError("--resume goes on with a saved run: name its directory with --save DIR.")
    settings, notes = saved_notes(directory)
    for name, value in _options(given).items():
        before = asdict(settings)[name]
        if value != before:
            option = name.replace("_", "-")
            raise ConfigError(
                f"The run in {directory} has --{option} {before} and cannot go on with --{option} {value}: "
                "leave the option out, or start a new run in another directory."
            )
    if notes.get("sha256") != fingerprint:
        raise DataError(
            f"{given['text']} is not the text that the run in {directory} was trained on "
            f"({notes.get('text')}): resume with that text."
        )
    return settings


def _how_to_resume(args: argparse.Namespace, directory: Path | None, epochs: int, reason: str) -> str:
    if directory is None:
        return f"{reason or 'stopped'}; nothing was saved (no --save)."
    resume = [
        "train-lm",
        "--text",
        str(args.text),
        "--save",
        str(directory),
        "--resume",
        "--epochs",
        str(epochs),
    ]
    return f"{reason or 'stopped'}; go on with: tinyseq {shlex.join(resume)}"
