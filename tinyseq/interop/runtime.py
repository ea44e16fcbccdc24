"""Functions that exported programs are made of: their source is copied, so they need NumPy and nothing else.

A batch is rows of all steps: first all first steps, the longest sequence first, then all second steps, and
so on; `sizes` says how many sequences have each step.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any  # of NumPy


def steps(x: Any, shape: tuple[int | None, ...], ids: bool) -> Array:
    """x as an array of steps of `shape`, None for any width. Raises ValueError for what is none."""
    kind = "ids, which are whole numbers," if ids else "numbers"
    wanted = ", ".join(["steps", *["width" if n is None else str(n) for n in shape]])
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError(f"a sequence is {kind} of shape ({wanted}), not lists of unequal lengths") from None
    if array.ndim and not len(array):
        raise ValueError("give one sequence or more, and each at least one step")
    fits = array.ndim == 1 + len(shape)
    fits = fits and all(n in (None, m) for n, m in zip(shape, array.shape[1:], strict=True))
    if not fits or array.dtype.kind not in ("iu" if ids else "biuf"):
        raise ValueError(
            f"a sequence is {kind} of shape ({wanted}), not {array.dtype} of shape {array.shape}"
        )
    return array


def pack(sequences: Sequence[Any], shape: tuple[int | None, ...], ids: bool) -> tuple[Array, Array, Array]:
    """All steps of all sequences as rows, how many rows each step has, and the order of the sequences."""
    try:
        arrays = [steps(sequence, shape, ids) for sequence in sequences]
    except TypeError:
        raise ValueError(f"give a list of sequences, not {type(sequences).__name__}") from None
    if len({array.shape[1:] for array in arrays}) != 1:
        raise ValueError("give one sequence or more, with steps of one width")
    lengths = np.array([len(array) for array in arrays])
    order = np.argsort(-lengths, kind="stable")
    sizes = np.array([(lengths > t).sum() for t in range(lengths.max())])
    rows = [arrays[k][t] for t, size in enumerate(sizes) for k in order[:size]]
    return np.stack(rows), sizes, order


def fitting(state: Any, first: Any) -> Any:
    """The state, which has the shapes of a first one. Raises ValueError for any other."""
    if isinstance(first, tuple):
        if not isinstance(state, tuple) or len(state) != len(first):
            raise ValueError("give the state that start() or the last step() gave")
        return tuple([fitting(one, other) for one, other in zip(state, first, strict=True)])
    if np.shape(state) != first.shape:
        raise ValueError(f"the state is of shape {np.shape(state)}; for this step it is {first.shape}")
    return state


def unpack(rows: Array, sizes: Array, order: Array) -> list[Array]:
    """The rows of each sequence, in the order in which they were given."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = [rows[[starts[t] + k for t in range((sizes > k).sum())]] for k in range(len(order))]
    return [found[k] for k in np.argsort(order)]


def scan(
    step: Callable[..., Any], rows: Array, sizes: Array, state: Sequence[Array], reverse: bool = False
) -> tuple[Array, Any]:
    """The outputs of `step` at all rows, and the state of each sequence after its own last step."""
    state = [part.copy() for part in state]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    outputs = [rows[:0]] * len(sizes)
    for t in range(len(sizes))[:: -1 if reverse else 1]:
        n = sizes[t]
        outputs[t], after = step(rows[starts[t] : starts[t + 1]], *[part[:n] for part in state])
        for part, new in zip(state, after, strict=True):
            part[:n] = new
    return np.concatenate(outputs), tuple(state)


def reverse(rows: Array, sizes: Array) -> Array:
    """Each sequence from its last row to its first."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    last = [(sizes > k).sum() - 1 for k in range(sizes[0])]
    return rows[[starts[last[k] - t] + k for t, size in enumerate(sizes) for k in range(size)]]


def owners(sizes: Array) -> Array:
    """The sequence that each row belongs to."""
    return np.concatenate([np.arange(n) for n in sizes])


def pool_last(rows: Array, sizes: Array) -> Array:
    """Each sequence's last row."""
    return rows[[np.cumsum([0, *sizes])[(sizes > k).sum() - 1] + k for k in range(sizes[0])]]


def pool_ends(rows: Array, sizes: Array, ends: Sequence[tuple[int, str]]) -> Array:
    """Each sequence's last row, but for the columns that read backward, of its first: (width, end) each."""
    backward = np.concatenate([np.repeat(end == "first", width) for width, end in ends])
    return np.where(backward, rows[: sizes[0]], pool_last(rows, sizes))


def pool_sum(rows: Array, sizes: Array) -> Array:
    """The sum of each sequence's rows."""
    total = np.zeros((sizes[0], *rows.shape[1:]), rows.dtype)
    np.add.at(total, owners(sizes), rows)
    return total


def pool_mean(rows: Array, sizes: Array) -> Array:
    """The mean of each sequence's rows."""
    steps = np.array([(sizes > k).sum() for k in range(sizes[0])], rows.dtype)
    return pool_sum(rows, sizes) / steps[:, None]


def pool_max(rows: Array, sizes: Array) -> Array:
    """The largest of each sequence's values, column by column."""
    top = np.full((sizes[0], *rows.shape[1:]), -np.inf, rows.dtype)
    np.maximum.at(top, owners(sizes), rows)
    return top


def pool_weighed(rows: Array, scores: Array, sizes: Array) -> Array:
    """The mean of each sequence's rows, weighed by the softmax of their scores (rows, 1)."""
    powers = np.exp(scores - pool_max(scores, sizes)[owners(sizes)])
    weights = powers / pool_sum(powers, sizes)[owners(sizes)]
    return pool_sum(rows * weights, sizes)


def table(weight: Array, ids: Array) -> Array:
    """The row of `weight` for each id; an id below 0 would count from its end."""
    if ids.min() < 0 or ids.max() >= len(weight):
        raise ValueError(f"ids run from 0 to {len(weight) - 1}; got {ids.min()} to {ids.max()}")
    return weight[ids]


def place(values: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros with `values` at `index`."""
    out = np.zeros(shape, values.dtype)
    out[index] = values
    return out


def add_along_axis(values: Array, indices: Array, axis: int, size: int) -> Array:
    """Zeros of length `size` along `axis`, with `values` added at `indices`."""
    out = np.zeros((*values.shape[:axis], size, *values.shape[axis + 1 :]), values.dtype)
    grid = list(np.ix_(*map(np.arange, values.shape)))
    grid[axis] = indices
    np.add.at(out, tuple(grid), values)
    return out


def erf(x: Array) -> Array:
    """The error function, element by element."""
    from math import erf as exact

    return np.vectorize(exact, otypes=[x.dtype])(x)


def viterbi(scores: Array, sizes: Array, transitions: Array, start: Array, end: Array) -> Array:
    """The tags of the best path of each sequence, one for each row."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    best = start + scores[: sizes[0]]
    final = np.empty_like(best)  # of each sequence, after its own last step
    back = []
    for t in range(1, len(sizes)):
        n = sizes[t]
        final[n : len(best)] = best[n:]
        paths = best[:n, :, None] + transitions
        back.append(paths.argmax(1))
        best = paths.max(1) + scores[starts[t] : starts[t] + n]
    final[: len(best)] = best
    last = (final + end).argmax(1)
    tags = np.empty(len(scores), np.int64)
    for t in range(len(sizes))[::-1]:
        n = sizes[t]
        tags[starts[t] : starts[t] + n] = last[:n]
        if t:
            last[:n] = back[t - 1][np.arange(n), last[:n]]
    return tags


def best_path(scores: Array, blank: int) -> Array:
    """The labels that the likeliest class of each step reads as: repeats are one, blanks are none."""
    path = scores.argmax(1)
    return path[np.append(True, path[1:] != path[:-1]) & (path != blank)]


def spelled(words: Sequence[str], characters: dict[str, int], unknown: int, width: int) -> Array:
    """The ids of the first characters of each word, 0 behind its end."""
    ids = np.zeros((len(words), width), np.int64)
    for row, word in zip(ids, words, strict=True):
        row[: len(word)] = [characters.get(c, unknown) for c in word[:width]]
    return ids


def character_words(ids: Array) -> list[Array]:
    """The characters of each row: up to the last that is not 0, and at least one."""
    return [row[: max(1, int(np.flatnonzero(row)[-1]) + 1 if row.any() else 1)] for row in ids]
