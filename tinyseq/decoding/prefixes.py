"""Prefix search: the likeliest labels, not the labels of the likeliest path."""

from typing import Any

import numpy as np

from tinyseq.contracts.pairing import check_id
from tinyseq.decoding.search import Hypothesis
from tinyseq.errors import ConfigError, NonFiniteError

Array = np.ndarray[Any, Any]
Labels = tuple[int, ...]


def prefix_search(log_p: Array, *, blank: int, width: int) -> list[Hypothesis]:
    """The likeliest label sequences of one recording, best first, from `width` prefixes at a time.

    log_p: log-probabilities (steps, classes). A label sequence is read off many paths, whose probabilities
    are added up; its score is the log of the sum over those that the search saw, which are all if `width`
    is large enough. Source: Hannun et al. (2014), algorithm 1, without a language model.

    Raises ConfigError for a blank that is no class, NonFiniteError where no path is possible.
    """
    if width < 1:
        raise ConfigError(f"Prefix search keeps 1 prefix or more, not width={width}.")
    check_id("Prefix search", "blank", blank, log_p.shape[1])
    wrong = np.flatnonzero(~np.isfinite(log_p.max(axis=1)))
    if wrong.size:
        raise NonFiniteError(
            f"Prefix search: at step {wrong[0]} no class is possible: the log-probabilities are NaN, inf or "
            "all -inf.",
            "Find their origin with tinyseq.detect_anomaly().",
        )
    # for each prefix, the log-probability of its paths that end in a blank, and of those that do not
    alive: dict[Labels, tuple[float, float]] = {(): (0.0, -np.inf)}
    labels = [c for c in range(log_p.shape[1]) if c != blank]
    for row in log_p.tolist():
        ends_blank = dict.fromkeys(alive, -np.inf)
        ends_label: dict[Labels, float] = {}
        for prefix, (by_blank, by_label) in alive.items():
            both = float(np.logaddexp(by_blank, by_label))
            ends_blank[prefix] = both + row[blank]
            for label in labels:
                is_repeat = prefix[-1:] == (label,)
                if is_repeat:  # the same label goes on
                    _add(ends_label, prefix, by_label + row[label])
                _add(ends_label, (*prefix, label), (by_blank if is_repeat else both) + row[label])
        found = {
            prefix: (ends_blank.get(prefix, -np.inf), ends_label.get(prefix, -np.inf))
            for prefix in {**ends_blank, **ends_label}
        }
        likeliest = sorted(found, key=lambda prefix: -np.logaddexp(*found[prefix]))[:width]
        alive = {prefix: found[prefix] for prefix in likeliest if max(found[prefix]) > -np.inf}
    return [
        Hypothesis(np.array(prefix, np.int64), float(np.logaddexp(*parts))) for prefix, parts in alive.items()
    ]


def _add(found: dict[Labels, float], prefix: Labels, log_p: float) -> None:
    found[prefix] = float(np.logaddexp(found[prefix], log_p)) if prefix in found else log_p
