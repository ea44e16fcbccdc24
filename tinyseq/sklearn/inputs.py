"""What people hand to an estimator, as sequences of ids or of vectors."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from tinyseq.data import Vocabulary
from tinyseq.sequences import Sequences

Array = np.ndarray[Any, Any]
UNKNOWN = "<unknown>"


class Given(NamedTuple):
    """Samples as a list of sequences, and what they are sequences of: "texts", "tokens" or "vectors"."""

    kind: str
    samples: list[Any]


def read(estimator: Any, X: Any, *, first: bool, **also: Any) -> tuple[Given, Any]:
    """The samples of X, and y as scikit-learn checks it (or as it is, where X is no table of numbers).

    X: texts, lists of tokens, arrays (steps,) or (steps, features) of any lengths, an array (samples, steps)
    or (samples, steps, features), or a column of a frame. Raises ValueError, as scikit-learn does.
    """
    y = also.get("y")
    column = X
    if (not isinstance(X, np.ndarray | list | tuple) and getattr(X, "ndim", None) == 1) or _is_series(X):
        column = X.to_list()
    elif isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUS":
        column = X.tolist()
    elif isinstance(X, np.ndarray) and X.ndim == 3:
        column = list(X)
    if isinstance(column, list | tuple) and len(column):
        if all(isinstance(sample, str) for sample in column):
            return Given("texts", list(column)), y
        lists = [_plain(sample) for sample in column]
        if all(isinstance(s, list) and s and all(isinstance(t, str) for t in s) for s in lists):
            return Given("tokens", lists), y
        if any(isinstance(s, str) for s in column) or any(_strings(s) for s in lists):
            raise ValueError("X mixes texts, lists of tokens and others, or holds an empty list of tokens.")
        if column is not X or _is_ragged(column):
            return Given("vectors", _vectors(column)), y
    checked = validate_data(estimator, X, reset=first, dtype=np.float64, **also)
    table, y = checked if y is not None else (checked, None)
    return Given("vectors", [row[:, None] for row in table]), y


class Reader:
    """How samples of the first fit become Sequences: its vocabulary, or the scale of each feature."""

    def __init__(self, given: Given, unit: str, weights: Array) -> None:
        self.kind, self.unit = given.kind, unit
        if given.kind == "vectors":
            stacked = np.concatenate(given.samples)
            shares = np.repeat(weights, [len(sample) for sample in given.samples])[:, None]
            self.mean = (stacked * shares).sum(0) / shares.sum()
            deviation = np.sqrt(((stacked - self.mean) ** 2 * shares).sum(0) / shares.sum())
            self.scale = np.where(deviation > 0, deviation, 1.0)
            self.size = stacked.shape[1]
        else:
            symbols = (symbol for sample in given.samples for symbol in self._symbols(sample))
            self.vocabulary = Vocabulary.build(symbols, unit=unit, specials=[UNKNOWN], unknown=UNKNOWN)
            self.size = len(self.vocabulary)

    def check(self, given: Given) -> None:
        """Raise ValueError for samples of another kind or width than those of the first fit."""
        if given.kind != self.kind:
            raise ValueError(f"X holds {given.kind}, but the estimator was fitted with {self.kind}.")
        if self.kind == "vectors" and given.samples[0].shape[1] != self.size:
            raise ValueError(f"X has {given.samples[0].shape[1]} features, and {self.size} are expected.")

    def sequences(self, samples: list[Any]) -> Sequences:
        """A batch of samples."""
        if self.kind == "vectors":
            return Sequences.from_list([(sample - self.mean) / self.scale for sample in samples])
        # An empty text is one unknown symbol: a sequence has a step.
        return Sequences.from_list([self.vocabulary.encode(self._symbols(s) or [UNKNOWN]) for s in samples])

    def _symbols(self, sample: Any) -> list[str]:
        if self.kind == "tokens":
            return list(sample)
        return sample.split() if self.unit == "word" else list(sample)


def _is_series(X: Any) -> bool:
    return hasattr(X, "to_list") and hasattr(X, "name") and not hasattr(X, "columns")


def _plain(sample: Any) -> Any:
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "OUS" and sample.ndim == 1:
        return sample.tolist()
    return list(sample) if isinstance(sample, tuple) or _is_series(sample) else sample


def _strings(sample: Any) -> bool:
    return isinstance(sample, list) and any(isinstance(token, str) for token in sample)


def _is_ragged(column: Any) -> bool:
    """Whether samples are sequences that make no table: of unequal lengths, or of vectors."""
    shapes = set()
    for sample in column:
        if not isinstance(sample, np.ndarray | list | tuple):
            return False
        shapes.add((len(sample), np.ndim(sample[0]) if len(sample) else 0))
    return len(shapes) > 1 or any(inner > 0 for _, inner in shapes)


def _vectors(column: Any) -> list[Array]:
    made = []
    for i, sample in enumerate(column):
        try:
            raw = np.asarray(sample)
            array = np.asarray(raw, np.float64) if raw.dtype.kind != "c" else None
        except (TypeError, ValueError):
            array = None
        if array is None or array.ndim not in (1, 2) or not array.size:
            raise ValueError(f"Sample {i} of X is no sequence of numbers (steps,) or (steps, features).")
        if not np.isfinite(array).all():
            raise ValueError(f"Sample {i} of X contains NaN or infinity.")
        made.append(array[:, None] if array.ndim == 1 else array)
    widths = sorted({array.shape[1] for array in made})
    if len(widths) > 1:
        raise ValueError(f"Samples of X have {', '.join(map(str, widths))} features: each needs as many.")
    return made
