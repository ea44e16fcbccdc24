"""The laws of every registered cell and layer, found by their entry points, whatever they compute."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyseq
from tinyseq import Cell, Layer, Recurrent, Sequences, Tensor, ops
from tinyseq.errors import ConfigError
from tinyseq.nn import Linear, Module
from tinyseq.scan.state import flatten, tree_map
from tinyseq.testing import check_gradients

INPUT, HIDDEN = 3, 4

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)

# What a cell's options can be, to test each variant; a cell that is not here is tested with its defaults.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "rnn": [{}, {"activation": "relu", "recurrent_init": "identity"}],
    "ind-rnn": [{"activation": "relu"}, {"activation": "tanh"}],
    "gru": [{"reset": "before"}, {"reset": "after"}],
    "lstm": [
        {},
        {"peepholes": True},
        {"gate": "hard_sigmoid", "candidate": "softplus", "cell_output": "linear"},
    ],
}


KINKED = (
    "relu",
    "hard_sigmoid",
)  # no differences across a kink: torch and the ops' own tests vouch for these

# How to build a layer with a state. One that is not here fails `test_every_layer_is_here`.
LAYERS: dict[str, Callable[[Any], Layer]] = {
    "recurrent": lambda cls: cls(cell("gru"), reverse=True),
    "bidirectional": lambda cls: cls(cell("lstm"), Recurrent(cell("gru"))),
    "deep": lambda cls: cls(cell("rnn"), Linear(HIDDEN, HIDDEN), cell("lstm", HIDDEN), residual=True),
}


CELLS = {point.name: point.load() for point in entry_points(group="tinyseq.cells")}
OURS = {  # of our layers, those that have a state
    point.name: point.load()
    for point in entry_points(group="tinyseq.layers")
    if point.dist and point.dist.name == "tinyseq" and hasattr(point.load(), "scan")
}


def cell(name: str, input_size: int = INPUT, **options: Any) -> Cell:
    return CELLS[name](input_size, HIDDEN, **options)  # type: ignore[no-any-return]


def of_cells(*, smooth: bool = False) -> list[Any]:
    """Functions that make every registered cell in each of its variants, as a layer."""
    found = []
    for name in CELLS:
        for options in OPTIONS.get(name, [{}]):
            if not (smooth and set(KINKED).intersection(options.values())):
                make = lambda name=name, options=options: Recurrent(cell(name, **options))
                text = ",".join(f"{k}={v}" for k, v in options.items())
                found.append(pytest.param(make, id=f"{name}({text})"))
    return found


def of_layers() -> list[Any]:
    """Functions that make our layers of cells."""
    return [
        pytest.param(lambda name=name: LAYERS[name](OURS[name]), id=name) for name in OURS if name in LAYERS
    ]


every = pytest.mark.parametrize("make", of_cells() + of_layers())


def built(make: Callable[[], Any], seed: int) -> Any:
    """In float64, with every parameter random, so that none is 0 and hides an error."""
    tinyseq.seed(seed)
    layer = make().to("float64")
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data = Tensor(0.5 * rng.normal(size=parameter.shape)).data
    return layer


def drawn(lengths: list[int], seed: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, INPUT)) for n in lengths]


def leaf(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def random_state(layer: Any, batch: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return tree_map(lambda s: leaf(0.5 * rng.normal(size=s.shape)), layer.initial_state(batch))


def assert_same(found: Any, expected: Any) -> None:
    for a, b in zip(flatten(found), flatten(expected), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


def test_every_layer_is_here() -> None:
    assert set(OURS) == set(LAYERS), "say in LAYERS how to build it"


@every
@given(lengths=lengths, seed=seeds)
def test_padding_is_invisible(backend: str, make: Any, lengths: list[int], seed: int) -> None:
    """Each sequence alone gives what it gives in the batch: outputs, final states and every gradient."""
    layer = built(make, seed)
    rows = [leaf(row) for row in drawn(lengths, seed)]
    state = random_state(layer, len(rows), seed)
    leaves = [*rows, *flatten(state), *layer.parameters()]

    def loss(ys: Sequences, final: Any) -> Tensor:
        return sum((s * s).sum() for s in flatten(final)) + (ys.data * ys.data).sum()

    ys, final = layer.scan(Sequences.from_list(rows), state)
    together = tinyseq.grad(loss(ys, final), leaves)
    total = Tensor(0.0, np.float64)
    for i, row in enumerate(rows):
        own = tree_map(lambda s, i=i: s[i : i + 1], state)
        y, last = layer.scan(Sequences.from_list([row]), own)
        assert_same(y.data, ys.to_list()[i])
        assert_same(last, tree_map(lambda s, i=i: s[i : i + 1], final))
        total = total + loss(y, last)
    assert_same(together, tinyseq.grad(total, leaves))


@pytest.mark.parametrize("make", of_cells(smooth=True) + of_layers())
@settings(max_examples=8)
@given(lengths=lengths, seed=seeds)
def test_gradients(backend: str, make: Any, lengths: list[int], seed: int) -> None:
    """First and second order, by inputs, initial states and parameters, against differences."""
    layer = built(make, seed)
    layout = Sequences.from_list(drawn(lengths, seed)).layout
    x = leaf(np.concatenate(drawn(lengths, seed)))
    state = random_state(layer, len(lengths), seed)

    def run() -> list[Tensor]:
        ys, final = layer.scan(Sequences(x, layout), state)
        return [ys.data, *flatten(final)]

    check_gradients(run, [x, *flatten(state), *layer.parameters()], seed=seed)


@every
@given(lengths=lengths, seed=seeds)
def test_the_order_of_the_sequences_does_not_matter(
    backend: str, make: Any, lengths: list[int], seed: int
) -> None:
    layer, rows = built(make, seed), drawn(lengths, seed)
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    ys, final = layer.scan(Sequences.from_list(rows))
    mixed, last = layer.scan(Sequences.from_list([rows[i] for i in order]))
    assert_same(tuple(mixed.to_list()), tuple(ys.to_list()[i] for i in order))
    assert_same(last, tree_map(lambda s: s[np.asarray(order)], final))


@every
def test_a_tensor_goes_in_and_comes_out(backend: str, make: Any) -> None:
    layer = built(make, 0)
    x = np.random.default_rng(0).normal(size=(2, 3, INPUT))
    ys, final = layer.scan(Tensor(x))
    batch, last = layer.scan(Sequences.from_padded(x))
    assert_same((ys, layer(Tensor(x)), final), (batch.to_padded(), batch.to_padded(), last))
    assert (layer.input_size, layer.output_size) == (INPUT, ys.shape[-1])


@every
def test_parameters_are_float32_and_reproducible(make: Any) -> None:
    def weights() -> dict[str, Any]:
        tinyseq.seed(7)
        return make().state_dict()  # type: ignore[no-any-return]

    first, second = weights(), weights()
    assert list(first) == list(second)
    for path, values in first.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, second[path])


@every
def test_nothing_is_stored_while_running(make: Any) -> None:
    def attributes(module: Module) -> list[tuple[str, int]]:
        return [(name, id(value)) for m in module.modules() for name, value in vars(m).items()]

    layer = built(make, 0)
    before = attributes(layer)
    layer(Tensor(np.ones((2, 3, INPUT))))
    assert attributes(layer) == before


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("sizes", "message"), [((0, 2), r"input_size=0"), ((2, 1.5), r"hidden_size=1\.5")])
def test_sizes_are_checked(name: str, sizes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CELLS[name](*sizes)


@pytest.mark.parametrize("make", of_cells())
def test_chunks_with_the_state_carried_equal_the_whole(backend: str, make: Any) -> None:
    layer = built(make, 0)
    x = Tensor(np.random.default_rng(0).normal(size=(2, 5, INPUT)))
    whole, end = layer.scan(x)
    first, state = layer.scan(x[:, :2])
    second, last = layer.scan(x[:, 2:], state)
    assert_same((whole, end), (ops.concatenate([first, second], 1), last))
