"""A run file with ranges: "sweep.NAME" stands for a value that each trial of a sweep draws.

[sweep]
trials = 20
directory = "sweeps/book"

[sweep.ranges]
width = { low = 32, high = 256, step = 32 }
rate = { low = 1e-4, high = 1e-2, log = true }
cell = { choices = ["gru", "lstm"] }

[model.encoder]
class = "recurrent"
cell = { class = "sweep.cell", input_size = 64, hidden_size = "sweep.width" }
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tinyseq.errors import DataError, brief, near
from tinyseq.registry.assembly import Mistake
from tinyseq.registry.run_file import document_of, parsed, with_lines
from tinyseq.registry.run_options import Training, between, options

PREFIX = "sweep."
PATHS = ("text", "train", "valid", "vectors")
"""Options of [data] that may be paths."""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How many trials, from which seed, whether hopeless ones end early, and where all of it is kept."""

    trials: Annotated[int, between(1)] = 20
    seed: Annotated[int, between(0)] = 0
    prune: bool = True
    directory: str = "sweep"
    ranges: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep file without mistakes."""

    path: Path
    document: dict[str, Any]  # without [sweep]
    options: SweepOptions

    @property
    def directory(self) -> Path:
        """Where trials, journal and results are kept."""
        return self.path.parent / self.options.directory

    def epochs(self, values: Mapping[str, Any]) -> int:
        """How many epochs a trial with these values has at most."""
        epochs: int = filled(self.document, values).get("training", {}).get("epochs", Training().epochs)
        return epochs

    def write_run(self, values: Mapping[str, Any], file: Path, directory: str) -> None:
        """Write the run file of a trial with these values; its run is kept in `directory`, from there on."""
        run = filled(self.document, values)
        data = {key: self._moved(key, value, file.parent) for key, value in run.get("data", {}).items()}
        training = {**run.get("training", {}), "directory": directory}
        file.write_text(toml_text({**run, "data": data, "training": training}), encoding="utf-8")

    def _moved(self, key: str, value: Any, folder: Path) -> Any:
        """A path of [data] as it is called from another folder."""
        if key not in PATHS or not isinstance(value, str) or not os.path.exists(self.path.parent / value):
            return value
        return Path(os.path.relpath(self.path.parent / value, folder)).as_posix()


def read(path: Path) -> Sweep:
    """The sweep that the file `path` describes. Raises DataError with every mistake and its line."""
    document, lines, unread = document_of(path)
    if unread:
        raise DataError("\n".join(f"{path}, {mistake}" for mistake in unread))
    table = document.pop("sweep", None)
    mistakes: list[Mistake] = []
    if not isinstance(table, dict):
        mistakes.append(Mistake(("sweep",), "There is no [sweep]: it says trials and ranges."))
        table = {}
    found, wrong = options(SweepOptions, table, "sweep")
    mistakes += wrong + [m for name, r in found.ranges.items() if (m := _mistake_in(name, r))]
    if not mistakes:
        mistakes = _unused(document, found.ranges) or _mistakes_in_runs(document, found.ranges, path.parent)
    if mistakes:
        raise DataError("\n".join(f"{path}, {mistake}" for mistake in with_lines(mistakes, lines)))
    return Sweep(path, document, found)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A document with a value for each "sweep.NAME"."""
    if isinstance(value, dict):
        return {key: filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    return values.get(value.removeprefix(PREFIX), value) if _is_drawn(value) else value


def toml_text(document: Mapping[str, Any]) -> str:
    """Tables of tables as TOML, those further in on one line."""
    lines = []
    for section, table in document.items():
        lines += [f"[{section}]"] if any(not isinstance(item, dict) for item in table.values()) else []
        lines += [f"{key} = {toml(item)}" for key, item in table.items() if not isinstance(item, dict)]
        for key, inner in table.items():
            if isinstance(inner, dict):
                lines += ["", f"[{section}.{key}]", *(f"{k} = {toml(item)}" for k, item in inner.items())]
        lines.append("")
    return "\n".join(lines).lstrip("\n")


def toml(value: Any) -> str:
    """A plain value as TOML writes it, on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _is_drawn(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(PREFIX)


def _mistake_in(name: str, given: Any) -> Mistake | None:
    """What is wrong with a range."""
    path = ("sweep", "ranges", name)
    shape = "{ low = ..., high = ... }, with step or log = true, or { choices = [...] }"
    if not isinstance(given, dict):
        return Mistake(path, f"must be {shape}, not {brief(given)}.")
    if "choices" in given:
        choices = given["choices"]
        plain = isinstance(choices, list) and all(isinstance(c, bool | int | float | str) for c in choices)
        if given.keys() != {"choices"} or not plain or not choices:
            return Mistake(path, "choices stand alone: a list of numbers, strings or booleans.")
        return None
    unknown = given.keys() - {"low", "high", "step", "log"}
    numbers: list[Any] = [given.get(key) for key in ("low", "high", *(["step"] if "step" in given else []))]
    if unknown or any(isinstance(x, bool) or not isinstance(x, int | float) for x in numbers):
        return Mistake(path, f"must be {shape}, not {brief(given)}.")
    low, high, *step = numbers
    log = given.get("log", False)
    if not (low < high and all(s > 0 for s in step) and (not log or (low > 0 and log is True and not step))):
        said = "low must be below high, step above 0; with log = true low is above 0, and there is no step."
        return Mistake(path, said)
    return None


def _unused(document: Any, ranges: Mapping[str, Any]) -> list[Mistake]:
    """Ranges that nothing draws from, and names that no range has."""
    used = dict(_drawn(document, ()))
    names = {value.removeprefix(PREFIX) for value in used.values()}
    idle = [name for name in ranges if name not in names]
    wrong = [Mistake(("sweep", "ranges", name), f'nothing says "{PREFIX}{name}".') for name in idle]
    for path, value in used.items():
        if (name := value.removeprefix(PREFIX)) not in ranges:
            known = ", ".join(ranges) or "none"
            said = f"There is no range {name!r}.{near(name, ranges)} The ranges: {known}."
            wrong.append(Mistake(path, said))
    return wrong or ([] if ranges else [Mistake(("sweep",), "has no ranges: say them in [sweep.ranges].")])


def _drawn(value: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, item in items for found in _drawn(item, (*path, key))]
    return [(path, value)] if _is_drawn(value) else []


def _mistakes_in_runs(document: Any, ranges: Mapping[str, Any], folder: Path) -> list[Mistake]:
    """Mistakes in runs with the ends of the ranges, and with each choice."""
    ends = {name: r.get("choices") or [r["low"], r["high"]] for name, r in ranges.items()}
    first = {name: values[0] for name, values in ends.items()}
    tried = [first] + [{**first, name: value} for name, values in ends.items() for value in values[1:]]
    for values in tried:
        _, mistakes = parsed(filled(document, values), folder)
        if mistakes:
            said = ", ".join(f"{name} = {value!r}" for name, value in values.items())
            return [Mistake(m.path, f"{m.message} (with {said})") for m in mistakes]
    return []
