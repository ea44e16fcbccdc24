"""Arrays belong to whoever made them: they may be filled anew, and are never written without a word."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Recurrent, Sequences, Tensor, checkpoint, detect_anomaly, enable_grad, no_grad, ops
from tinyseq.engine import is_grad_enabled
from tinyseq.errors import NonFiniteError
from tinyseq.nn import Dropout, Embedding, Linear, Parameter, Sequential

WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "a Tensor's data": lambda x, b: (Tensor(b["floats"]) * x).sum(),
    "a factor": lambda x, b: (x * b["floats"]).sum(),
    "the right of a product": lambda x, b: (x.reshape(1, 3) @ b["matrix"]).sum(),
    "a condition": lambda x, b: ops.where(b["mask"], x, 0).sum(),
    "an index": lambda x, b: (x[b["ids"]] * Tensor([1.0, 2.0, 3.0])).sum(),
    "an index of rows": lambda x, b: (x.reshape(3, 1)[b["ids"], 0] * Tensor([1.0, 2.0, 3.0])).sum(),
    "ids to take": lambda x, b: (ops.take(x, b["ids"], axis=0) * Tensor([1.0, 2.0, 3.0])).sum(),
    "targets": lambda x, b: tinyseq.losses["cross-entropy"]()(ops.stack([x, 2 * x, -x]), b["ids"]),
    "sequences": lambda x, b: (Sequences.from_list([b["floats"]]).data * x).sum(),
    "a padded batch": lambda x, b: (Sequences.from_padded(b["padded"]).data * x).sum(),
}


def buffers() -> dict[str, Any]:
    return {
        "floats": np.array([1.0, 2.0, 3.0], "f"),
        "matrix": np.eye(3, dtype="f"),
        "mask": np.array([True, False, True]),
        "ids": np.array([0, 0, 2]),
        "padded": np.array([[[1.0, 2.0, 3.0]]], "f"),
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_buffer_may_be_filled_anew_before_the_gradient(way: str) -> None:
    found = []
    for spoil in (False, True):
        x, held = Tensor([0.5, 1.5, -1.0], requires_grad=True), buffers()
        loss = WAYS[way](x, held)
        if spoil:
            for array in held.values():
                array[...] = array[..., ::-1] + (array.dtype.kind == "f") if array.dtype.kind != "i" else 1
        loss.backward()
        assert x.grad is not None
        found.append(x.grad.numpy())
    np.testing.assert_array_equal(found[1], found[0])


def test_second_derivatives_keep_the_first_contents() -> None:
    x, factor = Tensor([2.0, 3.0], requires_grad=True), np.array([5.0, 7.0], "f")
    with tinyseq.higher_order():
        y = (x * x * factor).sum()
        factor[...] = 0
        (g,) = tinyseq.grad(y, [x], create_graph=True)
        (h,) = tinyseq.grad(g.sum(), [x])
    np.testing.assert_allclose(h.numpy(), [10.0, 14.0])


def test_ids_of_an_embedding_and_features_of_a_cell() -> None:
    table, ids = Embedding(4, 1), np.array([0, 1])
    loss = table(ids).sum()
    ids[...] = [2, 3]
    loss.backward()
    assert table.weight.grad is not None
    assert table.weight.grad.numpy().ravel().tolist() == [1, 1, 0, 0]
    layer, data = Recurrent(tinyseq.cells["gru"](2, 2)), np.ones((1, 3, 2), "f")
    layer(Tensor(data)).sum().backward()
    right = layer.cell.w_x.grad.numpy()
    layer.zero_grad()
    loss = layer(Tensor(data)).sum()
    data[...] = 5
    loss.backward()
    np.testing.assert_array_equal(layer.cell.w_x.grad.numpy(), right)


def test_an_array_that_a_tensor_is_added_to_gets_its_values() -> None:
    t = Tensor([1.0, 2.0], requires_grad=True)
    seen = np.zeros(2)
    for _ in range(3):
        seen += t
        seen -= t / 2
    assert type(seen) is np.ndarray
    assert seen.tolist() == [1.5, 3.0]


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.power, np.greater, np.maximum])
def test_results_are_not_dropped_in_silence(ufunc: Any) -> None:
    out, t = np.zeros(2, bool if ufunc is np.greater else float), Tensor([1.0, 2.0])
    for options in ({"out": out}, {"where": np.array([True, False])}):
        with pytest.raises(TypeError, match=f"numpy.{ufunc.__name__} with .*= would lose the gradient"):
            ufunc(np.ones(2), t, **options)
    assert not out.any()


def test_a_checkpoint_draws_the_same_numbers_again() -> None:
    drop = Dropout(0.5)
    block = Sequential(Linear(4, 8), drop, Linear(8, 1))
    found = []
    for used in (lambda f, x: f(x), checkpoint, lambda f, x: checkpoint(lambda y: checkpoint(f, y), x)):
        tinyseq.seed(7)
        block.zero_grad()
        loss = (used(block, Tensor(np.ones((8, 4), "f"))) ** 2).sum()
        after = tinyseq.random.generator().random()
        loss.backward()
        found.append(
            (loss.item(), after, block.layers[0].weight.grad.numpy(), tinyseq.random.generator().random())
        )
    for other in found[1:]:
        assert other[:2] == found[0][:2]
        np.testing.assert_allclose(other[2], found[0][2], rtol=1e-5)
        assert other[3] == found[0][3], "the backward pass draws nothing"


w = Parameter(np.array([2.0], "f"))


def test_decorators_reach_into_functions_of_every_kind() -> None:
    @no_grad()
    def plain() -> Any:
        return w * 2

    @no_grad()
    def values() -> Iterator[Any]:
        got = yield w * 1
        yield w * got
        return "end"

    @no_grad()
    async def awaited() -> Any:
        await asyncio.sleep(0)
        return w * 2

    @no_grad()
    async def stream() -> AsyncIterator[Any]:
        for i in range(3):
            yield w * i

    async def collect() -> list[Any]:
        return [(value, is_grad_enabled()) async for value in stream()]

    assert not plain().requires_grad
    generator = values()
    assert not next(generator).requires_grad
    assert is_grad_enabled(), "between two values the caller's own mode holds"
    assert not generator.send(3.0).requires_grad
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "end"
    assert not asyncio.run(awaited()).requires_grad
    assert [(v.requires_grad, mode) for v, mode in asyncio.run(collect())] == [(False, True)] * 3
    with no_grad():
        assert enable_grad()(lambda: w * 1)().requires_grad
    assert (w * 1).requires_grad


def test_a_decorated_generator_can_be_closed_and_thrown_into() -> None:
    closed = []

    @no_grad()
    def values() -> Iterator[Any]:
        try:
            yield 1
            yield 2
        except KeyError:
            yield 3
        finally:
            closed.append(is_grad_enabled())

    generator = values()
    next(generator)
    assert generator.throw(KeyError("x")) == 3  # type: ignore[attr-defined]
    generator.close()  # type: ignore[attr-defined]
    assert len(closed) == 1
    assert is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("subtract", lambda x: (x + np.inf) - np.inf),
        ("multiply", lambda x: x * -np.inf),
        ("divide", lambda x: (x + np.inf) / Tensor([np.inf])),
        (
            "subtract",
            lambda x: ops.where(np.array([False]), x, -np.inf) - ops.where(np.array([False]), x, -np.inf),
        ),
    ],
)
def test_the_first_nan_is_found_among_infinities(name: str, made: Any) -> None:
    x = Tensor([0.0], requires_grad=True)
    with (
        detect_anomaly(),
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteError, match=rf"{name}\(\) gave NaN"),
    ):
        made(x)


def test_infinities_that_masks_bring_are_no_anomaly() -> None:
    x = Tensor([[0.5, 1.0]], requires_grad=True)
    with detect_anomaly():
        scores = ops.where(np.array([[True, False]]), x, -np.inf)
        ops.softmax(scores).sum().backward()


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_features_take_the_dtype_of_the_cell(compiled: Any, dtype: str) -> None:
    features = np.random.default_rng(0).standard_normal((2, 5, 3)).astype(dtype)
    for name in tinyseq.cells:
        layer = Recurrent(tinyseq.cells[name](3, 4), compiled=compiled)
        ys = layer(Sequences.from_padded(features)).data
        assert ys.dtype == np.float32
        want = layer(Sequences.from_padded(features.astype("f"))).data
        np.testing.assert_array_equal(ys.numpy(), want.numpy())
