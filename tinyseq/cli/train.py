"""tinyseq train and tinyseq check: a run that a TOML file describes."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyseq import random
from tinyseq.cli import labelled, starter
from tinyseq.cli.arguments import WRONG, Formatter
from tinyseq.cli.console import epoch_printer, show_table
from tinyseq.cli.devices import computing_with
from tinyseq.cli.language_model import Corpus, saved_notes, trainer_of
from tinyseq.cli.processes import processes_begun
from tinyseq.cli.run import option
from tinyseq.cli.session import carry_out, fingerprint, require_fresh, require_same_text, text_rows
from tinyseq.data import demo_text, read_text
from tinyseq.errors import ConfigError, DataError
from tinyseq.processes import Processes
from tinyseq.registry import build
from tinyseq.registry.run_file import Run
from tinyseq.registry.run_file import check as mistakes_in
from tinyseq.registry.run_file import read as read_run
from tinyseq.registry.run_options import Data, Labelled
from tinyseq.tasks import TASKS
from tinyseq.training import Epoch, Trainer

AfterEpoch = Callable[[Trainer, Epoch], None]

EXAMPLE = """\
example of a file:
  [model.embed]
  class = "embedding"
  num_embeddings = "data.vocabulary_size"
  embedding_size = 64

  [model.encoder]
  class = "recurrent"
  cell = { class = "lstm", input_size = 64, hidden_size = 128 }

  [model.head]
  class = "language-model"
  input_size = 128
  vocabulary_size = "data.vocabulary_size"

  [data]
  text = "book.txt"

  [training]
  epochs = 5
  directory = "runs/book"
"""


def add_parser(commands: Any) -> None:
    """Add both commands to `tinyseq`."""
    for name, function, text in (
        ("train", train, "train what a TOML file describes: model, data and training"),
        ("check", check, "list every mistake in such a file, with its line"),
    ):
        parser = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=EXAMPLE,
            formatter_class=Formatter,
        )
        parser.set_defaults(run=function)
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="the run file; its paths start from its folder"
        )
        if name == "train":
            parser.add_argument("--resume", action="store_true", help="go on with the run in its directory")
            parser.add_argument(
                "--init", metavar="TASK", help=f"write a run file for the data in FILE: {', '.join(TASKS)}"
            )
            parser.add_argument(
                "--set", metavar="KEY=VALUE", dest="options", action="append", type=option, default=[],
                help="with --init: an option of [data], such as label=stars or valid=dev.csv",
            )  # fmt: skip
            parser.add_argument("--output", metavar="FILE", type=Path, help="with --init: where to write it")


def check(args: argparse.Namespace) -> int:
    """Print all mistakes; the exit code tells whether there are any."""
    mistakes = mistakes_in(args.file)
    if not mistakes and isinstance((run := read_run(args.file)).data, Labelled):
        parts = labelled.parts_of(run.data, args.file.parent)
        random.seed(run.training.seed)
        model = build(run.model_config(**parts.task.told()))
        if said := labelled.mistake_in(model, parts):
            print(f"{args.file}: {said}")
            return WRONG
        labelled.with_vectors(model, parts, run.data, args.file.parent)
    for mistake in mistakes:
        print(f"{args.file}, {mistake}")
    if not mistakes:
        print(f"{args.file}: no mistakes")
    return WRONG if mistakes else 0


def train(args: argparse.Namespace) -> None:
    """Train, from the start or from where a checkpoint stands; with --init, write a run file."""
    if args.init is not None:
        return _begin(args)
    if args.options or args.output:
        raise ConfigError("--set and --output go with --init: other options are said in the run file.")
    with processes_begun() as processes:
        train_file(args, processes)


def train_file(
    args: argparse.Namespace, processes: Processes | None = None, after_epoch: Sequence[AfterEpoch] = ()
) -> Trainer:
    """Train what `args.file` describes, with `args.resume` from its checkpoint; gives the Trainer."""
    run = read_run(args.file)
    with computing_with(None if getattr(args, "backend", None) else run.training.backend):
        if isinstance(run.data, Labelled):
            return _train_labelled(args, run, run.data, processes, after_epoch)
        return _train_text(args, run, run.data, processes, after_epoch)


def _train_text(
    args: argparse.Namespace,
    run: Run,
    data: Data,
    processes: Processes | None,
    after_epoch: Sequence[AfterEpoch],
) -> Trainer:
    """Train on a text."""
    folder, options = args.file.parent, run.training
    directory = None if options.directory is None else folder / options.directory
    name, text = _name_and_text(data, folder)
    file = None if data.text is None else str((folder / data.text).resolve())
    notes = {
        "run": identity(run),
        "run_file": str(args.file.resolve()),
        "text": name,
        "file": file,
        "sha256": fingerprint(text),
    }
    if args.resume:
        _require_same_run(args.file, directory, notes)
    else:
        require_fresh(directory)
    corpus = Corpus.cut(text, data)
    random.seed(options.seed)
    model = build(run.model_config(vocabulary_size=len(corpus.vocabulary)))
    training = trainer_of(
        model,
        build(options.optimizer, parameters=model),
        corpus,
        clip=options.clip,
        monitor=options.monitor,
        patience=options.patience,
        directory=directory,
        notes=notes,
        after_epoch=[epoch_printer(options.epochs), *after_epoch],
        processes=processes,
    )
    rows = [
        *text_rows(name, text, corpus),
        ("model", f"{args.file}: {model.parameter_count():,} parameters"),
        ("saved in", "nowhere (no training.directory)" if directory is None else str(directory)),
    ]
    carry_out(
        training,
        corpus,
        rows,
        epochs=options.epochs,
        resume=args.resume,
        resume_with=["train", str(args.file), "--resume"],
        option=f"epochs = {{}} in {args.file}",
        calmer=_calmer(args.file),
    )
    return training


def _begin(args: argparse.Namespace) -> None:
    """Write a run file for a data file, and say how to go on."""
    path, look = starter.write(args.init, args.file, dict(args.options), args.output)
    columns = [f"{key} = {value!r}" for key, value in look.data.items() if key not in ("train", "valid")]
    show_table(
        [
            ("data", f"{args.file}: {len(look.examples):,} examples"),
            *([("columns", ", ".join(columns))] if columns else []),
            *([("labels", f"{len(look.labels)}: {', '.join(look.labels[:6])}")] if look.labels else []),
            ("written to", str(path)),
        ]
    )
    print(f"\nRead it, then: tinyseq train {shlex.quote(str(path))}")


def _train_labelled(
    args: argparse.Namespace,
    run: Run,
    data: Labelled,
    processes: Processes | None,
    after_epoch: Sequence[AfterEpoch],
) -> Trainer:
    """The same for a task with examples."""
    folder, options = args.file.parent, run.training
    directory = None if options.directory is None else folder / options.directory
    parts, files = labelled.parts_of(data, folder), labelled.hashes_of(data, folder)
    notes = {
        "run": identity(run),
        "run_file": str(args.file.resolve()),
        "text": data.train,
        "files": files,
        "sha256": fingerprint("".join(file["sha256"] for file in files.values())),
    }
    if args.resume:
        _require_same_run(args.file, directory, notes)
    else:
        require_fresh(directory)
    show = epoch_printer(options.epochs, "labels")
    try:
        training = labelled.trainer_of(
            run,
            parts,
            folder=folder,
            directory=directory,
            notes=notes,
            after_epoch=[show, *after_epoch],
            processes=processes,
        )
    except DataError as error:
        raise DataError(f"{args.file}: {error}") from None
    model = training.model
    rows = [
        ("data", f"{data.train}: {len(parts.examples):,} to train on, {len(parts.kept):,} to validate on"),
        *([("labels", shown)] if (shown := parts.task.labels_shown()) else []),
        ("model", f"{args.file}: {model.parameter_count():,} parameters"),
        ("saved in", "nowhere (no training.directory)" if directory is None else str(directory)),
    ]
    carry_out(
        training, parts, rows, epochs=options.epochs, resume=args.resume,
        resume_with=["train", str(args.file), "--resume"], option=f"epochs = {{}} in {args.file}",
        calmer=_calmer(args.file),
        use=None if directory is None else f'echo "..." | tinyseq predict {shlex.quote(str(directory))}',
    )  # fmt: skip
    return training


def _calmer(file: Path) -> str:
    return f"Begin again with a smaller lr in training.optimizer, or a smaller training.clip, in {file}."


def _name_and_text(data: Data, folder: Path) -> tuple[str, str]:
    """The name of the text, and the text."""
    if data.text is None:
        return "the prose in Python's own documentation", demo_text()
    path = folder / data.text
    return str(path), read_text(path)


def identity(run: Run) -> dict[str, Any]:
    """What may not change when a run is resumed; how long it is may, and where its files are."""
    options = asdict(run.training)
    kept = {key: options[key] for key in ("seed", "optimizer", "clip")}
    paths = ("train", "valid") if isinstance(run.data, Labelled) else ("text",)
    data = {key: value for key, value in asdict(run.data).items() if key not in paths}
    return {"model": run.model, "data": data, "training": kept}


def _require_same_run(file: Path, directory: Path | None, notes: dict[str, Any]) -> None:
    """Raise ConfigError or DataError unless the run in `directory` is the one that `file` describes."""
    if directory is None:
        raise ConfigError(f"--resume goes on with a saved run: name its directory in {file}, [training].")
    before = saved_notes(directory, "train", "run")
    changed = [part for part, value in notes["run"].items() if before["run"].get(part) != value]
    if changed:
        raise ConfigError(
            f"{file} has changed in {' and '.join(f'[{part}]' for part in changed)} since the run in "
            f"{directory} began: change it back, or start a new run in another directory."
        )
    require_same_text(directory, before, notes["text"], notes["sha256"])
