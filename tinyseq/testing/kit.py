"""conformance and check: the laws of a component's kind, tried on it."""

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tinyseq import random
from tinyseq.backend import use
from tinyseq.errors import ConfigError
from tinyseq.testing.law import CannotRun, DoesNotApply, Example, Law, Violation, laws_of
from tinyseq.testing.probe import never_runs, place
from tinyseq.testing.report import Outcome, Report
from tinyseq.testing.subject import CONTEXTS, KINDS, USES, Case, Declared, Subject, Undeclared, kind_of

DRAWS = 5
SEEDS = 99  # up to 99: among larger numbers Hypothesis mixes those of whichever modules are loaded


def check(
    component: Any, cases: Sequence[Case] | None = None, *, draws: int = DRAWS, **declared: Any
) -> Report:
    """Try every law on `component`, as `conformance` does, and report what became of each.

    Without `cases`, one is made from what the constructor requires: sizes 3, 5, 4 in this order. `draws`: how
    many examples Hypothesis, if it is installed, adds to each law's own.
    """
    outcomes = []
    for law, subject in _trials(component, cases, declared):
        state, message = _outcome(law, subject, draws)
        outcomes.append(Outcome(law, subject.label, state, message))
    return Report(str(getattr(component, "__name__", component)), tuple(outcomes))


def conformance(
    component: Any,
    cases: Sequence[Case] | None = None,
    *,
    kind: str | None = None,
    inputs: Any = None,
    reference: Callable[..., Any] | None = None,
    context: str | None = None,
    ignored: Any = None,
    mines: bool = False,
    skip: Mapping[str, str] | None = None,
) -> Callable[..., None]:
    """A test for pytest that tries every law on `component`: `test_mgu = conformance(MGU, cases=[...])`.

    cases: constructor arguments, dicts by name or tuples by position, or functions that make the component.
    inputs: what it reads, where its class does not tell; for a layer the number of features, or a function
    (layer, rng, rows) -> array (rows, ...); for a loss the number of classes, or (loss, rng, lengths) ->
    (predictions, targets), arrays with sum(lengths) rows, or Sequences if it reads those; for a head or a
    model the number of classes, or (head, rng, lengths) -> (features, targets).
    reference: its formula in plain NumPy; for a cell (cell, x, state) -> (y, state) of one row, for a layer
    (layer, xs) -> ys of one sequence, for a loss (loss, predictions, targets) -> loss, for a metric (metric,
    batches) -> figure, for an op (*arrays) -> result, for an optimizer (optimizer, weights, gradients) -> the
    weights after a step with each of the gradients.
    context: the steps that a layer's output depends on: "position", "past", "future", "both", or "halves"
    (features of a reading from the start, then those of one from the end).
    ignored: the target that a loss or metric ignores, or a function of it that gives the target.
    mines: whether a loss, or a head, compares the rows or sequences of a batch with each other.
    skip: law ids with the reason why each is not tried.

    Raises ConfigError for a declaration that makes no sense, or that no law of the kind looks at.
    """
    import pytest

    declared = {
        "kind": kind, "inputs": inputs, "reference": reference, "context": context, "ignored": ignored,
        "mines": mines, "skip": skip,
    }  # fmt: skip
    trials = [
        (law, subject) for law, subject in _trials(component, cases, declared) if not law.exempt(subject)
    ]
    numbers: dict[int, int] = {}
    params = []
    for law, subject in trials:
        number = numbers.setdefault(id(subject), len(numbers))
        params.append(pytest.param(law, subject, id=f"{subject.name}-{law.id}-{law.name}-case{number}"))

    @pytest.mark.parametrize(("law", "subject"), params)
    def test(law: Law, subject: Subject) -> None:
        __tracebackhide__ = True
        state, message = _outcome(law, subject, DRAWS)
        if state == "broken":
            pytest.fail(message, pytrace=False)
        if state in ("skipped", "does not apply"):
            pytest.skip(message)

    return test


def _trials(
    component: Any, cases: Sequence[Case] | None, declared: Mapping[str, Any]
) -> Iterator[tuple[Law, Subject]]:
    said = _declared(component, declared)
    if isinstance(cases, str | bytes | Mapping):
        raise ConfigError("cases= is a list of cases: cases=[dict(...), ...].")
    if cases is not None and not cases:
        raise ConfigError("The conformance kit needs at least one case: cases=[dict(...), ...].")
    for case in default_cases(component, said.kind) if cases is None else cases:
        subject = Subject(component, case, said)
        for law in laws_of(said.kind):
            yield law, subject


def _declared(component: Any, given: Mapping[str, Any]) -> Declared:
    """What the author declares, checked."""
    options = {name: value for name, value in given.items() if value is not None}
    kind = options.pop("kind", None) or kind_of(component)
    if kind not in KINDS:
        raise ConfigError(f"There is no kind {kind!r}; choose from {', '.join(KINDS)}.")
    for option, value in options.items():
        kinds = USES.get(option, KINDS)
        if option not in (*USES, "skip"):
            raise ConfigError(
                f"The kit has no {option}=; what can be declared: kind, {', '.join(USES)}, skip."
            )
        if value is not False and kind not in kinds:
            raise ConfigError(
                f"{option}= says nothing here: no law of the kind {kind!r} looks at it. It is for "
                f"{', '.join(kinds)}."
            )
    if (reference := options.get("reference")) is not None and not callable(reference):
        raise ConfigError(f"reference= is a function in plain NumPy, not {type(reference).__name__}.")
    if not isinstance(options.get("skip", {}), Mapping):
        raise ConfigError("skip= is a dict of law ids with the reason why each is not tried.")
    context = options.get("context")
    if context not in (None, *CONTEXTS):
        raise ConfigError(f"context={context!r}: choose from {', '.join(CONTEXTS)}.")
    known = [law.id for law in laws_of(kind)]
    for id, reason in options.get("skip", {}).items():
        if id not in known:
            raise ConfigError(f"skip: a {kind} has no law {id!r}; its laws are {', '.join(known)}.")
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigError(f"skip: law {id} needs a reason, {{{id!r}: 'why it is not tried'}}.")
    return Declared(kind, **options)


def default_cases(component: Any, kind: str) -> list[Case]:
    """One case with a size for each argument that must be given. Raises ConfigError where that makes no
    sense.
    """
    if kind in ("op", "initializer", "optimizer"):
        return [{}]
    required = [
        parameter
        for parameter in list(inspect.signature(component).parameters.values())
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    ]
    if len(required) > 3 or any(
        parameter.annotation not in (int, "int", parameter.empty) for parameter in required
    ):
        wanted = ", ".join(map(str, required))
        raise ConfigError(
            f"{component.__name__}({wanted}, ...) needs more than sizes: pass cases=[dict(...), ...]."
        )
    return [dict(zip([parameter.name for parameter in required], (3, 5, 4), strict=False))]


def _outcome(law: Law, subject: Subject, draws: int) -> tuple[Any, str]:
    """The state of a law and what there is to say."""
    reason = law.exempt(subject)
    if reason:
        return "does not apply", reason
    if law.id in subject.declared.skip:
        return "skipped", subject.declared.skip[law.id]
    with _undisturbed():
        try:
            if said := never_runs(subject):
                if subject.said:
                    return "skipped", f"it could not run either: see {subject.said}"
                subject.said = law.id
                raise _Broken(said)
            for example in law.examples:
                _try(law, subject, example)
            if draws and law.shortest is not None and importlib.util.find_spec("hypothesis"):
                _draw(law, subject, draws)
        except CannotRun as error:
            return "skipped", str(error)
        except DoesNotApply as error:
            return "does not apply", str(error)
        except _Broken as error:
            return "broken", str(error)
    return "kept", ""


class _Broken(Exception):
    """A law's counterexample with all that there is to say about it."""


def _try(law: Law, subject: Subject, example: Example) -> None:
    try:
        law.check(subject, example)
    except (CannotRun, DoesNotApply, Undeclared):
        raise
    except Violation as error:
        found = str(error)
    except Exception as error:
        found = f"it raised {type(error).__name__}: {error}\n    {place(error)}"
    else:
        return
    raise _Broken(
        f"{law.title}: {law.sentence}\n"
        f"  Counterexample: {subject.label}, {example}: {found}\n"
        f"  Usually: {law.usually}."
    )


def _draw(law: Law, subject: Subject, draws: int) -> None:
    """More examples from Hypothesis, which makes a counterexample as small as it can."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    assert law.shortest is not None
    lengths = st.lists(st.integers(law.shortest, law.shortest + 3), min_size=law.fewest, max_size=4)

    @settings(
        max_examples=draws,
        deadline=None,
        database=None,
        derandomize=True,  # the same examples in every run
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(lengths=lengths, seed=st.integers(0, SEEDS))
    def attempt(lengths: list[int], seed: int) -> None:
        _try(law, subject, Example(tuple(lengths), seed))

    attempt()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """NumPy in use, and tinyseq's random numbers afterwards as before."""
    state = random.get_state()
    try:
        with use("numpy"):
            yield
    finally:
        random.set_state(state)
