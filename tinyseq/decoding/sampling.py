"""Letting a language model write: one token at a time, with the state as an explicit value."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.backend import backend
from tinyseq.contracts.pairing import check_id, check_list, is_whole
from tinyseq.engine import make_tensor, no_grad
from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.nn import Module
from tinyseq.sequences import Sequences, stream

Scores = np.ndarray[Any, Any]


def generate(
    model: Any,
    prompt: Any,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    exclude: Sequence[int] = (),
    seed: int | None = None,
) -> Iterator[int]:
    """The ids of `length` tokens that `model` continues `prompt` with, each as soon as it is drawn.

    model: with `scan(xs, state) -> (features, state)` and a `head` whose `predict` gives log-probabilities,
    as a SequenceModel around a LanguageModelHead; it computes as in evaluation, whatever mode it is in.
    prompt: ids (tokens,), one or more. See `choose` for temperature, top_k and exclude. The same seed gives
    the same tokens; without one they are drawn from `tinyseq.random.generator()`.

    Raises DataError for an empty prompt, ConfigError for options out of range: at once, not at the first
    token.
    """
    ids = np.asarray(prompt)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise DataError(
            f"A prompt is one or more integer ids (tokens,), not {ids.dtype} of shape {ids.shape}: give "
            "the model at least one token to go on from."
        )
    if not is_whole(length) or length < 0:
        raise ConfigError(f"generate() cannot draw {length!r} tokens: length is a whole number, 0 or more.")
    _check_options(temperature, top_k)
    check_excluded("generate()", exclude)
    rng = random.generator() if seed is None else np.random.default_rng(seed)
    return _tokens(model, ids, length, temperature, top_k, exclude, rng)


def _tokens(
    model: Any,
    ids: Any,
    length: int,
    temperature: float,
    top_k: int | None,
    exclude: Sequence[int],
    rng: np.random.Generator,
) -> Iterator[int]:
    modules = list(model.modules()) if isinstance(model, Module) else []
    step = None
    for _ in range(length):
        # Between two tokens the model is the caller's, who may train it.
        evaluating = model.evaluating() if any(m.training for m in modules) else nullcontext()
        with no_grad(), evaluating:
            if step is None:
                read, state = model.scan(Sequences.from_padded(ids[None]), None)
                features, step = read.last(), stream(model, state)
            else:
                features = step(make_tensor(backend().asarray(ids), None))
            scores = model.head.predict(features).numpy()[0]
        chosen = choose(scores, rng, temperature=temperature, top_k=top_k, exclude=exclude)
        yield chosen
        ids = np.array([chosen])


def choose(
    scores: Scores,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    exclude: Sequence[int] = (),
) -> int:
    """One class drawn from softmax(scores / temperature) over the `top_k` highest scores (all by default).

    scores: (classes,), log-probabilities or unnormalised. Temperature 0 takes the highest; of equal scores
    the first counts as higher. Classes in `exclude`, such as that of unknown words, are never drawn: the
    others share their probability. Draws one uniform number, none at temperature 0. Raises NonFiniteError
    for scores that are NaN or all -inf, ConfigError for an excluded class that there is not.
    """
    _check_options(temperature, top_k)
    scores = without(np.asarray(scores, np.float64), exclude, "choose()")
    top = scores.max()
    if not np.isfinite(top):
        raise NonFiniteError(
            "choose() got scores without a finite maximum (NaN, inf or all -inf).",
            "Find their origin with tinyseq.detect_anomaly().",
        )
    if temperature == 0:
        return int(scores.argmax())
    if top_k is not None:
        left_out = np.argsort(-scores, kind="stable")[top_k:]
        scores = scores.copy()
        scores[left_out] = -np.inf
    with np.errstate(over="ignore"):  # a temperature near 0 leaves those that equal the top
        cumulative = np.cumsum(np.exp((scores - top) / temperature))
    drawn = rng.random() * cumulative[-1]
    return int(np.searchsorted(cumulative[:-1], drawn, side="right"))


def without(scores: Scores, exclude: Sequence[int], name: str) -> Scores:
    """Scores (..., classes) with -inf, of a copy, for the excluded classes; NaN stays where it was.

    Raises ConfigError for a class that there is not, and if none is left.
    """
    check_excluded(name, exclude, scores.shape[-1])
    if not len(exclude):
        return scores
    left: Scores = scores + 0.0
    left[..., np.array(exclude)] += -np.inf
    return left


def check_excluded(name: str, exclude: Sequence[int], classes: int | None = None) -> None:
    """Raise ConfigError unless these are different classes, and with `classes` not all of them."""
    check_list(name, "exclude", exclude)
    for excluded in exclude:
        check_id(name, "exclude", excluded, classes)
    if classes is not None and len(set(exclude)) >= classes:
        raise ConfigError(f"{name}: exclude names all of the {classes} classes, so nothing could be written.")


def _check_options(temperature: float, top_k: int | None) -> None:
    is_number = isinstance(temperature, int | float | np.number)
    if not is_number or not 0 <= temperature < float("inf"):
        raise ConfigError(f"temperature is finite and 0 (always the likeliest) or more, not {temperature!r}.")
    if top_k is not None and not (is_whole(top_k) and top_k >= 1):
        raise ConfigError(f"top_k keeps 1 or more of the classes, not {top_k!r}; None keeps all.")
