"""What holds for every optimiser: groups, skipped and tied parameters, moves, copies, state that resumes."""

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor, nn
from tinyseq.errors import ConfigError, DataError, GraphError, ShapeError
from tinyseq.nn import Linear, Module, Parameter
from tinyseq.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from tinyseq.optim import flat as flat_module

RULES: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "sgd": (SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (RMSprop, {"momentum": 0.9}),
    "adagrad": (Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    "adam": (Adam, {"weight_decay": 0.1}),
    "adamw": (AdamW, {}),
}


def model(seed: int = 0) -> nn.Sequential:
    layers = nn.Sequential(Linear(3, 5), nn.LayerNorm(5), Linear(5, 2))
    rng = np.random.default_rng(seed)
    layers.load_state_dict({k: rng.normal(size=v.shape) for k, v in layers.state_dict().items()})
    return layers


def train(net: Module, optimizer: Optimizer, steps: int, start: int = 0) -> None:
    for step in range(start, start + steps):
        x = Tensor(np.random.default_rng(step).normal(size=(4, 3)), next(net.parameters()).dtype)
        optimizer.zero_grad()
        (net(x) ** 2).sum().backward()
        optimizer.step()


def equal(a: Module, b: Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return all(np.array_equal(array, theirs[path]) for path, array in ours.items())


@pytest.mark.parametrize("name", RULES)
def test_resume_is_bit_exact(name: str, backend: str) -> None:
    rule, options = RULES[name]
    whole, half = model(), model()
    optimizer = rule(half, **options)
    train(whole, rule(whole, **options), 10)
    train(half, optimizer, 6)
    saved = optimizer.state_dict()
    arrays = {key: value.tobytes() for key, value in saved.items() if isinstance(value, np.ndarray)}
    rest = json.loads(json.dumps({k: v for k, v in saved.items() if k not in arrays}))
    loaded = {key: np.frombuffer(b, np.float32).reshape(saved[key].shape) for key, b in arrays.items()}
    resumed = model(seed=1)
    again = rule(resumed, lr=9.0)
    again.load_state_dict(rest | loaded)
    resumed.load_state_dict(half.state_dict())
    train(resumed, again, 4, start=6)
    assert equal(resumed, whole)


def test_state_dict_is_a_flat_snapshot() -> None:
    net = model()
    optimizer = Adam(net, lr=0.5)
    assert optimizer.state_dict() == {
        "groups.0.lr": 0.5,
        "groups.0.betas": [0.9, 0.999],
        "groups.0.eps": 1e-8,
        "groups.0.weight_decay": 0.0,
    }
    train(net, optimizer, 2)
    state = optimizer.state_dict()
    assert state["steps.layers.0.weight"] == 2
    assert state["mean.layers.0.weight"].shape == (3, 5)
    kept = state["mean.layers.0.weight"].copy()
    train(net, optimizer, 1)
    assert np.array_equal(state["mean.layers.0.weight"], kept)


def test_a_state_that_does_not_fit_is_told_in_full_and_changes_nothing() -> None:
    net = model()
    optimizer = Adam(net, lr=0.5)
    train(net, optimizer, 2)
    before = optimizer.state_dict()
    state = dict(before)
    del state["groups.0.eps"], state["groups.0.lr"]
    with pytest.raises(DataError, match=r"Adam: groups\.0\.lr is missing; groups\.0\.eps is missing\.$"):
        optimizer.load_state_dict(state)
    state = dict(before)
    state["steps.layers.0.bias"] = -1
    state["ghost"] = 1
    state["mean.layers.0.weight"] = np.zeros((5, 3))
    del state["square.layers.2.bias"]
    with pytest.raises(DataError) as caught:
        optimizer.load_state_dict(state)
    for part in (
        "steps.layers.0.bias is -1, no count",
        "ghost is unknown",
        "mean.layers.0.weight is missing or not of shape (3, 5)",
        "square.layers.2.bias is missing or not of shape (2,)",
    ):
        assert part in str(caught.value)
    with pytest.raises(DataError, match=r"groups\.0: Adam\(lr=-1\): it must be 0 or more"):
        optimizer.load_state_dict(before | {"groups.0.lr": -1})
    with pytest.raises(DataError, match=r"groups\.0: "):
        optimizer.load_state_dict(before | {"groups.0.betas": "x"})
    after = optimizer.state_dict()
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_a_state_of_another_rule_does_not_fit() -> None:
    net = model()
    optimizer = RMSprop(net)
    train(net, optimizer, 1)
    with pytest.raises(DataError, match=r"does not fit Adam: groups\.0\.betas is missing"):
        Adam(net).load_state_dict(optimizer.state_dict())


def test_groups_have_options_of_their_own(backend: str) -> None:
    net = model()
    before = net.state_dict()
    head = net.layers[2]
    rest = [*net.layers[0].parameters(), *net.layers[1].parameters()]  # type: ignore[attr-defined]
    optimizer = SGD([{"parameters": head, "lr": 0.0}, {"parameters": rest, "momentum": 0.5}], lr=0.1)
    train(net, optimizer, 2)
    after = net.state_dict()
    assert np.array_equal(after["layers.2.weight"], before["layers.2.weight"])
    assert not np.array_equal(after["layers.0.weight"], before["layers.0.weight"])
    state = optimizer.state_dict()
    assert state["steps.0.weight"] == state["steps.1.0"] == 2
    assert [key for key in state if key.startswith("velocity")] == [f"velocity.1.{i}" for i in range(4)]
    assert optimizer.lr == 0.0
    optimizer.lr = 0.3
    assert [group["lr"] for group in optimizer.groups] == [0.3, 0.3]


def test_a_learning_rate_set_between_steps_counts() -> None:
    w = Parameter([1.0], np.float64)
    optimizer = SGD([w], lr=0.0)
    for lr in (0.0, 0.5):
        optimizer.lr = lr
        w.grad = Tensor([1.0], np.float64)
        optimizer.step()
    assert w.item() == 0.5


def test_momentum_may_be_switched_off_and_on() -> None:
    """While it is off the velocity rests, through a move as well."""
    w = Parameter([0.0])
    optimizer = SGD([w], lr=1.0, momentum=0.5)
    values = []
    for momentum in (0.5, 0.0, 0.5):
        optimizer.groups[0]["momentum"] = momentum
        w.grad = Tensor([1.0])
        optimizer.step()
        w.data = w.data.copy()
        values.append(w.item())
    assert values == [-1.0, -2.0, -3.5]


def test_tied_parameters_are_updated_once() -> None:
    first, second = Linear(2, 2, bias=False), Linear(2, 2, bias=False)
    second.weight = first.weight
    optimizer = SGD([*first.parameters(), *second.parameters()], lr=1.0)
    before = first.weight.numpy().copy()
    first.weight.grad = Tensor(np.ones((2, 2), np.float32))
    optimizer.step()
    assert np.array_equal(first.weight.numpy(), before - 1)
    assert optimizer.state_dict()["steps.0"] == 1


def test_parameters_without_gradient_keep_values_state_and_count(backend: str) -> None:
    """PyTorch skips them too: their step count, which Adam corrects by, stands still."""
    parameters = [Parameter(np.ones(3)) for _ in range(5)]
    alone = Parameter(np.ones(3))
    together, single = Adam(parameters, lr=0.1), Adam([alone], lr=0.1)
    for step in range(6):
        for i, parameter in enumerate(parameters):
            parameter.grad = Tensor(np.full(3, 1.0 + step, np.float32)) if i != 2 or step >= 3 else None
        together.step()
        if step >= 3:
            alone.grad = Tensor(np.full(3, 1.0 + step, np.float32))
            single.step()
        elif step == 2:
            assert np.array_equal(parameters[2].numpy(), np.ones(3))
    assert np.array_equal(parameters[2].numpy(), alone.numpy())
    assert together.state_dict()["steps.2"] == 3


def test_frozen_parameters_stay() -> None:
    net = model()
    net.layers[0].freeze()  # type: ignore[attr-defined]
    before = net.state_dict()
    optimizer = AdamW(net, lr=0.1, weight_decay=0.5)
    train(net, optimizer, 2)
    after = net.state_dict()
    assert np.array_equal(after["layers.0.weight"], before["layers.0.weight"])
    assert not np.array_equal(after["layers.2.weight"], before["layers.2.weight"])
    net.layers[0].freeze(False)  # type: ignore[attr-defined]
    train(net, optimizer, 1)
    assert not np.array_equal(net.state_dict()["layers.0.weight"], before["layers.0.weight"])


def test_a_step_outdates_the_tape() -> None:
    net = model()
    optimizer = SGD(net, lr=0.1)
    train(net, optimizer, 1)
    loss = net(Tensor(np.ones((1, 3), np.float32))).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(GraphError, match="changed in place"):
        loss.backward()


def test_gradients_are_not_written_to() -> None:
    """A sum of two Parameters hands one array to both."""
    a, b = Parameter(np.ones(3)), Parameter(np.ones(3))
    (a + b).backward(Tensor(np.ones(3, np.float32)))
    held = a.grad
    assert held is not None
    optimizer = Adam([a, b], lr=0.1, weight_decay=0.1)
    optimizer.step()
    optimizer.step()
    assert np.array_equal(held.numpy(), np.ones(3))


@pytest.mark.parametrize("name", RULES)
def test_values_bound_elsewhere_are_found_again(name: str) -> None:
    """A change of dtype, another optimiser, or assignment takes the views away; the state goes on."""
    rule, options = RULES[name]
    moved, still = model().to("float64"), model().to("float64")
    first, second = rule(moved, **options), rule(still, **options)
    for start in (0, 3, 6):
        train(moved, first, 3, start)
        train(still, second, 3, start)
        for parameter in moved.parameters():
            parameter.data = parameter.data.copy()
            parameter.changed()
        SGD(moved, lr=0.0).step()
    assert equal(moved, still)
    moved.to("float32")
    train(moved, first, 1, 9)
    train(still, second, 1, 9)
    assert all(p.dtype == np.float32 for p in moved.parameters())
    for path, array in still.state_dict().items():
        np.testing.assert_allclose(moved.state_dict()[path], array, rtol=2e-4, atol=1e-5)


def test_moving_to_a_device_takes_the_state_along(cupy: Any) -> None:
    import tinyseq

    moved, still = model(), model()
    first, second = Adam(moved), Adam(still)
    with tinyseq.use("numpy"):
        train(still, second, 6)
        train(moved, first, 3)
    moved.to("cupy")
    with tinyseq.use("cupy"):
        train(moved, first, 3, 3)
    assert isinstance(next(moved.parameters()).data, cupy.ndarray)
    for path, array in still.state_dict().items():
        np.testing.assert_allclose(moved.state_dict()[path], array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_of_model_and_optimizer_goes_its_own_way(copied: Any) -> None:
    net = model()
    optimizer = Adam(net)
    train(net, optimizer, 2)
    twin, its_optimizer = copied((net, optimizer))
    before = net.state_dict()
    train(twin, its_optimizer, 3, 2)
    assert all(np.array_equal(array, before[path]) for path, array in net.state_dict().items())
    train(net, optimizer, 3, 2)
    assert equal(net, twin)
    assert its_optimizer.state_dict().keys() == optimizer.state_dict().keys()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = model(), model()
    train(whole, Adam(whole), 3)
    monkeypatch.setattr(flat_module, "BLOCK", 28)  # seven numbers
    train(parts, Adam(parts), 3)
    assert equal(whole, parts)


def test_views_are_aligned_and_together() -> None:
    net = model()
    optimizer = Adam(net)
    train(net, optimizer, 1)
    base = next(net.parameters()).data.base
    starts = [p.data.__array_interface__["data"][0] for p in net.parameters()]
    assert all(p.data.base is base for p in net.parameters())
    assert all((start - starts[0]) % flat_module.ALIGNMENT == 0 for start in starts)


def test_parameters_of_two_dtypes_and_of_no_axes() -> None:
    a, b, c = Parameter(2.0), Parameter([1.0], np.float64), Parameter(np.ones((2, 2)))
    optimizer = SGD([a, b, c], lr=1.0)
    for p in (a, b, c):
        p.grad = Tensor(np.ones(p.shape), p.dtype)
    optimizer.step()
    assert (a.item(), b.item()) == (1.0, 0.0)
    assert not c.numpy().any()
    assert (a.shape, b.dtype, c.shape) == ((), np.float64, (2, 2))


def test_a_gradient_of_another_shape_is_refused() -> None:
    w = Parameter(np.ones((2, 3)))
    w.grad = Tensor(np.ones((2, 3), np.float32))
    w.data = np.ones((3, 2), np.float32)
    w.changed()
    with pytest.raises(ShapeError, match=r"parameter of shape \(3, 2\) has a gradient of shape \(2, 3\)"):
        SGD([w]).step()


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"SGD was given no Parameters: pass a Module, or its parameters\(\)"
    ):
        SGD([])
    with pytest.raises(ConfigError, match="Adam was given no Parameters"):
        Adam(nn.Dropout(0.5))
    with pytest.raises(ConfigError, match="SGD trains Parameters, not Tensor: pass a Module"):
        SGD([Tensor([1.0])])  # type: ignore[list-item]
    w = Parameter(np.ones(2))
    with pytest.raises(ConfigError, match=r"the parameter 1\.0, of shape \(2,\), is in two groups of SGD"):
        SGD([{"parameters": [w]}, {"parameters": [w]}])
    with pytest.raises(ConfigError, match=r"a group of SGD needs 'parameters'; it has \['lr'\]"):
        SGD([{"lr": 1.0}])
    with pytest.raises(
        ConfigError, match=r"SGD has no option \['rate'\]; its options are \['lr', 'momentum'"
    ):
        SGD([{"parameters": [w], "rate": 1.0}])


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (SGD, {"lr": -1}, r"SGD\(lr=-1\): it must be 0 or more"),
        (SGD, {"lr": float("nan")}, r"SGD\(lr=nan\)"),
        (SGD, {"momentum": -0.1}, r"SGD\(momentum=-0\.1\)"),
        (SGD, {"nesterov": True}, r"nesterov=True\) needs a momentum"),
        (RMSprop, {"alpha": 1.0}, r"RMSprop\(alpha=1\.0\): it must be within \[0, 1\)"),
        (Adagrad, {"lr_decay": -1}, r"Adagrad\(lr_decay=-1\)"),
        (Adam, {"betas": (0.9, 1.0)}, r"Adam\(betas=\(0\.9, 1\.0\)\): it must be within"),
        (Adam, {"betas": (0.9,)}, "two numbers are needed"),
        (AdamW, {"weight_decay": -1}, r"AdamW\(weight_decay=-1\)"),
    ],
)
def test_options_without_sense_are_refused(
    rule: type[Optimizer], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        rule(model(), **options)
