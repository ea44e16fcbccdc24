"""tinyseq train --init TASK FILE: a commented run file, made by looking at a data file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tinyseq.cli.starter_looks import columns_of
from tinyseq.cli.starter_models import MODELS, Sizes
from tinyseq.errors import ConfigError, DataError
from tinyseq.registry.run_options import SCHEMAS, options
from tinyseq.registry.sweep_file import toml
from tinyseq.tasks import TASKS

EPOCHS = (8, 40)
UPDATES = 200_000
"""Examples that are read before training ends, as far as EPOCHS allows: small files need more epochs."""


@dataclass(frozen=True)
class Look:
    """What was seen in a data file: the options of [data], and the examples."""

    data: dict[str, Any]
    examples: list[Any]
    scheme: str | None
    labels: list[str]


def write(task: str, file: Path, said: dict[str, Any], output: Path | None = None) -> tuple[Path, Look]:
    """Write a run file for the data in `file`; gives its path, and what was seen.

    `said` are options of [data] that are known. Raises ConfigError for a task or an option that there is not,
    DataError for data that cannot be read, or a run file that is there.
    """
    if task not in TASKS:
        raise ConfigError(f"--init makes run files for {', '.join(TASKS)}, not {task!r}.")
    path = Path(f"{_stem(file)}.toml") if output is None else output
    if os.path.exists(path):
        raise DataError(f"{path} is already there, and nothing is overwritten: move it, or say --output.")
    look = look_at(task, file, said)
    text = run_file(task, look, path)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None
    return path, look


def look_at(task: str, file: Path, said: dict[str, Any]) -> Look:
    """Read a data file, with columns that are guessed unless they are `said`."""
    if not os.path.exists(file):
        raise DataError(f"There is no file {file}: check the path.")
    table = {"train": str(file), **columns_of(task, file, said), **said}
    data, mistakes = options(SCHEMAS[task], {"task": task, **table}, "data")
    if mistakes:
        raise ConfigError(f"--set {mistakes[0]}")
    kind = TASKS[task]
    examples = kind.read(data, file)
    by_unit = task in ("classification", "sequence-to-sequence")
    short = by_unit and median(len(tokens) for tokens, _ in examples) <= 2
    if short and "unit" not in said:  # names and the like, which are spelled out
        table["unit"] = "char"
        data, _ = options(SCHEMAS[task], {"task": task, **table}, "data")
        examples = kind.read(data, file)
    made: Any = kind.of(examples, [], data)
    labels = list(getattr(getattr(made, "labels", None), "symbols", ()))
    scheme = made.scheme() if task == "tagging" else None
    return Look(table, examples, scheme, labels)


def run_file(task: str, look: Look, path: Path) -> str:
    """The text of the run file, to be written to `path`."""
    count = len(look.examples)
    epochs = max(EPOCHS[0], min(EPOCHS[1], UPDATES // count))
    sizes = Sizes(
        unit=look.data.get("unit", "word"),
        scheme=look.scheme,
        hidden=64 if count < 20_000 else 128,
        batch=8 if count < 1000 else 32,  # a hundred examples make few updates otherwise
    )
    folder = path.parent
    train = os.path.relpath(look.data["train"], folder)
    shown = ", ".join(look.labels[:8]) + (", ..." if len(look.labels) > 8 else "")
    model, data, monitor = MODELS[task](sizes, look.data)
    lines = [f"# {task}: {count:,} examples" + (f", {len(look.labels)} labels" if shown else "")]
    lines += [f"# {shown}"] if shown else []
    rows = [
        ("task", task, ""),
        ("train", Path(train).as_posix(), "paths start from the folder of this file"),
        *_split(look.data, folder),
        *data,
    ]
    given = {key for key, _, _ in rows}
    rows += [(key, value, "") for key, value in look.data.items() if key not in given]
    stem = _stem(Path(look.data["train"]))
    training = [
        ("epochs", epochs, "at most"),
        ("monitor", monitor, "decides which epoch is the best, whose model is kept"),
        ("patience", 5, "epochs without a better one before it stops"),
        ("directory", f"runs/{stem}", ""),
        ("optimizer", {"class": "adam", "lr": 3e-3}, ""),
    ]
    return "\n".join(
        [
            *lines, f"# Train it: tinyseq train {path.name}", "",
            model.strip(), "",
            "[data]", *_aligned(rows), "",
            "[training]", *_aligned(training), "",
        ]
    )  # fmt: skip


def _split(data: dict[str, Any], folder: Path) -> list[tuple[str, Any, str]]:
    if "valid" in data:
        return [("valid", Path(os.path.relpath(data["valid"], folder)).as_posix(), "")]
    share = data.get("valid_fraction", 0.1)
    return [("valid_fraction", share, 'kept from training, to validate on; or valid = "FILE"')]


def _aligned(rows: Sequence[tuple[str, Any, str]]) -> list[str]:
    said = [(f"{key} = {toml(value)}", comment) for key, value, comment in rows]
    width = min(38, max(len(text) for text, _ in said))
    return [f"{text:<{width}}  # {comment}" if comment else text for text, comment in said]


def _stem(file: Path) -> str:
    """The name of a file without what stands after its first dot."""
    return file.name.lstrip(".").partition(".")[0] or "run"
