"""Cells from the literature against their papers' equations, element by element in plain NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Recurrent, Sequences, no_grad
from tinyseq.errors import ConfigError

Array = np.ndarray[Any, Any]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def blocks(matrix: Array, n: int) -> list[Array]:
    """The blocks of the last axis, one for each gate."""
    return np.split(matrix, n, axis=-1)


def min_gru(p: dict[str, Array], xs: Array) -> list[Array]:
    (w_z, w_n), (b_z, b_n) = blocks(p["w"], 2), blocks(p["b"], 2)
    h, out = np.zeros(len(b_z)), []
    for x in xs:
        z = sigmoid(x @ w_z + b_z)
        h = (1 - z) * h + z * (x @ w_n + b_n)
        out.append(h)
    return out


def min_lstm(p: dict[str, Array], xs: Array) -> list[Array]:
    (w_f, w_i, w_n), (b_f, b_i, b_n) = blocks(p["w"], 3), blocks(p["b"], 3)
    h, out = np.zeros(len(b_f)), []
    for x in xs:
        f, i = sigmoid(x @ w_f + b_f), sigmoid(x @ w_i + b_i)
        h = f / (f + i) * h + i / (f + i) * (x @ w_n + b_n)
        out.append(h)
    return out


def minimal_rnn(p: dict[str, Array], xs: Array) -> list[Array]:
    h, out = np.zeros(len(p["b_u"])), []
    for x in xs:
        z = np.tanh(x @ p["w_x"] + p["b_z"])
        u = sigmoid(h @ p["w_h"] + z @ p["w_z"] + p["b_u"])
        h = u * h + (1 - u) * z
        out.append(h)
    return out


def ind_rnn(p: dict[str, Array], xs: Array) -> list[Array]:
    h, out = np.zeros(len(p["b"])), []
    for x in xs:
        h = np.maximum(x @ p["w_x"] + p["u"] * h + p["b"], 0)
        out.append(h)
    return out


def sru(p: dict[str, Array], xs: Array) -> list[Array]:
    w = blocks(p["w"], p["w"].shape[1] // len(p["b_f"]))
    c, out = np.zeros(len(p["b_f"])), []
    for x in xs:
        f = sigmoid(x @ w[1] + p["v_f"] * c + p["b_f"])
        r = sigmoid(x @ w[2] + p["v_r"] * c + p["b_r"])
        c = f * c + (1 - f) * (x @ w[0])
        out.append(r * c + (1 - r) * np.sqrt(3) * (x @ w[3] if len(w) == 4 else x))
    return out


def qrnn(p: dict[str, Array], xs: Array) -> list[Array]:
    before, now, b = blocks(p["w_prev"], 3), blocks(p["w"], 3), blocks(p["b"], 3)
    c, out = np.zeros(len(b[0])), []
    for t, x in enumerate(xs):
        last = xs[t - 1] if t else np.zeros_like(x)
        n, f, o = (last @ before[k] + x @ now[k] + b[k] for k in range(3))
        c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(n)
        out.append(sigmoid(o) * c)
    return out


def s_lstm(p: dict[str, Array], xs: Array) -> list[Array]:
    w, r, b = (blocks(p[name], 4) for name in ("w", "r", "b"))
    size = len(b[0])
    h, c, n, out = np.zeros(size), np.zeros(size), np.zeros(size), []
    for x in xs:
        z, i, f, o = (x @ w[k] + h @ r[k] + b[k] for k in range(4))
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        out.append(h)
    return out


def m_lstm(p: dict[str, Array], xs: Array) -> list[Array]:
    w, b = blocks(p["w"], 4), blocks(p["b"], 4)
    size = len(b[0])
    c, n, out = np.zeros((size, size)), np.zeros(size), []
    for x in xs:
        q, k, v, o = (x @ w[j] + b[j] for j in range(4))
        k = k / np.sqrt(size)
        i, f = np.exp(x @ p["w_if"][:, 0] + p["b_if"][0]), sigmoid(x @ p["w_if"][:, 1] + p["b_if"][1])
        c = f * c + i * np.outer(v, k)
        n = f * n + i * k
        out.append(sigmoid(o) * (c @ q) / max(abs(n @ q), 1))
    return out


def on_lstm(p: dict[str, Array], xs: Array, chunk: int = 1) -> list[Array]:
    size = p["w_h"].shape[0]
    cuts = [size, 2 * size, 3 * size, 4 * size, 4 * size + size // chunk]
    h, c, out = np.zeros(size), np.zeros(size), []

    def cumax(z: Array) -> Array:
        powers = np.exp(z - z.max())
        return np.repeat(np.cumsum(powers / powers.sum()), chunk)

    for x in xs:
        i, f, g, o, mf, mi = np.split(x @ p["w_x"] + h @ p["w_h"] + p["b"], cuts)
        f_master, i_master = cumax(mf), 1 - cumax(mi)
        overlap = f_master * i_master
        f_hat = sigmoid(f) * overlap + (f_master - overlap)
        i_hat = sigmoid(i) * overlap + (i_master - overlap)
        c = f_hat * c + i_hat * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return out


def lru(p: dict[str, Array], xs: Array) -> list[Array]:
    turn = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    s, out = np.zeros(len(turn), complex), []
    for x in xs:
        s = turn * s + np.exp(p["log_gamma"]) * (x @ (p["w_real"] + 1j * p["w_imaginary"]))
        out.append((s @ (p["c_real"] + 1j * p["c_imaginary"])).real + x @ p["d"])
    return out


PAPERS: dict[str, Callable[[dict[str, Array], Array], list[Array]]] = {
    "min-gru": min_gru,
    "min-lstm": min_lstm,
    "minimal-rnn": minimal_rnn,
    "ind-rnn": ind_rnn,
    "sru": sru,
    "on-lstm": on_lstm,
    "lru": lru,
    "qrnn": qrnn,
    "s-lstm": s_lstm,
    "m-lstm": m_lstm,
}


def test_every_cell_from_the_literature_is_here() -> None:
    ours = {
        name
        for name in tinyseq.cells
        if tinyseq.cells[name].__module__.startswith("tinyseq_cells.literature")
    }
    assert ours == set(PAPERS)


@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize("name", PAPERS)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3), seed=st.integers(0, 2**32 - 1))
def test_the_equations_of_the_paper(name: str, width: int, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = tinyseq.cells[name](width, 4).to("float64")
    values = {path: rng.normal(size=p.shape) for path, p in cell.named_parameters()}
    cell.load_state_dict(values)
    xs = [2 * rng.normal(size=(n, width)) for n in lengths]
    with no_grad():
        found = Recurrent(cell)(Sequences.from_list(xs)).to_list()
    for x, y in zip(xs, found, strict=True):
        np.testing.assert_allclose(y.numpy(), PAPERS[name](values, x), rtol=1e-9, atol=1e-12)


def test_master_gates_may_serve_several_neurons(rng: np.random.Generator) -> None:
    cell = tinyseq.cells["on-lstm"](3, 6, chunk=3).to("float64")
    values = {path: rng.normal(size=p.shape) for path, p in cell.named_parameters()}
    cell.load_state_dict(values)
    x = rng.normal(size=(5, 3))
    found = Recurrent(cell)(Sequences.from_list([x])).data.numpy()
    np.testing.assert_allclose(found, on_lstm(values, x, 3), rtol=1e-9)
    with pytest.raises(ConfigError, match="must divide the hidden size, 6"):
        tinyseq.cells["on-lstm"](3, 6, chunk=4)


def test_linear_units_start_in_the_ring_that_was_asked_for() -> None:
    tinyseq.seed(0)
    p = tinyseq.cells["lru"](3, 2000, smallest=0.6, largest=0.9, phase=1.0).state_dict()
    turn = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    assert 0.6 <= abs(turn).min() < 0.61
    assert 0.89 < abs(turn).max() <= 0.9
    assert 0 <= np.angle(turn).min() < np.angle(turn).max() <= 1
    assert abs(np.quantile(abs(turn) ** 2, 0.5) - (0.36 + 0.81) / 2) < 0.03, "uniform in the area"
    np.testing.assert_allclose(np.exp(p["log_gamma"]), np.sqrt(1 - abs(turn) ** 2), rtol=1e-4)
    with pytest.raises(ConfigError, match="smallest < largest"):
        tinyseq.cells["lru"](3, 4, smallest=0.9, largest=0.5)


@pytest.mark.parametrize("name", PAPERS)
def test_large_inputs_in_float32_stay_finite(name: str) -> None:
    cell = tinyseq.cells[name](3, 4)
    size = 50 if name == "m-lstm" else 1000  # what it has written grows as exp(size), and so do its gradients
    xs = tinyseq.Tensor(size * np.array([[[1, -1, 0.5], [-1, 1, -0.5], [0, 0, 0]]], "f"), requires_grad=True)
    ys = Recurrent(cell)(xs)
    ys.sum().backward()
    assert np.isfinite(ys.numpy()).all()
    assert all(np.isfinite(p.grad.numpy()).all() for p in cell.parameters() if p.grad is not None)
