"""What the tape keeps, in which order it is swept, and what it does not do."""

import gc
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, checkpoint, enable_grad, grad, higher_order, no_grad, ops
from tinyseq.errors import GraphError


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def test_a_chain_of_20000_ops(backend: str) -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    y.sum().backward()
    assert x.grad.item() == 1


def test_a_chain_of_200000_ops_is_freed_without_recursion() -> None:
    y = leaf(1.0)
    for _ in range(200_000):
        y = -y
    del y


def test_a_diamond_of_diamonds_is_swept_once(backend: str) -> None:
    x = leaf(2.0)
    y = x
    for _ in range(60):  # 2 ** 60 paths
        y = (y + y) * 0.5
    y.sum().backward()
    assert x.grad.item() == 1


def test_an_operand_used_twice_by_one_op(backend: str) -> None:
    x = leaf(3.0)
    (x * x).sum().backward()
    assert x.grad.item() == 6


def test_unused_outputs_get_no_gradient_and_used_ones_theirs(backend: str) -> None:
    x = leaf(1.0, 2.0, 3.0)
    first, _, last = ops.split(x, 3)
    (first * 2 + last * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 0, 3])


def test_backward_adds_to_what_is_there(backend: str) -> None:
    x = leaf(1.0)
    for _ in range(2):
        (x * 3).sum().backward()
    assert x.grad.item() == 6
    x.grad = None
    assert x.grad is None


def test_a_gradient_that_two_leaves_share_is_never_written(backend: str) -> None:
    a, b, c = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0, 6.0)
    seed = Tensor(np.array([1.0, 1.0]))
    (a + b).backward(seed)
    (a + c).backward(seed)
    np.testing.assert_array_equal(a.grad.numpy(), [2, 2])
    np.testing.assert_array_equal(b.grad.numpy(), [1, 1])
    np.testing.assert_array_equal(seed.numpy(), [1, 1])


def test_only_what_the_pullbacks_need_is_kept() -> None:
    x, w, b = (Tensor(np.ones((3, 3), np.float32), requires_grad=True) for _ in range(3))
    product = x @ w
    total = product + b
    result = ops.tanh(total) * 2
    watched = [weakref.ref(product.data), weakref.ref(total.data)]
    del product, total
    gc.collect()
    assert [ref() for ref in watched] == [None, None]
    result.sum().backward()
    assert x.grad is not None


def test_a_sweep_frees_the_tape_as_it_goes() -> None:
    x = Tensor(np.ones(3), requires_grad=True)
    y = ops.exp(x)
    kept = weakref.ref(y.data)
    loss = y.sum()
    del y
    assert kept() is not None
    loss.backward()
    assert kept() is None


def test_first_order_keeps_no_more_than_arrays_need_and_higher_order_does() -> None:
    def held(tape: Any) -> int:
        x = Tensor(np.ones(100_000, np.float32), requires_grad=True)
        tracemalloc.start()
        with tape:
            y = x
            for _ in range(10):
                y = ops.tanh(y + 1.0)  # y + 1.0 need not be kept
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    first, higher = held(enable_grad()), held(higher_order())
    assert first < 11 * 400_000 < 19 * 400_000 < higher


def test_no_grad_and_enable_grad() -> None:
    x = leaf(1.0)
    with no_grad():
        assert not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad

    @no_grad()
    def double(x: Tensor) -> Tensor:
        return x * 2

    assert not double(x).requires_grad
    assert (x * 2).requires_grad


def test_modes_are_left_when_an_error_leaves_them() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (leaf(1.0) * 2).requires_grad


def test_enable_grad_does_not_end_higher_order() -> None:
    x = leaf(2.0)
    with higher_order(), no_grad(), enable_grad():
        (g,) = grad((x * x).sum(), x, create_graph=True)
    assert g.requires_grad


def test_modes_belong_to_one_thread() -> None:
    entered, checked = threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        entered.wait(10)
        seen.append((leaf(1.0) * 2).requires_grad)
        with no_grad():
            checked.set()
            entered.clear()
            entered.wait(10)
            seen.append((leaf(1.0) * 2).requires_grad)

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        entered.set()
        assert checked.wait(10)
    assert (leaf(1.0) * 2).requires_grad  # while the other thread is inside its own no_grad()
    entered.set()
    thread.join(10)
    assert seen == [True, False]


def test_two_threads_sweep_their_own_graphs() -> None:
    failures: list[Any] = []

    def work(slope: float) -> None:
        for _ in range(50):
            x = leaf(1.0)
            y = x
            for _ in range(20):
                y = y * slope
            y.sum().backward()
            if not np.isclose(x.grad.item(), slope**20):
                failures.append(x.grad.item())

    threads = [threading.Thread(target=work, args=(s,)) for s in (1.1, 0.9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_detach_stops_the_gradient_and_shares_the_values(backend: str) -> None:
    x = leaf(2.0)
    y = x.detach()
    assert y.data is x.data
    (x * y).sum().backward()
    assert x.grad.item() == 2


def test_a_second_sweep_is_refused_unless_the_tape_was_retained(backend: str) -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8
    with pytest.raises(GraphError) as error:
        y.backward()
    assert str(error.value) == (
        "sum() was differentiated before, and that used up its part of the tape. Add the losses and "
        "differentiate once, or pass retain_graph=True the first time."
    )


def test_a_parameter_changed_since_is_refused() -> None:
    w = leaf(2.0)
    y = (w * w).sum()
    w.data = w.data + 1
    w.source[0].changed_at = tinyseq.engine.tensor.next_serial()
    with pytest.raises(GraphError) as error:
        y.backward()
    assert str(error.value) == (
        "a parameter that multiply() used was changed in place before the gradient was taken, so it would be "
        "wrong: call backward() before the optimiser's step()."
    )
    (w * w).sum().backward()
    assert w.grad.item() == 6


# --- hooks


def test_hooks_see_the_whole_gradient_of_a_leaf_and_of_a_result(backend: str) -> None:
    x = leaf(3.0)
    y = x * 2
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(("x", g.item())))
    y.register_hook(lambda g: seen.append(("y", g.item())))
    (y * y + y).sum().backward()
    assert seen == [("y", 13), ("x", 26)]


def test_what_a_hook_returns_replaces_the_gradient(backend: str) -> None:
    x = leaf(3.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert x.grad.item() == 21


def test_hooks_on_one_output_of_several(backend: str) -> None:
    x = leaf(1.0, 2.0)
    first, second = ops.split(x, 2)
    second.register_hook(lambda g: g * 10)
    (first + second).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 10])
    x.grad = None
    first, second = ops.split(x, 2)
    second.register_hook(lambda g: g * 10)
    first.sum().backward()  # the hook's own output is unused
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0])


def test_a_removed_hook_is_not_called(backend: str) -> None:
    x = leaf(1.0)
    remove = x.register_hook(lambda g: g * 10)
    remove()
    remove()
    (x * 1).sum().backward()
    assert x.grad.item() == 1


def test_hooks_work_at_second_order() -> None:
    x = leaf(3.0)
    with higher_order():
        y = x * x
        y.register_hook(lambda g: g * x)
        (g,) = grad(y.sum(), x, create_graph=True)  # x * 2 x
        (h,) = grad(g.sum(), x)
    assert g.item() == 18
    assert h.item() == 12


def test_a_hook_must_keep_the_shape() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(
        ValueError, match=r"a gradient hook returned shape \(\) for a gradient of shape \(2,\)"
    ):
        (x * 1).sum().backward()
    with pytest.raises(GraphError, match=r"register_hook\(\) on a Tensor through which no gradient flows"):
        Tensor([1.0]).register_hook(print)


# --- checkpoint


def test_a_checkpoint_has_the_same_gradients(backend: str) -> None:
    x, w, outer = leaf(0.3, -0.2), leaf(0.5, 0.7), leaf(1.1, 0.9)
    before = ops.tanh(outer)  # used without being an argument, and not a leaf

    def layer(x: Tensor, scale: float) -> Tensor:
        return ops.tanh(x * w * scale) + before * x

    def gradients(run: Any) -> list[Any]:
        y = ops.square(run(layer, x * 2, 3.0)).sum()
        return [g.numpy() for g in grad(y, [x, w, outer], retain_graph=True)]

    plain = gradients(lambda f, *args: f(*args))
    for p, q in zip(plain, gradients(checkpoint), strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_checkpoint_of_several_outputs_one_unused(backend: str) -> None:
    x = leaf(0.3, -0.2)

    def both(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return ops.tanh(x), x * x, x.detach()

    first, _, constant = checkpoint(both, x * 2)
    assert not constant.requires_grad
    (first * constant).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * (1 - np.tanh([0.6, -0.4]) ** 2) * [0.6, -0.4], rtol=1e-12)


def test_a_checkpoint_inside_a_checkpoint(backend: str) -> None:
    x = leaf(0.3)
    y = checkpoint(lambda x: checkpoint(ops.tanh, x * 2) * 3, x * 1)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.item(), 6 * (1 - np.tanh(0.6) ** 2), rtol=1e-12)


def test_a_hook_on_a_parameter_is_called_once_whatever_is_checkpointed(backend: str) -> None:
    x, w = leaf(2.0), leaf(3.0)
    inner = w * 1.0
    seen: list[float] = []
    w.register_hook(lambda g: seen.append(g.item()))
    inner.register_hook(lambda g: g * 10)
    checkpoint(lambda x: x * w * inner, x).sum().backward()
    assert seen == [2 * 3 + 10 * 2 * 3]
    assert w.grad.item() == 66


def test_a_checkpoint_keeps_less_memory() -> None:
    def block(x: Tensor) -> Tensor:
        for _ in range(20):
            x = ops.tanh(x)
        return x

    def held(run: Any) -> int:
        x = Tensor(np.ones(50_000, np.float32), requires_grad=True)
        tracemalloc.start()
        y = run(block, run(block, x))
        size, _ = tracemalloc.get_traced_memory()
        y.sum().backward()
        tracemalloc.stop()
        assert x.grad is not None
        return size

    plain, checkpointed = held(lambda f, x: f(x)), held(checkpoint)
    assert checkpointed < 3 * 200_000 < 40 * 200_000 <= plain + 200_000


def test_a_checkpoint_of_constants_and_without_a_tape() -> None:
    assert not checkpoint(ops.tanh, Tensor([1.0])).requires_grad
    with no_grad():
        assert not checkpoint(ops.tanh, leaf(1.0)).requires_grad
    x = leaf(2.0)
    with higher_order():
        (g,) = grad(checkpoint(lambda x: x * x * x, x).sum(), x, create_graph=True)
        (h,) = grad(g.sum(), x)
    assert h.item() == 12
