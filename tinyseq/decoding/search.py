"""Writing symbol after symbol: greedy, drawn at random, or the best of several beginnings at a time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyseq import ops, random
from tinyseq.contracts.pairing import beside, check_id
from tinyseq.decoding.sampling import choose, without
from tinyseq.errors import ConfigError, NonFiniteError
from tinyseq.scan.state import flatten, tree_map

Array = np.ndarray[Any, Any]
Advance = Callable[[Array, Any], tuple[Array, Any]]
"""advance(last symbols (rows,), state) -> (log-probabilities of the next ones (rows, symbols), state)."""


class Hypothesis(NamedTuple):
    """ids: what was written, without the end symbol; score: its log-probability over the length penalty."""

    ids: Array
    score: float


def write(
    advance: Advance,
    state: Any,
    rows: int,
    *,
    end: int,
    max_length: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    exclude: Sequence[int] = (),
    seed: int | None = None,
) -> list[Array]:
    """One sequence of ids for each row: the likeliest symbol each time, or one drawn as `choose` does.

    A row is over with its `end` symbol, which is left out, or after `max_length` symbols. Without a seed,
    numbers are drawn from `tinyseq.random.generator()`, for one row after the other.
    """
    check_length(max_length)
    check_id("write()", "end", end, of="symbol")
    rng = random.generator() if seed is None else np.random.default_rng(seed)
    written: list[list[int]] = [[] for _ in range(rows)]
    alive = list(range(rows))
    last = np.full(rows, end)
    for _ in range(max_length):
        log_p, state = advance(last, state)
        for row in alive:
            last[row] = choose(log_p[row], rng, temperature=temperature, top_k=top_k, exclude=exclude)
        alive = [row for row in alive if last[row] != end]
        for row in alive:
            written[row].append(int(last[row]))
        if not alive:
            break
    return [np.array(ids, np.int64) for ids in written]


def beam_search(
    advance: Advance,
    state: Any,
    sources: int,
    *,
    end: int,
    max_length: int,
    width: int,
    length_penalty: float = 0.0,
    exclude: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The best hypotheses for each source, best first, from `width` beginnings at a time.

    state: `width` rows for each source, one source after the other. Each step keeps the likeliest `width`
    continuations of the beginnings alive, so a width of 1 is greedy; those that end, or have `max_length`
    symbols, are hypotheses, and the others go on (Sutskever et al., 2014). The score of a hypothesis is its
    log-probability divided by ((5 + symbols) / 6) ** length_penalty, the end symbol counted: Wu et al.
    (2016), equation 14, without coverage. The search for a source is over when nothing alive can score
    higher than its best. Symbols in `exclude` are never written.
    """
    check_length(max_length)
    check_id("beam_search()", "end", end, of="symbol")
    if width < 1:
        raise ConfigError(f"Beam search keeps 1 beginning or more, not width={width}.")
    if not 0 <= length_penalty < float("inf"):
        raise ConfigError(f"length_penalty is finite and 0 (none) or more, not {length_penalty}.")

    found: list[list[Hypothesis]] = [[] for _ in range(sources)]
    best = np.full(sources, -np.inf)
    totals = np.full((sources, width), -np.inf)  # log-probability of each beginning, -inf for a place unused
    totals[:, 0] = 0
    written = np.zeros((sources, width, 0), np.int64)
    last = np.full(sources * width, end)
    for length in range(1, max_length + 1):
        log_p, state = advance(last, state)
        log_p = without(log_p, exclude, "beam_search()")
        totals, parents, symbols = _continued(totals, log_p.reshape(sources, width, -1))
        written = np.concatenate(
            [np.take_along_axis(written, parents[:, :, None], axis=1), symbols[:, :, None]], axis=2
        )
        last = symbols.reshape(-1)
        state = _rows(state, (np.arange(sources)[:, None] * width + parents).reshape(-1))

        ended = np.isfinite(totals) & ((symbols == end) | (length == max_length))
        for source, place in np.argwhere(ended).tolist():
            ids = written[source, place]
            score = float(totals[source, place]) / ((5 + length) / 6) ** length_penalty
            found[source].append(Hypothesis(ids[:-1] if ids[-1] == end else ids, score))
            best[source] = max(best[source], score)
        totals[ended] = -np.inf
        hoped = totals.max(axis=1) / ((5 + max_length) / 6) ** length_penalty
        totals[hoped <= best] = -np.inf
        if not np.isfinite(totals).any():
            break
    for source, hypotheses in enumerate(found):
        if not hypotheses:
            raise NonFiniteError(
                f"Beam search found nothing to write for source {source}: after some beginning each symbol "
                "has the log-probability -inf. Leave at least one symbol possible, such as the end."
            ).about(source, sources)
    return [sorted(hypotheses, key=lambda h: -h.score) for hypotheses in found]


def _continued(totals: Array, log_p: Array) -> tuple[Array, Array, Array]:
    """The likeliest continuations of each source: their totals, places of their parents, last symbols.

    Of equal ones the first counts as likelier; where there are too few, a total is -inf.
    """
    sources, width, classes = log_p.shape
    alive = np.isfinite(totals)
    if not (log_p[alive] < np.inf).all():
        raise NonFiniteError(
            "Beam search got log-probabilities that are NaN or inf.",
            "Find their origin with tinyseq.detect_anomaly().",
        )
    sums = np.where(alive[:, :, None], totals[:, :, None] + log_p, -np.inf).reshape(sources, -1)
    kept = min(width, sums.shape[1])
    least = np.partition(sums, -kept, axis=1)[:, -kept]
    chosen = np.zeros((sources, width), np.int64)
    values = np.full((sources, width), -np.inf)
    for source in range(sources):
        candidates = np.flatnonzero(sums[source] >= least[source])
        order = np.argsort(-sums[source, candidates], kind="stable")[:kept]
        chosen[source, :kept] = candidates[order]
        values[source, :kept] = sums[source, candidates[order]]
    return values, chosen // classes, chosen % classes


def _rows(state: Any, index: Array) -> Any:
    """The rows of a state in another order, which may repeat some."""
    if not flatten(state) or (index == np.arange(len(index))).all():
        return state
    return tree_map(lambda leaf: ops.take(leaf, beside(leaf, index), axis=0), state)


def check_length(max_length: int) -> None:
    """Raise ConfigError unless there is room for a symbol."""
    if max_length < 1:
        raise ConfigError(f"max_length is the most symbols to write, 1 or more, not {max_length}.")
