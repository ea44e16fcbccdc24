"""tinyseq inspect: what is in a saved run."""

import argparse
import os
from pathlib import Path
from typing import Any

from tinyseq.cli.arguments import Formatter
from tinyseq.cli.console import duration, show_table
from tinyseq.nn import SequenceModel, summary
from tinyseq.registry import describe
from tinyseq.registry.model_file import model_path
from tinyseq.tasks import Predictor, load
from tinyseq.training.receipts import read_receipt

EXAMPLES = """\
examples:
  tinyseq inspect runs/names
  tinyseq inspect runs/names/model.safetensors
"""


def add_parser(commands: Any) -> None:
    """Add the command to `tinyseq`."""
    parser = commands.add_parser(
        "inspect",
        help="what is in a saved run: task, vocabulary, training, modules",
        description="Print what a run or a model file holds: its task and vocabulary, how it was trained, "
        "the packages that it needs, and its modules with their sizes.",
        epilog=EXAMPLES,
        formatter_class=Formatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("model", metavar="RUN", type=Path, help="the directory of a run, or a model file")


def run(args: argparse.Namespace) -> None:
    """Print it."""
    path = model_path(args.model)
    found: Any = load(path)
    model = found.model if isinstance(found, Predictor) else found
    rows = [("file", f"{path}, {os.path.getsize(path) / 2**20:.1f} MiB")]
    if isinstance(found, Predictor):
        rows += _of_task(found)
    elif isinstance(model, SequenceModel) and "vocabulary" in describe(path).extra:
        rows.append(("task", "language-model"))
    receipt = path.parent / "receipt.json"
    if args.model.is_dir() and receipt.is_file():
        rows += _of_training(read_receipt(receipt))
    packages = describe(path).packages
    rows.append(("packages", ", ".join(f"{name} {release}" for name, release in packages.items())))
    show_table(rows)
    print(f"\n{summary(model)}")


def _of_task(found: Predictor) -> list[tuple[str, str]]:
    reader = found.task.reader
    features = {
        "word": "",
        "case": ", their capitalisation",
        "spelling": ", their capitalisation and spelling",
    }
    unit = "words" if reader.unit == "word" else "characters"
    rows = [("task", found.task.name), ("labels", found.task.labels_shown())]
    rows.append(("reads", f"{len(reader.vocabulary):,} {unit}{features[reader.features]}"))
    return [row for row in rows if row[1]]


def _of_training(receipt: dict[str, Any]) -> list[tuple[str, str]]:
    history = receipt["history"]
    best = next((epoch for epoch in reversed(history) if epoch.get("best")), history[-1])
    figures = {"loss": best.get("valid_loss") or best.get("train_loss"), **(best.get("metrics") or {})}
    shown = ", ".join(f"{name} {v:.4f}" for name, v in figures.items() if isinstance(v, int | float))
    seconds = sum(epoch.get("seconds") or 0 for epoch in history)
    return [
        ("trained", f"{len(history)} epochs in {duration(seconds)}"),
        ("best", f"epoch {best.get('number')}: {shown}"),
    ]
