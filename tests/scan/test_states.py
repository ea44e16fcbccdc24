"""States as dicts and dataclasses are what NamedTuples are: on the tape, compiled, and carried."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tinyseq_cells.rnn import RNN
from tinyseq_cells.wrappers import LearnedStart, Zoneout

import tinyseq
from tinyseq import Cell, Recurrent, Sequences, Tensor, ops, random, scan
from tinyseq.errors import ShapeError
from tinyseq.nn import Parameter, SequenceModel
from tinyseq.optim import SGD
from tinyseq.scan.state import flatten, names, rebuild
from tinyseq.testing import check
from tinyseq.training import Trainer, carried_state


class Tupled(NamedTuple):
    """z comes before a, so that an order by name would show."""

    z: Tensor
    a: Tensor


@dataclass
class Data:
    z: Tensor
    a: Tensor


@dataclass(frozen=True)
class Frozen:
    z: Tensor
    a: Tensor


MADE: dict[str, Any] = {
    "named": Tupled,
    "dict": lambda z, a: {"z": z, "a": a},
    "turned": lambda z, a: {"a": a, "z": z},
    "data": Data,
    "frozen": Frozen,
}


class Pair(Cell):
    """Two states of different widths that depend on each other, made in any form."""

    def __init__(
        self, input_size: int = 3, hidden_size: int = 4, form: str = "named", after: str = ""
    ) -> None:
        self.input_size, self.output_size = input_size, hidden_size
        self.form, self.after = form, after or form
        rng = np.random.default_rng(0)
        self.w = Parameter(rng.normal(size=(input_size + hidden_size, hidden_size)) * 0.5)
        self.v = Parameter(rng.normal(size=(hidden_size, hidden_size)) * 0.5)

    def initial_state(self, batch_size: int) -> Any:
        z, a = (self.zeros(batch_size, self.output_size) for _ in range(2))
        return MADE[self.form](z=z, a=a)

    def step(self, x: Tensor, state: Any) -> Any:
        read = state.get if isinstance(state, dict) else lambda name: getattr(state, name)
        z = ops.tanh(ops.concatenate([x, read("a")], axis=-1) @ self.w)
        a = ops.tanh(z @ self.v + 0.5 * read("z"))
        return a, MADE[self.after](z=z, a=a)


def run(cell: Cell, **options: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    xs = Sequences.from_list([rng.normal(size=(n, 3)).astype("f") for n in (2, 4, 1)])
    for p in cell.parameters():
        p.grad = None
    ys, final = scan(cell, xs, **options)
    leaves = dict(zip(names(final), flatten(final), strict=True))
    ((ys.data**2).sum() + (2 * leaves["z"] + leaves["a"]).sum()).backward()
    gradients = [p.grad.numpy() for p in cell.parameters() if p.grad is not None]
    return [ys.data.numpy(), leaves["z"].numpy(), leaves["a"].numpy(), *gradients]


@pytest.mark.parametrize("options", [{"compiled": True}, {"compiled": False}, {"reverse": True}])
@pytest.mark.parametrize(
    ("form", "after"),
    [("dict", ""), ("turned", ""), ("data", ""), ("frozen", ""), ("dict", "turned"), ("turned", "dict")],
)
def test_every_form_gives_the_same(form: str, after: str, options: dict[str, Any]) -> None:
    """Also where a step gives the parts of a dict in another order than it was given them."""
    for got, want in zip(run(Pair(form=form, after=after), **options), run(Pair(), **options), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("form", MADE)
def test_every_form_keeps_the_laws(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinyseq.cells, "_registered", {})
    tinyseq.register("cell", f"pair-{form}")(type(f"Pair{form}", (Pair,), {}))
    report = check(tinyseq.cells[f"pair-{form}"], cases=[{"input_size": 3, "hidden_size": 4, "form": form}])
    assert report.ok, str(report)


def test_a_state_stays_of_its_form_and_goes_on() -> None:
    cell = Pair(form="dict")
    xs = Sequences.from_list([np.ones((4, 3), "f")])
    whole, _ = scan(cell, xs)
    _, state = scan(cell, xs.from_padded(xs.to_padded()[:, :2]))
    assert list(state) == ["z", "a"]
    rest, _ = scan(cell, xs.from_padded(xs.to_padded()[:, 2:]), tinyseq.detach(state))
    np.testing.assert_allclose(rest.data.numpy(), whole.data.numpy()[2:], atol=1e-6)
    step = Recurrent(cell).stream(state)
    with tinyseq.no_grad():
        np.testing.assert_allclose(
            step(xs.to_padded()[:, 2]).numpy(), whole.to_padded()[:, 2].numpy(), atol=1e-6
        )


def test_a_step_that_leaves_a_part_out_is_refused() -> None:
    class Loses(Pair):
        def step(self, x: Tensor, state: Any) -> Any:
            a, new = super().step(x, state)
            del new["z"]
            return a, new

    for compiled in (True, False):
        with pytest.raises(ShapeError, match=r"state like the one it was given: state.a .*, state.z .*, not"):
            scan(Loses(form="dict"), Sequences.from_list([np.ones((2, 3), "f")]), compiled=compiled)


def test_trees_nest() -> None:
    tree = {"b": (1, Data(2, 3)), "a": [4]}  # type: ignore[arg-type]
    assert names(tree) == ["a", "b.0", "b.1.z", "b.1.a"]
    assert flatten(tree) == [[4], 1, 2, 3]
    again = rebuild(tree, iter(["four", "one", "two", "three"]))
    assert again == {"b": ("one", Data("two", "three")), "a": "four"}  # type: ignore[arg-type]
    assert list(again) == ["b", "a"]


def test_carried_states_go_into_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinyseq.cells, "_registered", {})
    tinyseq.register("cell", "pair")(Pair)
    rng = np.random.default_rng(0)
    batches = [
        (rng.normal(size=(2, 3, 3)).astype("f"), rng.normal(size=(2, 3, 4)).astype("f")) for _ in range(4)
    ]
    batches = [tuple(Sequences.from_padded(part) for part in batch) for batch in batches]  # type: ignore[misc]

    class Stops:
        def __call__(self, trainer: Trainer, step: Any) -> None:
            if step.number == 2:
                trainer.save()

    def trainer(folder: Path, **options: Any) -> Trainer:
        random.seed(0)
        cell = LearnedStart(Zoneout(Pair(form="dict"), {"z": 0.3}))
        model = SequenceModel(tinyseq.nn.Linear(3, 3), Recurrent(cell), tinyseq.heads["regressor"](4, 4))
        return Trainer(
            model, SGD(model, lr=0.1), carried_state, bars=False, measure=False, directory=folder, **options
        )

    straight = trainer(tmp_path / "a")
    straight.fit(batches, epochs=1)
    half = trainer(tmp_path / "b", after_step=[Stops()], save_seconds=1e9)
    half.after_epoch = (lambda *_: 1 / 0,)  # the epoch's own checkpoint is never written
    with pytest.raises(ZeroDivisionError):
        half.fit(batches, epochs=1)
    resumed = trainer(tmp_path / "b")
    resumed.resume()
    assert list(resumed.state) == ["z", "a"]
    resumed.fit(batches, epochs=1)
    for name, value in straight.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], value)


def test_a_learnt_start_is_where_sequences_begin_and_is_trained() -> None:
    cell = LearnedStart(RNN(3, 4))
    (start,) = [p for name, p in cell.named_parameters() if name.startswith("start")]
    start.data[...] = [[0.5, -0.5, 1.0, 0.0]]
    xs = Sequences.from_list([np.ones((2, 3), "f"), np.ones((3, 3), "f")])
    given = Tensor(np.tile(start.numpy(), (2, 1)), requires_grad=True)
    state = type(cell.cell.initial_state(1))(given)
    scan(cell.cell, xs, state)[0].data.sum().backward()
    scan(cell, xs)[0].data.sum().backward()
    assert start.grad is not None
    assert given.grad is not None
    np.testing.assert_allclose(start.grad.numpy(), given.grad.numpy().sum(0, keepdims=True), rtol=1e-5)
