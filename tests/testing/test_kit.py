"""The kit itself: what authors see, in pytest and without, and what they must declare."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import cells, layers, losses, others
from planted.parts import Plain, gated_formula

from tinyseq import random
from tinyseq.errors import ConfigError
from tinyseq.nn import Embedding, init
from tinyseq.optim import Adam
from tinyseq.registry import cells as registered_cells
from tinyseq.scan import Recurrent
from tinyseq.testing import check, conformance, laws_of
from tinyseq.testing.subject import KINDS

CASE = [{"input_size": 3, "hidden_size": 4}]


def broken(component: Any, law: str, **declared: Any) -> str:
    """The message of the only case that breaks a law."""
    (message,) = [o.message for o in check(component, draws=0, **declared).failures if o.law.id == law]
    return message


def test_a_failure_says_the_law_the_example_and_what_is_usually_wrong() -> None:
    assert broken(cells.SwappedGates, "C15", cases=CASE, reference=gated_formula) == (
        "C15 formula: The outputs are those of the declared reference: the formula, one sequence and one "
        "step at a time.\n"
        "  Counterexample: SwappedGates(input_size=3, hidden_size=4), lengths [1], seed 0: "
        "the output of sequence 0 at step 0: 0.133294; of the reference: 0.162141 at [0]; 4 of 4 values "
        "differ.\n"
        "  Usually: two gates are swapped, a constant went to the wrong gate, or a matrix is used "
        "transposed: "
        "compare step() with the formula in the docstring, letter by letter."
    )
    assert broken(cells.UnusedBias, "C8", cases=CASE) == (
        "C8 completeness: Every Parameter gets a gradient for some input, and nothing else that computes "
        "takes one.\n"
        "  Counterexample: UnusedBias(input_size=3, hidden_size=4), lengths [3, 2, 4], seed 0: "
        "the gradient of b is zero for every input tried.\n"
        "  Usually: a Parameter is not used, or is used through .data or detach(); or a weight is no "
        "Parameter, so that "
        "it is neither trained nor saved."
    )
    assert broken(losses.NanWithoutTriplets, "M1", **losses.MINING) == (
        "M1 mining: What is mined from a batch is what trying all combinations finds; if that is nothing, "
        "the loss is 0.\n"
        "  Counterexample: NanWithoutTriplets(), lengths [1], seed 0: "
        "the loss for targets [1, 1] has nan in 1 of 1 values.\n"
        "  Usually: 0 / 0 where no triplet (or pair) was found, a row taken for its own positive, or a "
        "maximum over the "
        "wrong axis."
    )


def test_an_error_inside_the_component_is_a_counterexample_with_the_authors_line() -> None:
    message = broken(cells.SqueezesABatchOfOne, "C1", cases=CASE)
    assert (
        "it raised ShapeError: step() must return one output row for each of 1 rows; it returned (4,)."
        in message
    )
    message = broken(cells.MixedUpSizes, "C1", cases=CASE)
    assert "parts.py" in message
    assert "return x @ self.w_x + h @ self.w_h + self.b" in message


def test_a_report_counts_what_ran_of_what_applies() -> None:
    report = check(Plain, [*CASE, (2, 2)], draws=0, skip={"C9": "nobody differentiates it twice"})
    states = {outcome.law.id: outcome for outcome in report.outcomes}
    assert len(report.outcomes) == 2 * len(laws_of("cell"))
    assert states["C9"].state == "skipped"
    assert states["C15"].state == "does not apply"
    assert states["C15"].message == "no reference= was given"
    assert report.applicable == 2 * (len(laws_of("cell")) - 1)
    assert report.ran == sum(o.state == "kept" for o in report.outcomes)
    assert report.ok
    table = str(report).splitlines()
    assert table[0] == f"Plain: {report.ran} of {report.applicable} laws that apply were tried, 0 broken"
    assert table[1] == "Plain(input_size=3, hidden_size=4)"
    assert "  C9 second-order          skipped: nobody differentiates it twice" in table
    assert "Plain(2, 2)" in table
    worse = check(cells.UnusedBias, CASE, draws=0)
    assert not worse.ok
    assert str(worse).endswith(worse.failures[-1].message)


@pytest.mark.parametrize(
    ("component", "declared", "said"),
    [
        (Plain, {"cases": []}, "The conformance kit needs at least one case: cases=[dict(...), ...]."),
        (
            Plain,
            {"cases": CASE, "skip": {"C4": " "}},
            "skip: law C4 needs a reason, {'C4': 'why it is not tried'}.",
        ),
        (
            Plain,
            {"cases": CASE, "skip": {"L1": "why"}},
            "skip: a cell has no law 'L1'; its laws are C1, C2, ",
        ),
        (
            layers.TwoWays,
            {"cases": CASE, "context": "all"},
            "context='all': choose from position, past, future, both, halves.",
        ),
        (Plain, {"cases": CASE, "kind": "gate"}, "There is no kind 'gate'; choose from cell, layer, "),
        (
            Plain,
            {"cases": [{"size": 3}]},
            "The case Plain(size=3) is no call of Plain: missing a required argument",
        ),
        (object, {"cases": CASE}, "is no component that the conformance kit knows"),
        (
            Embedding,
            {"cases": [(3, 2)]},
            "Embedding has no input_size, so the kit cannot know what it reads: pass inputs=",
        ),
        (layers.TwoWays, {"cases": None, "context": "halves"}, ""),
    ],
)
def test_a_declaration_that_makes_no_sense_is_one_sentence(
    component: Any, declared: dict[str, Any], said: str
) -> None:
    if not said:
        assert check(component, draws=0, **declared).ok  # sizes are found by themselves
        return
    with pytest.raises(ConfigError) as caught:
        check(component, draws=0, **declared)
    assert said in str(caught.value)


def test_a_component_that_needs_more_than_sizes_needs_cases() -> None:
    with pytest.raises(ConfigError, match=r"Recurrent\(.*\) needs more than sizes: pass cases"):
        check(Recurrent)


@pytest.mark.parametrize("kind", KINDS)
def test_every_law_has_a_sentence_and_an_id_of_its_own(kind: str) -> None:
    laws = laws_of(kind)
    assert laws
    assert len({law.id for law in laws}) == len(laws)
    for law in laws:
        assert law.sentence.endswith(".")
        assert law.sentence[0].isupper() or law.sentence.startswith("metrics()")
        assert not law.usually.endswith(".")
        assert law.examples


def test_without_hypothesis_the_fixed_examples_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "hypothesis" else found(name)
    )
    assert check(Plain, CASE).ok
    assert not check(cells.HandsOnTheOldState, CASE).ok


def test_with_hypothesis_a_counterexample_is_made_small() -> None:
    class Late(Plain):
        """Wrong from its fifth sequence on, where no fixed example looks."""

        def before(self, x: Any, h: Any) -> Any:
            return super().before(x, h) + 0.01 * (x.shape[0] > 3)

    others = {law.id: "it is about batches of four" for law in laws_of("cell") if law.id != "C5"}
    report = check(Late, CASE, draws=40, skip=others)
    lengths = {o.message.split("lengths ")[1].split(", seed")[0] for o in report.failures if o.law.id == "C5"}
    assert lengths == {"[1, 1, 1, 1]"}


def test_the_examples_are_the_same_whatever_else_is_loaded() -> None:
    """Hypothesis also draws numbers that stand in loaded modules: with them, a failure would not recur."""
    code = (
        "from tinyseq.testing import kit, laws_of\n"
        "kit._try = lambda law, subject, example: print(example)\n"
        "kit._draw(laws_of('cell')[0], None, 300)"
    )
    more = "import tinyseq.cli; [tinyseq.recipes[name] for name in tinyseq.recipes]\n"
    alone, beside = (
        subprocess.run([sys.executable, "-c", text], check=True, capture_output=True).stdout
        for text in (code, more + code)
    )
    assert alone.count(b"lengths") == 300
    assert alone == beside


def test_checking_leaves_the_world_as_it_was() -> None:
    random.seed(3)
    before = random.get_state(), str(np.random.get_state(legacy=False)), list(registered_cells)
    check(Plain, CASE)
    assert (random.get_state(), str(np.random.get_state(legacy=False)), list(registered_cells)) == before


AUTHORS_FILE = """
import numpy as np
from tinyseq import ops
from tinyseq.contracts import Cell
from tinyseq.nn import Parameter, init
from tinyseq.testing import conformance
from typing import NamedTuple

class State(NamedTuple):
    h: object

class Mine(Cell):
    def __init__(self, input_size, hidden_size):
        self.input_size, self.output_size = input_size, hidden_size
        self.w = Parameter(init.glorot_uniform((input_size + hidden_size, hidden_size)))
        self.b = Parameter(init.zeros((hidden_size,)))

    def initial_state(self, batch_size):
        return State(self.zeros(batch_size, self.output_size))

    def step(self, x, state):
        h = ops.tanh(ops.concatenate([x, state.h], axis=-1) @ self.w)
        return h, State(h)

test_mine = conformance(Mine, cases=[dict(input_size=3, hidden_size=5), dict(input_size=1, hidden_size=2)],
                        skip={"C9": "it is trained with first derivatives"})
"""


def test_one_line_is_an_authors_whole_test_file(tmp_path: Path) -> None:
    file = tmp_path / "test_mine.py"
    file.write_text(AUTHORS_FILE)
    command = [sys.executable, "-m", "pytest", "-rfs", "-v", "-p", "no:cacheprovider", file.name]
    env = {**os.environ, "COLUMNS": "300", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert "test_mine[Mine-C4-chunking-case0] PASSED" in done.stdout, done.stdout + done.stderr
    assert "test_mine[Mine-C4-chunking-case1] PASSED" in done.stdout
    assert "test_mine[Mine-C8-completeness-case0] FAILED" in done.stdout
    assert "the gradient of b is zero for every input tried." in done.stdout
    assert "it is trained with first derivatives" in done.stdout
    assert "2 failed" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_core_does_not_import_the_kit_nor_the_kit_pytest() -> None:
    code = (
        "import sys, tinyseq; assert not [m for m in sys.modules if m.startswith('tinyseq.testing')];"
        "import tinyseq.testing; assert not {'pytest', 'hypothesis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_conformance_test_leaves_out_what_does_not_apply() -> None:
    (mark,) = conformance(Plain, CASE).pytestmark  # type: ignore[attr-defined]
    ids = [param.id for param in mark.args[1]]
    assert "Plain-C1-sizes-case0" in ids
    assert not [id for id in ids if "C15" in id]


@pytest.mark.parametrize(
    ("component", "declared", "message"),
    [
        (
            Adam,
            {"ignored": 3},
            r"ignored= says nothing here: no law of the kind 'optimizer' .* It is for loss",
        ),
        (Adam, {"inputs": 3}, r"inputs= says nothing here"),
        (cells.Plain, {"context": "both"}, r"context= says nothing here: .* 'cell' .* It is for layer"),
        (cells.Plain, {"mines": True}, r"mines= says nothing here"),
        (others.Tagger, {"reference": print}, r"reference= says nothing here"),
        (init.zeros, {"reference": print}, r"reference= says nothing here"),
        (cells.Plain, {"refrence": print}, r"no refrence=; what can be declared: kind, inputs, reference"),
        (cells.Plain, {"reference": 3}, r"reference= is a function in plain NumPy, not int"),
        (cells.Plain, {"skip": "C1"}, r"skip= is a dict"),
        (cells.Plain, {"cases": "LSTM"}, r"cases= is a list of cases"),
        (cells.Plain, {"cases": {"input_size": 3}}, r"cases= is a list of cases"),
    ],
)
def test_what_no_law_would_look_at_is_refused(component: Any, declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(component, **declared)


def test_an_optimizer_is_compared_with_its_reference() -> None:
    report = check(Adam, reference=lambda *a: 0)
    assert [outcome.law.id for outcome in report.failures] == ["O4"]
    assert check(Adam, reference=others.adam).ok


class NoState(Plain):
    def initial_state(self, batch_size: int) -> Any:
        return self.not_there


class NoStep(Plain):
    def step(self, x: Any, state: Any) -> Any:
        return self.not_there


class NotMade(Plain):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        raise ValueError(f"not {hidden_size}")


class NoUpdate(Adam):
    def update(self, *args: Any) -> None:
        raise ValueError("not today")


@pytest.mark.parametrize(
    ("component", "hint"),
    [
        (NoState, "initial_state: The state before the first step: Tensors"),
        (NoStep, "step: The output and the next state; x: (rows, input_size)"),
        (NotMade, "__init__: makes the cell from the arguments of the case."),
        (NoUpdate, "update: Change w and the arrays of `state` in place by gradient g"),
    ],
)
def test_what_never_runs_is_said_once_with_what_its_method_promises(component: Any, hint: str) -> None:
    report = check(component, draws=0)
    (failure,) = report.failures
    assert hint in failure.message
    assert "Usually" not in failure.message
    others = [o for o in report.outcomes if o.state != "does not apply" and o is not failure]
    assert {o.message for o in others} == {f"it could not run either: see {failure.law.id}"}
    assert f"1 of {len(others) + 1} laws that apply were tried, 1 broken" in report.summary
    assert str(report).count(failure.message.splitlines()[0]) == 1
