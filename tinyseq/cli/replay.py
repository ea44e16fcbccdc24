"""tinyseq replay: a run again, from its receipt."""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.cli import labelled
from tinyseq.cli.arguments import WRONG, Formatter
from tinyseq.cli.console import show_table
from tinyseq.cli.language_model import Corpus, Settings, trainer, trainer_of
from tinyseq.cli.session import fingerprint
from tinyseq.cli.train import identity
from tinyseq.data import demo_text, read_text
from tinyseq.errors import ConfigError, DataError, clip
from tinyseq.registry import build
from tinyseq.registry.run_file import Run, parsed
from tinyseq.registry.run_file import read as read_run
from tinyseq.registry.run_options import Data, Labelled, options
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
    for option in ("text", "train", "valid"):
        known = "the text" if option == "text" else f"the file {option} of [data]"
        parser.add_argument(
            f"--{option}", metavar="FILE", type=Path, help=f"where {known} is now, if it was moved"
        )


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
    with tempfile.TemporaryDirectory() as folder:
        training, data, shown = _again(path, notes, args, Path(folder) / "run")
        changed = differences(receipt["environment"], environment(training.model, training.optimizer))
        changed += _run_file(notes)
        show_table(
            [
                ("receipt", str(path)),
                shown,
                ("epochs", str(receipt["epochs"])),
                ("changed since", "nothing" if not changed else changed[0]),
                *[("", line) for line in changed[1:]],
            ]
        )
        training.fit(data.train, data.valid, epochs=receipt["epochs"])
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


def _again(
    path: Path, notes: dict[str, Any], args: argparse.Namespace, directory: Path
) -> tuple[Trainer, Any, tuple[str, str]]:
    """A new Trainer of the run as its command would make it, its data, and a row that names them."""
    described = _described(path, notes, files := _files(path, notes, args))
    if isinstance(described, Run) and isinstance(described.data, Labelled):
        parts = labelled.parts_of(described.data, Path())
        again = labelled.trainer_of(described, parts, folder=Path(), directory=directory, notes=notes)
        count = f"{len(parts.examples):,} examples to train on"
        return again, parts, ("data", f"{' and '.join(files.values())}: the same, {count}")
    text = _text_of_run(path, notes, args.text)
    row = ("text", f"{notes['text']}: the same, {len(text):,} characters")
    if isinstance(described, Settings):
        corpus = Corpus.cut(text, described)
        return trainer(described, corpus, directory=directory, notes=notes), corpus, row
    assert isinstance(described.data, Data)
    corpus = Corpus.cut(text, described.data)
    random.seed(described.training.seed)
    model = build(described.model_config(vocabulary_size=len(corpus.vocabulary)))
    optimizer = build(described.training.optimizer, parameters=model)
    again = trainer_of(
        model, optimizer, corpus,
        clip=described.training.clip, directory=directory, notes=notes, after_epoch=[],
    )  # fmt: skip
    return again, corpus, row


def _text_of_run(path: Path, notes: dict[str, Any], moved: Path | None) -> str:
    """The text that the run read. Raises DataError if it is another now."""
    file = moved or (Path(notes["file"]) if notes.get("file") else None)
    if file is not None and not os.path.isfile(file):
        raise _gone(path, file, "text")
    text = demo_text() if file is None else read_text(file)
    if fingerprint(text) != notes.get("sha256"):
        name = notes.get("text") if file is None else file
        raise DataError(f"{name} is not the text that the run of {path} read: say where that is with --text.")
    return text


def _files(path: Path, notes: dict[str, Any], args: argparse.Namespace) -> dict[str, str]:
    """The files of examples that the run read. Raises DataError if one is gone, or another now."""
    known = notes.get("files", {})
    if not isinstance(known, dict) or not all(
        name in ("train", "valid") and isinstance(file, dict) and _is_path(file.get("file"))
        for name, file in known.items()
    ):
        raise _damaged(path, "files")
    found = {}
    for option, read in known.items():
        file = getattr(args, option) or Path(read["file"])
        if not (os.path.isfile(file) or os.path.isdir(file)):  # a device has no end
            raise _gone(path, file, option)
        if labelled.sha256(file) != read.get("sha256"):
            raise DataError(
                f"{file} is not the file that the run of {path} read: say where that is with --{option}."
            )
        found[option] = str(file)
    return found


def _described(path: Path, notes: dict[str, Any], files: dict[str, str]) -> Settings | Run:
    """What a receipt says of its run. Raises DataError for what no command of this version can have said."""
    wrong = [key for key in ("text", "sha256") if not isinstance(notes.get(key), str)]
    if not (notes.get("file") is None or _is_path(notes["file"])):
        wrong.append("file")
    key = "settings" if "settings" in notes else "run"
    parts = notes[key]
    found: Any = None
    if not isinstance(parts, dict) or not isinstance(parts.get("data", {}), dict):
        wrong.append(key)
    else:
        if key == "settings":
            found, mistakes = options(Settings, parts, key)
            said = asdict(found)
        else:
            found, mistakes = parsed({**parts, "data": {**parts.get("data", {}), **files}}, Path())
            said = identity(found)
        wrong += [f"{'.'.join(map(str, m.path))} {m.message}" for m in mistakes]
        if not wrong and json.dumps(said, sort_keys=True) != json.dumps(parts, sort_keys=True):
            wrong.append(f"{key} lacks options, or has more of them")
    if wrong:
        raise _damaged(path, wrong[0])
    return found  # type: ignore[no-any-return]


def _gone(path: Path, file: Path, option: str) -> DataError:
    return DataError(
        f"{clip(str(file))}, which the run of {path} read, is not there: say where it is with --{option}."
    )


def _damaged(path: Path, what: str) -> DataError:
    first = what.partition("\n")[0]  # without the list of what there is
    return DataError(f"{path} is of another tinyseq, or damaged: {first.rstrip('.')}.")


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


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
