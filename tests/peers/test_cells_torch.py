"""RNN, GRU, LSTM, both directions, two layers equal PyTorch's: outputs, final states and every gradient."""

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
from tinyseq import Cell, Recurrent, Sequences, Tensor
from tinyseq.scan.state import flatten, tree_map

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")

INPUT, HIDDEN = 3, 4
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)
dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])


def random_weights(layer: Any, seed: int, dtype: str) -> Any:
    """The layer with every parameter random: biases that are 0 would hide a mistake."""
    rng = np.random.default_rng(seed)
    layer.to(dtype)
    for parameter in layer.parameters():
        parameter.data = (0.5 * rng.normal(size=parameter.shape)).astype(dtype)
    return layer


def negate_update(array: Any) -> Any:
    """Gates r, z, n with z negated: PyTorch's z is 1 - z here, and 1 - sigmoid(u) = sigmoid(-u)."""
    signs = np.repeat([1, -1, 1], HIDDEN).astype(array.dtype)
    return array * signs


def copy_cell(cell: Any, module: Any, suffix: str) -> None:
    """The cell's weights into one layer and direction of a torch module, whose second bias is 0 or b_h."""
    turn = negate_update if isinstance(cell, GRU) else np.asarray
    second = np.zeros(cell.b.shape, cell.b.dtype)
    if isinstance(cell, GRU):
        second[2 * HIDDEN :] = cell.b_h.numpy()
    values = {
        "weight_ih": turn(cell.w_x.numpy()).T,
        "weight_hh": turn(cell.w_h.numpy()).T,
        "bias_ih": turn(cell.b.numpy()),
        "bias_hh": second,
    }
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, f"{name}_{suffix}").copy_(torch.tensor(np.ascontiguousarray(value)))


def assert_same_gradients(cell: Any, module: Any, suffix: str, check: Callable[[Any, Any], None]) -> None:
    turn = negate_update if isinstance(cell, GRU) else np.asarray
    theirs = {n: getattr(module, f"{n}_{suffix}").grad.numpy() for n in ("weight_ih", "weight_hh", "bias_ih")}
    check(cell.w_x.grad.numpy(), turn(theirs["weight_ih"].T))
    check(cell.w_h.grad.numpy(), turn(theirs["weight_hh"].T))
    check(cell.b.grad.numpy(), turn(theirs["bias_ih"]))
    if isinstance(cell, GRU):
        check(cell.b_h.grad.numpy(), getattr(module, f"bias_hh_{suffix}").grad.numpy()[2 * HIDDEN :])


def checker(dtype: str) -> Callable[[Any, Any], None]:
    tolerance = TOLERANCE[dtype]

    def check(ours: Any, theirs: Any) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)

    return check


def cells_of(layer: Any) -> list[Any]:
    """In torch's order: layer by layer, forward before backward."""
    return [module for module in layer.modules() if isinstance(module, Cell)]


PAIRS: dict[str, tuple[Callable[[int], Cell], Callable[..., Any]]] = {
    "rnn-tanh": (lambda width: RNN(width, HIDDEN), torch.nn.RNN),
    "rnn-relu": (
        lambda width: RNN(width, HIDDEN, activation="relu"),
        lambda *sizes, **options: torch.nn.RNN(*sizes, nonlinearity="relu", **options),
    ),
    "gru-after": (lambda width: GRU(width, HIDDEN, reset="after"), torch.nn.GRU),
    "lstm": (lambda width: LSTM(width, HIDDEN), torch.nn.LSTM),
}


def built(name: str, shape: str) -> tuple[Any, Any]:
    ours, theirs = PAIRS[name]
    if shape == "one layer":
        return Recurrent(ours(INPUT)), theirs(INPUT, HIDDEN)
    if shape == "bidirectional":
        return Bidirectional(ours(INPUT), ours(INPUT)), theirs(INPUT, HIDDEN, bidirectional=True)
    if shape == "two layers":
        return Deep(ours(INPUT), ours(HIDDEN)), theirs(INPUT, HIDDEN, num_layers=2)
    below, above = (Bidirectional(ours(width), ours(width)) for width in (INPUT, 2 * HIDDEN))
    return Deep(below, above), theirs(INPUT, HIDDEN, num_layers=2, bidirectional=True)


@dtypes
@pytest.mark.parametrize("shape", ["one layer", "bidirectional", "two layers", "two layers, bidirectional"])
@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=15)
@given(lengths=lengths, seed=seeds)
def test_layers_equal_torch(name: str, shape: str, dtype: str, lengths: list[int], seed: int) -> None:
    """Ragged batches by pack_padded_sequence, with initial states, and a cotangent for all that comes out."""
    check, rng = checker(dtype), np.random.default_rng(seed)
    layer, module = built(name, shape)
    random_weights(layer, seed, dtype)
    module.to(getattr(torch, dtype))
    suffixes = [
        f"l{k}{way}" for k in range(module.num_layers) for way in ("", "_reverse")[: 1 + module.bidirectional]
    ]
    for cell, suffix in zip(cells_of(layer), suffixes, strict=True):
        copy_cell(cell, module, suffix)

    batch = len(lengths)
    padded = rng.normal(size=(batch, max(lengths), INPUT)).astype(dtype)
    x = Tensor(padded, requires_grad=True)
    random = lambda s: Tensor((0.5 * rng.normal(size=s.shape)).astype(dtype), requires_grad=True)
    state = tree_map(random, layer.initial_state(batch))
    ys, final = layer.scan(Sequences.from_padded(x, lengths), state)

    px = torch.tensor(padded, requires_grad=True)
    per_cell = len(flatten(state)) // len(suffixes)  # one state, or h and c: torch stacks each over the cells
    peers = [
        torch.stack([torch.tensor(s.numpy()) for s in flatten(state)[k::per_cell]]).requires_grad_()
        for k in range(per_cell)
    ]
    packed = torch.nn.utils.rnn.pack_padded_sequence(px, lengths, batch_first=True, enforce_sorted=False)
    out, last = module(packed, tuple(peers) if per_cell > 1 else peers[0])
    pys, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    lasts = last if per_cell > 1 else (last,)

    ours = [ys.to_padded(), *flatten(final)]
    theirs = [pys, *[lasts[k][i] for i in range(len(suffixes)) for k in range(per_cell)]]
    for y, py in zip(ours, theirs, strict=True):
        check(y.numpy(), py.detach().numpy())
    cotangents = [rng.normal(size=y.shape).astype(dtype) for y in ours]
    loss = Tensor(0.0, dtype)
    for y, g in zip(ours, cotangents, strict=True):
        loss = loss + (y * Tensor(g)).sum()
    loss.backward()
    sum((py * torch.tensor(g)).sum() for py, g in zip(theirs, cotangents, strict=True)).backward()
    check(x.grad.numpy(), px.grad.numpy())  # type: ignore[union-attr]
    for k, peer in enumerate(peers):
        check(np.stack([s.grad.numpy() for s in flatten(state)[k::per_cell]]), peer.grad.numpy())
    for cell, suffix in zip(cells_of(layer), suffixes, strict=True):
        assert_same_gradients(cell, module, suffix, check)


def gru_before(x: Any, h: Any, w: Any) -> Any:
    """Cho et al. (2014), as torch would be written: the reset gate acts before the recurrent product."""
    (x_r, x_z, x_n), (w_r, w_z, w_n) = (x @ w["w_x"] + w["b"]).split(HIDDEN, -1), w["w_h"].split(HIDDEN, -1)
    r, z = torch.sigmoid(x_r + h @ w_r), torch.sigmoid(x_z + h @ w_z)
    h = (1 - z) * h + z * torch.tanh(x_n + (r * h) @ w_n)
    return h, h


def lstm_peephole(x: Any, state: Any, w: Any) -> Any:
    """Graves (2013), equations 7 to 11, with diagonal peepholes."""
    h, c = state
    i, f, g, o = (x @ w["w_x"] + h @ w["w_h"] + w["b"]).split(HIDDEN, -1)
    i, f = torch.sigmoid(i + w["p_i"] * c), torch.sigmoid(f + w["p_f"] * c)
    c = f * c + i * torch.tanh(g)
    h = torch.sigmoid(o + w["p_o"] * c) * torch.tanh(c)
    return h, (h, c)


def lstm_linear(x: Any, state: Any, w: Any) -> Any:
    """Other activations: hard-sigmoid gates, a softplus candidate, and the memory shown as it is."""
    h, c = state
    i, f, g, o = (x @ w["w_x"] + h @ w["w_h"] + w["b"]).split(HIDDEN, -1)
    gate = lambda u: (u / 6 + 0.5).clamp(0, 1)  # the gradient of torch's hardsigmoid takes 1/6 from float32
    c = gate(f) * c + gate(i) * torch.nn.functional.softplus(g)
    h = gate(o) * c
    return h, (h, c)


LINEAR = {"gate": "hard_sigmoid", "candidate": "softplus", "cell_output": "linear"}
BY_HAND: dict[str, tuple[Callable[[], Cell], Callable[..., Any]]] = {
    "gru-before": (lambda: GRU(INPUT, HIDDEN, reset="before"), gru_before),
    "lstm-peephole": (lambda: LSTM(INPUT, HIDDEN, peepholes=True), lstm_peephole),
    "lstm-linear": (lambda: LSTM(INPUT, HIDDEN, **LINEAR), lstm_linear),  # type: ignore[arg-type]
}


@dtypes
@pytest.mark.parametrize("name", BY_HAND)
@settings(max_examples=15)
@given(lengths=lengths, reverse=st.booleans(), seed=seeds)
def test_cells_that_torch_lacks_equal_a_torch_loop(
    name: str, dtype: str, lengths: list[int], reverse: bool, seed: int
) -> None:
    """Each sequence by itself, step by step, through torch's autograd."""
    check, rng = checker(dtype), np.random.default_rng(seed)
    make, step = BY_HAND[name]
    cell = random_weights(make(), seed, dtype)
    weights = {
        path: torch.tensor(p.numpy().copy(), requires_grad=True) for path, p in cell.named_parameters()
    }
    rows = [rng.normal(size=(n, INPUT)).astype(dtype) for n in lengths]
    cotangents = [rng.normal(size=(n, HIDDEN)).astype(dtype) for n in lengths]
    xs = [Tensor(row, requires_grad=True) for row in rows]
    ys, final = tinyseq.scan(cell, Sequences.from_list(xs), reverse=reverse)
    loss = (ys.data * Sequences.from_list(cotangents).data).sum() + sum(s.sum() for s in final)
    loss.backward()

    peers = [torch.tensor(row, requires_grad=True) for row in rows]
    total = 0
    for i, (peer, cotangent) in enumerate(zip(peers, cotangents, strict=True)):
        zero = torch.zeros(1, HIDDEN, dtype=peer.dtype)
        state: Any = (zero, zero) if len(final) == 2 else zero
        for t in reversed(range(len(peer))) if reverse else range(len(peer)):
            y, state = step(peer[t : t + 1], state, weights)
            check(ys.to_list()[i].numpy()[t], y.detach().numpy()[0])
            total = total + (y[0] * torch.tensor(cotangent[t])).sum()
        total = total + sum(s.sum() for s in (state if len(final) == 2 else (state,)))
        check(final[0].numpy()[i], (state[0] if len(final) == 2 else state).detach().numpy()[0])
    total.backward()  # type: ignore[attr-defined]
    for x, peer in zip(xs, peers, strict=True):
        check(x.grad.numpy(), peer.grad.numpy())  # type: ignore[union-attr]
    for path, parameter in cell.named_parameters():
        check(parameter.grad.numpy(), weights[path].grad.numpy())
