"""Every recipe on real data, trained by tinyseq and by PyTorch with the same settings.

    python -m tests.benchmarks.parity_tasks --data ROOT [--task NAME]... [--seeds N] [--json FILE]

ROOT holds the folders of docs/recipes.md. A recipe runs as it is, and again with a trainer in which PyTorch
does all the work on a twin of the model (tests/peers/test_recipes_torch.py proves that it is the same one);
GRUs are those that PyTorch has. Data, their split, batching, the metric and decoding are shared. Each side
has seeds of its own, from which initial values, dropout and the order of batches come.

A line shows both means over the seeds, the baseline, and the noise: how far apart the means of two runs of
one and the same program are in 19 of 20 cases, by Student's t from the scatter of the seeds. Seconds are the
processor's, as others may use the machine (so give both one thread: OMP_NUM_THREADS=1), in fit() but for the
making of batches, the least of all seeds; the ratio is torch / ours. Needs the extra `test-peers`, and is
fastest with the extra `fast`.
"""

import argparse
import contextlib
import io
import math
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks import timing
from tests.benchmarks.torch_twin import TimedTrainer, TorchTrainer, gru_of_torch, training_by
from tinyseq import recipes
from tinyseq.training import Outcome


class Task(NamedTuple):
    """A recipe, where its data are below ROOT (None: made up), and which settings are not its own."""

    recipe: str
    data: str | None
    settings: dict[str, Any] = {}  # noqa: RUF012  read only
    seeds: int = 3


SHAKESPEARE = "tinyshakespeare/input.txt.gz"

# Where settings are not the recipe's own, they are there for the time that a pair takes.
TASKS = [
    Task("names-by-language", "names_lang", {"epochs": 6}),
    Task("language-to-name", "names_lang", {"epochs": 3}),
    Task("next-character", SHAKESPEARE, {"characters": 300_000, "epochs": 3}),
    Task("word-lm", SHAKESPEARE, {"words": 60_000, "epochs": 4}),
    Task("pos-tagging", "ud_ewt", {"epochs": 1}),
    Task("ner", "wnut17", {"epochs": 5}),
    Task("slot-filling", "snips", {"epochs": 2}),
    Task("sentiment", "rt_polarity", {"epochs": 3}),
    Task("duplicate-questions", "tatoeba_dups", {"epochs": 5}),
    Task("adding-problem", None, {"steps": 40}),
    Task("copy-memory", None, seeds=8),
    Task("translation", "tatoeba"),
    Task("grapheme-to-phoneme", "cmudict", {"words": 10_000, "epochs": 4}),
    # of remarks and replies there is no free corpus of this size: English sentences and their French
    Task("reply", "tatoeba/enfr_short.train.tsv.gz"),
    Task("image-to-word", "mnist"),
    Task("music", "jsb"),
    Task("speech", "fsdd"),
    Task("one-shot", "omniglot"),
]

TORCH_SEEDS = 1000  # torch's seeds begin here: of its own, so that no run of ours begins as one of torch's

# Student's t at 95 % of 2 (k - 1) degrees of freedom, for k = 1, 2, ... seeds
T95 = [math.nan, 4.303, 2.776, 2.447, 2.306, 2.228, 2.179, 2.145, 2.120]


class Run(NamedTuple):
    """A figure of one seed, and the seconds that its model trained."""

    outcome: Outcome
    seconds: float


def run(task: Task, root: Path, trainer: Callable[..., Any], seed: int, log: Any) -> list[Run]:
    """The figures of a recipe whose models train by `trainer`; what it prints goes to `log`."""
    trainers: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        trainers.append(trainer(*args, **options))
        return trainers[-1]

    data = None if task.data is None else root / task.data
    with training_by(make), gru_of_torch(), contextlib.redirect_stdout(log):
        outcomes = recipes[task.recipe](data, **task.settings, seed=seed)
    # a recipe hands the losses of each epoch on, which say which of its models a figure is of
    seconds = {tuple(epoch.train_loss for epoch in one.history): one.seconds for one in trainers}
    return [Run(outcome, seconds[outcome.losses]) for outcome in outcomes]


def compared(task: Task, ours: list[Run], theirs: list[Run]) -> dict[str, Any]:
    """A row of the table, from the runs of one figure with every seed."""
    figures, others = ([run.outcome.value for run in runs] for runs in (ours, theirs))
    mine, peer, first = statistics.fmean(figures), statistics.fmean(others), ours[0].outcome
    ahead, k = (peer - mine) if first.lower_is_better else (mine - peer), len(ours)
    noise, verdict = math.inf, "?"  # nobody knows from one seed
    if k > 1:
        scatter = math.sqrt((statistics.variance(figures) + statistics.variance(others)) / 2)
        noise = T95[min(k, len(T95)) - 1] * scatter * math.sqrt(2 / k)
        verdict = "ahead" if ahead > noise else "behind" if ahead < -noise else "alike"
    seconds, torch_seconds = (min(run.seconds for run in runs) for runs in (ours, theirs))
    return {
        "task": task.recipe,
        "model": first.model,
        "metric": first.metric,
        "settings": task.settings,
        "ours": mine,
        "torch": peer,
        "baseline": statistics.fmean(run.outcome.baseline for run in ours),
        "noise": noise,
        "ahead": ahead,  # above 0: ours is better
        "verdict": verdict,
        "beats_baseline": [_beats(runs) for runs in (ours, theirs)],
        "seeds": k,
        "ours_of_each": figures,
        "torch_of_each": others,
        "seconds": seconds,
        "torch_seconds": torch_seconds,
        "ratio": torch_seconds / seconds,
    }


def _beats(runs: list[Run]) -> bool:
    """Whether the mean figure is better than the baseline of these runs."""
    value, baseline = (
        statistics.fmean(getattr(run.outcome, name) for run in runs) for name in ("value", "baseline")
    )
    return runs[0].outcome._replace(value=value, baseline=baseline).beats_baseline


def rows_of(task: Task, root: Path, seeds: int, log: Any) -> list[dict[str, Any]]:
    """The rows of a task, one for each figure of its recipe; both sides take turns, seed by seed."""
    ours, theirs = [], []
    for seed in range(seeds):
        ours.append(run(task, root, TimedTrainer, seed, log))
        theirs.append(run(task, root, TorchTrainer, TORCH_SEEDS + seed, log))
    pairs = zip(zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)
    return [compared(task, list(own), list(other)) for own, other in pairs]


COLUMNS = (
    "{task:<20} {model:<28} {metric:<18} {ours:>9.4f} {torch:>9.4f} {noise:>8.4f} {verdict:<6} "
    "{baseline:>9.4f} {seeds:>5} {seconds:>7.1f} {torch_seconds:>7.1f} {ratio:>5.2f}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, required=True, help="the folder with a folder for each data set")
    names = [task.recipe for task in TASKS]
    parser.add_argument("--task", choices=names, action="append", help="only this one (may be repeated)")
    parser.add_argument("--seeds", type=int, help="how many of each side (default: as in the table of tasks)")
    parser.add_argument("--verbose", action="store_true", help="show what the recipes print, on stderr")
    parser.add_argument("--json", type=Path, help="also write the figures to this file, task by task")
    args = parser.parse_args()
    timing.use_threads_of_numpy()
    print(re.sub(r"{(\w+):([<>]\d+)[^}]*}", lambda field: f"{field[1]:{field[2]}}", COLUMNS))
    rows: list[dict[str, Any]] = []
    for task in TASKS:
        if args.task and task.recipe not in args.task:
            continue
        log = sys.stderr if args.verbose else io.StringIO()
        found = rows_of(task, args.data, args.seeds or task.seeds, log)
        for row in found:
            print(COLUMNS.format(**row), flush=True)
        rows += found
        timing.write(args.json, rows)
    print(f"torch / ours, geometric mean: {timing.geometric_mean([row['ratio'] for row in rows]):.2f}")
    behind = [
        f"{row['task']} ({row['model']}, {row['metric']})" for row in rows if row["verdict"] == "behind"
    ]
    print(f"behind torch by more than the noise: {', '.join(behind) or 'none'}")


if __name__ == "__main__":
    main()
