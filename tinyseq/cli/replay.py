"""tinyseq replay: a run again, from its receipt."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.cli.arguments import WRONG, Formatter
from tinyseq.cli.console import show_table
from tinyseq.cli.language_model import Corpus, Settings, trainer, trainer_of
from tinyseq.cli.session import fingerprint
from tinyseq.data import demo_text, read_text
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry import build
from tinyseq.registry.run_file import Data, Run
from tinyseq.registry.run_file import Training as Options
from tinyseq.training import Trainer
from tinyseq.training.receipts import differences, environment, read_receipt, weights_hash


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    text = "train again what a receipt describes, and say whether the weights are the same"
    parser = commands.add_parser(
        "replay",
        help=text,
        description=f"{text[0].upper()}{text[1:]}, bit for bit. Nothing of the first run is changed; the "
        "exit code is 0 if they are the same.",
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("receipt", metavar="RECEIPT", type=Path, help="receipt.json, or a run's directory")
    parser.add_argument("--text", metavar="FILE", type=Path, help="where the text is now, if it was moved")


def run(args: argparse.Namespace) -> int:
    """Train again, compare, and tell."""
    path = args.receipt / "receipt.json" if os.path.isdir(args.receipt) else args.receipt
    receipt = read_receipt(path)
    notes = receipt["run"]
    if "settings" not in notes and "run" not in notes:
        raise ConfigError(
            f"{path} is of a run in code, which only its code can make again: compare its hash of the "
            "weights."
        )
    if "task" in (notes.get("run") or {}).get("data", {}):
        raise ConfigError(
            f"{path} is of a run on labelled examples, which replay cannot make again yet: run tinyseq train "
            "in another directory, and compare the weights that the receipts name."
        )
    text = _text(path, notes, args.text)
    with tempfile.TemporaryDirectory() as folder:
        training, corpus = _again(path, notes, text, Path(folder))
        changed = differences(receipt["environment"], environment(training.model, training.optimizer))
        show_table(
            [
                ("receipt", str(path)),
                ("text", f"{notes.get('text')}: the same, {len(text):,} characters"),
                ("epochs", str(receipt["epochs"])),
                ("changed since", "nothing" if not changed else changed[0]),
                *[("", line) for line in changed[1:]],
            ]
        )
        training.fit(corpus.train, corpus.valid, epochs=receipt["epochs"])
        same = weights_hash(training.model.state_dict()) == receipt["weights"]
        if same:
            print("The weights are the same, bit for bit.")
            return 0
        print("The weights differ.")
        for before, now in zip(receipt["history"], training.history, strict=False):
            print(f"epoch {now.number}: train loss {before.get('train_loss')} then, {now.train_loss} now")
        if not changed:
            print("Nothing that the receipt lists has changed; threads or the processor may have.")
        return WRONG


def _text(path: Path, notes: dict[str, Any], moved: Path | None) -> str:
    """The text that the run read. Raises DataError if it is another now."""
    file = moved or (Path(notes["file"]) if notes.get("file") else None)
    text = demo_text() if file is None else read_text(file)
    if fingerprint(text) != notes.get("sha256"):
        name = notes.get("text") if file is None else file
        raise DataError(f"{name} is not the text that the run of {path} read: say where that is with --text.")
    return text


def _again(path: Path, notes: dict[str, Any], text: str, folder: Path) -> tuple[Trainer, Corpus]:
    """A new Trainer of the run, as its command would make it."""
    directory = folder / "run"
    try:
        if "settings" in notes:
            settings = Settings(**notes["settings"])
            corpus = Corpus.cut(text, settings)
            return trainer(settings, corpus, directory=directory, notes=notes), corpus
        parts = notes["run"]
        data = Data(**parts["data"])
        described = Run(parts["model"], data, Options(**parts["training"]))
        corpus = Corpus.cut(text, data)
        random.seed(described.training.seed)
        model = build(described.model_config(vocabulary_size=len(corpus.vocabulary)))
        optimizer = build(described.training.optimizer, parameters=model)
        again = trainer_of(
            model, optimizer, corpus,
            clip=described.training.clip, directory=directory, notes=notes, after_epoch=[],
        )  # fmt: skip
        return again, corpus
    except (TypeError, KeyError) as error:
        raise DataError(f"{path} is of another tinyseq, or damaged: {error}.") from None
