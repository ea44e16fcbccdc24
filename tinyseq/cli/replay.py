"""tinyseq replay: a run again, from its receipt."""

import argparse
import json
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.cli.arguments import WRONG, Formatter
from tinyseq.cli.console import show_table
from tinyseq.cli.language_model import Corpus, Settings, trainer, trainer_of
from tinyseq.cli.session import fingerprint
from tinyseq.cli.train import identity
from tinyseq.data import demo_text, read_text
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry import build
from tinyseq.registry.run_file import Run, parsed
from tinyseq.registry.run_file import read as read_run
from tinyseq.registry.run_options import Data, options
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
    described_run = notes.get("run")
    data = described_run.get("data") if isinstance(described_run, dict) else None
    if isinstance(data, dict) and "task" in data:
        raise ConfigError(
            f"{path} is of a run on labelled examples, which replay cannot make again yet: run tinyseq train "
            "in another directory, and compare the weights that the receipts name."
        )
    described = _described(path, notes)
    text = _text(path, notes, args.text)
    with tempfile.TemporaryDirectory() as folder:
        training, corpus = _again(described, notes, text, Path(folder))
        changed = differences(receipt["environment"], environment(training.model, training.optimizer))
        changed += _run_file(notes)
        show_table(
            [
                ("receipt", str(path)),
                ("text", f"{notes['text']}: the same, {len(text):,} characters"),
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


def _described(path: Path, notes: dict[str, Any]) -> Settings | Run:
    """What a receipt says of its run. Raises DataError for what no command of this version can have said."""
    wrong = [key for key in ("text", "sha256") if not isinstance(notes.get(key), str)]
    file = notes.get("file")
    if file is not None and not (isinstance(file, str) and file.isprintable()):
        wrong.append("file")
    parts = notes.get("run", notes.get("settings"))
    found: Settings | Run | None = None
    if not isinstance(parts, dict):
        wrong.append("settings" if "settings" in notes else "run")
    elif "settings" in notes:
        found, mistakes = options(Settings, parts, "settings")
        wrong += [f"{'.'.join(map(str, m.path))} {m.message}" for m in mistakes]
        wrong += [f"settings.{f.name}" for f in fields(Settings) if f.name not in parts]
    else:
        found, mistakes = parsed(parts, Path())
        wrong += [f"{'.'.join(map(str, m.path))} {m.message}" for m in mistakes]
        wrong += [part for part in ("data", "training") if part not in parts]
    if wrong or found is None:
        raise DataError(f"{path} is of another tinyseq, or damaged: {wrong[0].rstrip('.')}.")
    return found


def _again(
    described: Settings | Run, notes: dict[str, Any], text: str, folder: Path
) -> tuple[Trainer, Corpus]:
    """A new Trainer of the run, as its command would make it."""
    directory = folder / "run"
    if isinstance(described, Settings):
        corpus = Corpus.cut(text, described)
        return trainer(described, corpus, directory=directory, notes=notes), corpus
    assert isinstance(described.data, Data)  # other tasks are refused before
    corpus = Corpus.cut(text, described.data)
    random.seed(described.training.seed)
    model = build(described.model_config(vocabulary_size=len(corpus.vocabulary)))
    optimizer = build(described.training.optimizer, parameters=model)
    again = trainer_of(
        model, optimizer, corpus,
        clip=described.training.clip, directory=directory, notes=notes, after_epoch=[],
    )  # fmt: skip
    return again, corpus


def _run_file(notes: dict[str, Any]) -> list[str]:
    """What the run file says by now that the receipt does not; it is the receipt that is replayed."""
    name = notes.get("run_file")
    if not isinstance(name, str) or not name.isprintable() or not os.path.isfile(name):
        return []
    try:
        now = identity(read_run(name))
    except DataError:
        return [f"run file: {name} has mistakes by now; what the receipt says is replayed"]
    lines = differences(json.loads(json.dumps(notes["run"])), json.loads(json.dumps(now)))
    return [f"run file: {line} in {Path(name).name}; what it was is replayed" for line in lines]
