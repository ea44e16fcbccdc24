"""Weights go to PyTorch and Keras and come back: outputs and gradients are theirs, whichever way."""

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN

import tinyseq
from tinyseq import Recurrent, Tensor
from tinyseq.errors import ConfigError, DataError
from tinyseq.interop import keras as from_keras
from tinyseq.interop import torch as from_torch
from tinyseq.interop.arrays import write_safetensors
from tinyseq.nn import Embedding, LayerNorm, Linear, Sequential

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
os.environ["KERAS_BACKEND"] = "torch"  # read when Keras is imported
keras = pytest.importorskip("keras", reason="needs Keras: pip install '.[test-peers]'")

INPUT, HIDDEN = 3, 4
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
SHAPES = ("one layer", "bidirectional", "two layers", "two layers, bidirectional")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras

dtypes = pytest.mark.parametrize("dtype", list(TOLERANCE))
seeds = st.integers(0, 2**32 - 1)
Make = Callable[..., Any]


def shaped(make: Make, shape: str) -> Any:
    both = lambda width: Bidirectional(make(width), make(width))
    if shape == "one layer":
        return Recurrent(make(INPUT))
    if shape == "bidirectional":
        return both(INPUT)
    if shape == "two layers":
        return Deep(make(INPUT), make(HIDDEN))
    return Deep(both(INPUT), both(2 * HIDDEN))


def close(ours: Any, theirs: Any, dtype: str) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def compared(layer: Any, module: Any, x: Any, dtype: str, rng: Any) -> None:
    """Outputs and the gradient of the inputs; module: torch tensors in, torch tensors out."""
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, py = layer(ours), module(theirs)
    close(y.numpy(), py.detach().numpy(), dtype)
    cotangent = rng.normal(size=y.shape).astype(dtype)
    (y * Tensor(cotangent)).sum().backward()
    (py * torch.tensor(cotangent)).sum().backward()
    close(ours.grad.numpy(), theirs.grad.numpy(), dtype)  # type: ignore[union-attr]


CELLS: dict[str, tuple[Make, Make]] = {
    "rnn": (lambda width: RNN(width, HIDDEN), torch.nn.RNN),
    "relu": (
        lambda width: RNN(width, HIDDEN, activation="relu"),
        lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
    ),
    "gru": (lambda width: GRU(width, HIDDEN, reset="after"), torch.nn.GRU),
    "lstm": (lambda width: LSTM(width, HIDDEN), torch.nn.LSTM),
}


@dtypes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CELLS)
def test_recurrences_of_torch(name: str, shape: str, bias: bool, dtype: str) -> None:
    """From the module, through both libraries, back, and through a file; gradients of weights as well."""
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    make, theirs = CELLS[name]
    depth = {"num_layers": 1 + shape.startswith("two"), "bidirectional": shape.endswith("bidirectional")}
    module = theirs(INPUT, HIDDEN, batch_first=True, bias=bias, **depth).to(getattr(torch, dtype))
    layer = shaped(make, shape).to(dtype)
    from_torch.load(layer, module)
    x = rng.normal(size=(2, 5, INPUT)).astype(dtype)
    compared(layer, lambda px: module(px)[0], x, dtype, rng)

    again = theirs(INPUT, HIDDEN, batch_first=True, **depth).to(getattr(torch, dtype))
    given_back = {key: torch.from_numpy(array) for key, array in from_torch.state_dict(layer).items()}
    again.load_state_dict(given_back)
    for part in again.parameters():
        part.grad = None
    layer.zero_grad()
    compared(layer, lambda px: again(px)[0], x, dtype, rng)
    # the gradients go the way of the weights, but that of a sum of biases is that of either
    gradients = shaped(make, shape).to(dtype)
    from_torch.load(gradients, {key: _once(name, key, p.grad) for key, p in again.named_parameters()})
    for (path, ours), (_, wanted) in zip(layer.named_parameters(), gradients.named_parameters(), strict=True):
        assert ours.grad is not None, path
        close(ours.grad.numpy(), wanted.numpy(), dtype)


def _once(name: str, key: str, gradient: Any) -> Any:
    """The gradient of a second bias, 0 for the gates whose two biases are one here."""
    kept = torch.arange(len(gradient)) >= 2 * HIDDEN if name == "gru" else 0
    return gradient * kept if "bias_hh" in key else gradient


KERAS: dict[str, tuple[Make, Make]] = {
    "rnn": (lambda width: RNN(width, HIDDEN), keras.layers.SimpleRNN),
    "gru-after": (lambda width: GRU(width, HIDDEN, reset="after"), keras.layers.GRU),
    "gru-before": (
        lambda width: GRU(width, HIDDEN, reset="before"),
        lambda *sizes, **options: keras.layers.GRU(*sizes, reset_after=False, **options),
    ),
    "lstm": (lambda width: LSTM(width, HIDDEN), keras.layers.LSTM),
    "lstm-hard": (
        lambda width: LSTM(width, HIDDEN, gate="hard_sigmoid", candidate="relu", cell_output="relu"),
        lambda *sizes, **options: keras.layers.LSTM(
            *sizes, activation="relu", recurrent_activation="hard_sigmoid", **options
        ),
    ),
}


def keras_shaped(make: Make, shape: str) -> Any:
    one = lambda: make(HIDDEN, return_sequences=True)
    layer = (lambda: keras.layers.Bidirectional(one())) if shape.endswith("al") else one
    model = keras.Sequential([layer() for _ in range(1 + shape.startswith("two"))])
    model.build((None, None, INPUT))
    return model


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KERAS)
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_recurrences_of_keras(name: str, shape: str, seed: int) -> None:
    """As a list, and back as one; in float32, since Keras multiplies float64 matrices in it as well."""
    dtype = "float32"
    rng = np.random.default_rng(seed)
    make, theirs = KERAS[name]
    model, layer = keras_shaped(theirs, shape), shaped(make, shape)
    model.set_weights([0.5 * rng.normal(size=w.shape) for w in model.get_weights()])
    from_keras.load(layer, model.get_weights())
    x = rng.normal(size=(2, 5, INPUT)).astype(dtype)
    compared(layer, model, x, dtype, rng)

    before = model(x).detach().numpy()
    model.set_weights(list(from_keras.state_dict(layer).values()))
    close(model(x).detach().numpy(), before, dtype)
    fresh = shaped(make, shape).to(dtype)
    from_keras.load(fresh, from_keras.state_dict(layer))
    np.testing.assert_array_equal(fresh(Tensor(x)).numpy(), layer(Tensor(x)).numpy())
    if not shape.startswith("two"):
        from_keras.load(fresh, {w.path: w for w in model.weights})
        from_keras.load(fresh, model.layers[0])


@dtypes
def test_a_model_goes_by_the_paths_of_its_attributes(dtype: str) -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(INPUT, HIDDEN), torch.nn.LayerNorm(HIDDEN), torch.nn.Linear(HIDDEN, 2)
    ).to(getattr(torch, dtype))
    layer = Sequential(Linear(INPUT, HIDDEN), LayerNorm(HIDDEN), Linear(HIDDEN, 2)).to(dtype)
    renamed = {f"layers.{key}": value for key, value in module.state_dict().items()}
    from_torch.load(layer, renamed)
    compared(layer, module, rng.normal(size=(4, INPUT)).astype(dtype), dtype, rng)
    assert from_torch.state_dict(layer).keys() == renamed.keys()
    from_torch.load(layer.layers[2], renamed, prefix="layers.2.")


def test_a_list_of_keras() -> None:
    rng = np.random.default_rng(0)
    layer = Sequential(Linear(INPUT, HIDDEN), LayerNorm(HIDDEN), Linear(HIDDEN, 2))
    inner = [keras.layers.Dense(HIDDEN), keras.layers.LayerNormalization(epsilon=1e-5), keras.layers.Dense(2)]
    stack = keras.Sequential(inner)
    stack.build((None, INPUT))
    stack.set_weights([rng.normal(size=w.shape) for w in stack.get_weights()])
    from_keras.load(layer, stack.get_weights())
    compared(layer, stack, rng.normal(size=(4, INPUT)).astype("float32"), "float32", rng)


def test_tables_of_both() -> None:
    table, ids = Embedding(7, HIDDEN), np.array([[1, 6, 0]])
    module = torch.nn.Embedding(7, HIDDEN)
    from_torch.load(table, module)
    np.testing.assert_array_equal(table(ids).numpy(), module(torch.tensor(ids)).detach().numpy())
    layer = keras.layers.Embedding(7, HIDDEN)
    layer.build()
    from_keras.load(table, layer)
    np.testing.assert_array_equal(table(ids).numpy(), layer(ids).detach().numpy())


def test_a_cell_of_torch() -> None:
    cell, module = LSTM(INPUT, HIDDEN), torch.nn.LSTMCell(INPUT, HIDDEN)
    from_torch.load(cell, module)
    x = np.ones((2, INPUT), np.float32)
    y, _ = cell(Tensor(x), cell.initial_state(2))
    close(y.numpy(), module(torch.tensor(x))[0].detach().numpy(), "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_files_are_read_without_torch(dtype: str, tmp_path: Any) -> None:
    from safetensors.torch import save_file

    module = torch.nn.GRU(INPUT, HIDDEN).to(getattr(torch, dtype))
    save_file({f"rnn.{k}": v for k, v in module.state_dict().items()}, tmp_path / "theirs.safetensors")
    ours, wanted = (Recurrent(GRU(INPUT, HIDDEN, reset="after")).to("float64") for _ in range(2))
    from_torch.load(ours, tmp_path / "theirs.safetensors", prefix="rnn.")
    from_torch.load(wanted, module.double().state_dict())
    for one, other in zip(ours.parameters(), wanted.parameters(), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    write_safetensors(tmp_path / "ours.safetensors", from_torch.state_dict(ours))
    from_torch.load(wanted, tmp_path / "ours.safetensors")


def test_files_of_other_formats_are_named(tmp_path: Any) -> None:
    """No pickle is opened, whatever it is called."""
    module, path = torch.nn.Linear(3, 4), tmp_path / "weights.safetensors"
    for old in (False, True):
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=not old)
        with pytest.raises(DataError, match="save the weights as safetensors"):
            from_torch.load(Linear(3, 4), path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    with pytest.raises(DataError, match="an HDF5 file"):
        from_keras.load(Linear(3, 4), path)


REFUSED: dict[str, tuple[Callable[[], Any], Callable[[], Any], str]] = {
    "a projection": (
        lambda: Recurrent(LSTM(INPUT, HIDDEN)),
        lambda: torch.nn.LSTM(INPUT, HIDDEN, proj_size=2),
        "weight_hr_l0' is a projection",
    ),
    "one more layer": (
        lambda: Recurrent(LSTM(INPUT, HIDDEN)),
        lambda: torch.nn.LSTM(INPUT, HIDDEN, 2),
        "'weight_ih_l1' is not in the layer",
    ),
    "one layer less": (
        lambda: Deep(LSTM(INPUT, HIDDEN), LSTM(HIDDEN, HIDDEN)),
        lambda: torch.nn.LSTM(INPUT, HIDDEN),
        "weight_ih_l1 is missing",
    ),
    "another kind": (
        lambda: Recurrent(LSTM(INPUT, HIDDEN)),
        lambda: torch.nn.RNN(INPUT, HIDDEN),
        r"weight_ih_l0 has shape (4, 3) where (16, 3) belongs",
    ),
    "another nonlinearity": (
        lambda: Recurrent(RNN(INPUT, HIDDEN)),
        lambda: torch.nn.RNN(INPUT, HIDDEN, nonlinearity="relu"),
        "nonlinearity of PyTorch's RNN is 'relu'; here it is 'tanh'",
    ),
    "another eps": (
        lambda: LayerNorm(4),
        lambda: torch.nn.LayerNorm(4, eps=1e-3),
        "eps of PyTorch's LayerNorm is 0.001",
    ),
    "no bias": (
        lambda: Linear(3, 4),
        lambda: torch.nn.Linear(3, 4, bias=False),
        "bias is missing",
    ),
    "reset before": (
        lambda: Recurrent(GRU(INPUT, HIDDEN)),
        lambda: torch.nn.GRU(INPUT, HIDDEN),
        "applies the reset gate after",
    ),
    "peepholes": (
        lambda: Recurrent(LSTM(INPUT, HIDDEN, peepholes=True)),
        lambda: torch.nn.LSTM(INPUT, HIDDEN),
        "no peepholes",
    ),
    "activations": (
        lambda: Recurrent(LSTM(INPUT, HIDDEN, gate="hard_sigmoid")),
        lambda: torch.nn.LSTM(INPUT, HIDDEN),
        "sigmoid gates and tanh for the rest",
    ),
    "residuals": (
        lambda: Deep(LSTM(4, 4), LSTM(4, 4), residual=True),
        lambda: torch.nn.LSTM(4, 4, 2),
        "add no inputs to outputs",
    ),
    "a reverse reading": (
        lambda: Recurrent(LSTM(4, 4), reverse=True),
        lambda: torch.nn.LSTM(4, 4),
        "backwards only beside",
    ),
    "a part that torch has not": (
        lambda: tinyseq.losses["crf"](3),
        lambda: {},
        "PyTorch has no CRF",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_torch_does_otherwise_is_refused(what: str) -> None:
    make, theirs, said = REFUSED[what]
    layer, source = make(), theirs()
    before = layer.state_dict()
    with pytest.raises((ConfigError, DataError), match=re.escape(said)):
        from_torch.load(layer, source)
    for path, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[path])


def test_a_missing_array_is_named_whichever_it_is() -> None:
    weights = torch.nn.GRU(INPUT, HIDDEN, bidirectional=True).state_dict()
    layer = shaped(CELLS["gru"][0], "bidirectional")
    for key in weights:
        with pytest.raises(DataError, match=f"{key} is missing"):
            from_torch.load(layer, {k: v for k, v in weights.items() if k != key})


@pytest.mark.parametrize(
    ("layer", "theirs", "said"),
    [
        (lambda: Recurrent(GRU(3, 4)), lambda: keras.layers.GRU(4), "make GRU(..., reset='after')"),
        (
            lambda: Recurrent(GRU(3, 4, reset="after")),
            lambda: keras.layers.GRU(4, reset_after=False),
            "make GRU(..., reset='before')",
        ),
        (lambda: Recurrent(LSTM(3, 4)), lambda: keras.layers.LSTM(4, activation="relu"), "activation"),
        (lambda: Recurrent(LSTM(3, 4)), lambda: keras.layers.LSTM(4, use_bias=False), "come by name"),
        (lambda: Recurrent(LSTM(3, 4, peepholes=True)), lambda: keras.layers.LSTM(4), "no peepholes"),
        (
            lambda: Recurrent(LSTM(3, 4, cell_output="linear")),
            lambda: keras.layers.LSTM(4),
            "one activation for the candidate and the output",
        ),
        (lambda: LayerNorm(3), lambda: keras.layers.LayerNormalization(), "epsilon"),
        (lambda: Linear(3, 4), lambda: keras.layers.Dense(4, activation="relu"), "activation"),
    ],
)
def test_what_keras_does_otherwise_is_refused(layer: Make, theirs: Make, said: str) -> None:
    module = theirs()
    module.build((None, 3) if isinstance(module, keras.layers.Dense) else (None, None, 3))
    with pytest.raises((ConfigError, DataError), match=re.escape(said)):
        from_keras.load(layer(), module)


@pytest.mark.parametrize("source", [3, None, {"weight": "text"}, {1: np.ones(2)}, {"weight": [[1], [1, 2]]}])
def test_what_holds_no_weights_is_refused(source: Any) -> None:
    for load in (from_torch.load, from_keras.load):
        with pytest.raises(DataError):
            load(Linear(2, 3, bias=False), source)
