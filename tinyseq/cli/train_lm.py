"""tinyseq train-lm: a character language model of one's own text."""

import argparse
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter, number, whole
from tinyseq.cli.console import epoch_printer
from tinyseq.cli.language_model import Corpus, Settings, saved_notes, trainer
from tinyseq.cli.session import carry_out, fingerprint, require_fresh, require_same_text, text_rows
from tinyseq.data import read_text
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry import cells

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
    notes = {"text": str(args.text), "file": str(Path(args.text).resolve()), "sha256": fingerprint(text)}
    resume = "resume" in given
    if resume:
        settings = _resumed_settings(given, directory, notes["sha256"])
    else:
        require_fresh(directory)
        settings = Settings(**_options(given))
    corpus = Corpus.cut(text, settings)
    show = epoch_printer(epochs)
    training = trainer(settings, corpus, directory=directory, notes=notes, after_epoch=[show])
    layers = "1 layer" if settings.layers == 1 else f"{settings.layers} layers"
    parameters = training.model.parameter_count()
    rows = [
        *text_rows(str(args.text), text, corpus),
        ("model", f"{settings.cell}, {layers} of {settings.hidden}: {parameters:,} parameters"),
        ("saved in", "nowhere (no --save)" if directory is None else str(directory)),
    ]
    again = ["train-lm", "--text", args.text, "--save", directory, "--resume", "--epochs", epochs]
    carry_out(
        training,
        corpus,
        rows,
        epochs=epochs,
        resume=resume,
        resume_with=list(map(str, again)),
        option="--epochs {}",
        calmer=f"Begin again with an --lr below {settings.lr:g}, or a --clip below {settings.clip:g}.",
    )


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that the command line names."""
    return {field.name: given[field.name] for field in fields(Settings) if field.name in given}


def _resumed_settings(given: dict[str, Any], directory: Path | None, sha256: str) -> Settings:
    """The settings of the run in `directory`. Raises ConfigError or DataError if others are asked for."""
    if directory is None:
        raise ConfigError("--resume goes on with a saved run: name its directory with --save DIR.")
    notes = saved_notes(directory, "train-lm", "settings")
    try:
        settings = Settings(**notes["settings"])
    except TypeError as error:
        raise DataError(f"The run in {directory} is of another tinyseq: {error}.") from None
    for name, value in _options(given).items():
        before = asdict(settings)[name]
        if value != before:
            option = name.replace("_", "-")
            raise ConfigError(
                f"The run in {directory} has --{option} {before} and cannot go on with --{option} {value}: "
                "leave the option out, or start a new run in another directory."
            )
    require_same_text(directory, notes, given["text"], sha256)
    return settings
