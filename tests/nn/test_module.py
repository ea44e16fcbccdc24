"""Modules: what belongs to them, in which order, and how its values leave and come back."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tinyseq
from tinyseq import Tensor, nn
from tinyseq.backend import backend_of
from tinyseq.errors import ConfigError, DataError, GraphError
from tinyseq.nn import Linear, Module, Parameter


class Tree(Module):
    """One of everything that can hold a Parameter."""

    def __init__(self, width: int = 2, *, name: str = "oak") -> None:
        self.last = None
        self.root = Parameter(np.zeros(width))
        self.branches = [Linear(width, 3), (Linear(3, width, bias=False), Parameter(np.ones(1)))]
        self.leaves = {"red": Parameter(np.zeros((2, 2))), "all": [Linear(1, 1)]}
        self.count = 7
        self.again = self.branches[0]


ORDER = [
    "root",
    "branches.0.weight",
    "branches.0.bias",
    "branches.1.0.weight",
    "branches.1.1",
    "leaves.red",
    "leaves.all.0.weight",
    "leaves.all.0.bias",
]


def values(module: Module, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Random values for every Parameter."""
    rng = np.random.default_rng(seed)
    return {path: rng.normal(size=p.shape).astype(p.dtype) for path, p in module.named_parameters()}


def test_parameters_come_in_the_order_of_definition_each_once() -> None:
    tree = Tree()
    assert [path for path, _ in tree.named_parameters()] == ORDER
    assert [p for _, p in tree.named_parameters()] == list(tree.parameters())
    assert list(tree.state_dict()) == ORDER
    assert tree.parameter_count() == 2 + 9 + 6 + 1 + 4 + 2


def test_tied_parameters_appear_once_under_their_first_path() -> None:
    class Tied(Module):
        def __init__(self) -> None:
            self.embed = nn.Embedding(5, 3)
            self.out = Linear(3, 3)
            self.out.weight = self.embed.weight

    assert [path for path, _ in Tied().named_parameters()] == ["embed.weight", "out.bias"]


def test_modules_and_children() -> None:
    tree = Tree()
    paths = ["", "branches.0", "branches.1.0", "leaves.all.0"]
    assert [path for path, _ in tree.named_modules()] == paths
    assert next(tree.modules()) is tree
    assert [type(child).__name__ for child in tree.children()] == ["Linear"] * 4  # one is tied


def test_a_module_that_holds_its_parent_is_walked_once() -> None:
    parent, child = Tree(), Linear(1, 1)
    parent.child = child  # type: ignore[attr-defined]
    child.parent = parent  # type: ignore[attr-defined]
    assert len(list(parent.modules())) == 5
    assert len(list(parent.parameters())) == len(ORDER) + 2


def test_two_parameters_at_one_path_are_refused() -> None:
    module = Module()
    module.a = {"b.c": Parameter([1.0]), "b": {"c": Parameter([2.0])}}  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"two parameters at the path 'a\.b\.c'"):
        module.state_dict()


def test_constructor_arguments_are_captured_and_survive_copies() -> None:
    tree = Tree(3, name="elm")
    assert tree._init_arguments == ((3,), {"name": "elm"})
    assert copy.deepcopy(tree)._init_arguments == ((3,), {"name": "elm"})
    assert pickle.loads(pickle.dumps(tree))._init_arguments == ((3,), {"name": "elm"})
    assert copy.copy(tree).root is tree.root
    inner = nn.Residual(Linear(2, 2))
    assert [path for path, _ in inner.named_parameters()] == ["layer.weight", "layer.bias"]


def test_a_deep_copy_shares_nothing_and_keeps_ties() -> None:
    tree = Tree()
    twin = copy.deepcopy(tree)
    assert twin.again is twin.branches[0]
    twin.root.data[...] = 5
    twin.root.changed()
    (twin.root.sum()).backward()
    assert tree.root.grad is None
    assert not tree.root.numpy().any()


def test_state_dict_round_trip(backend: str) -> None:
    tree, twin = Tree().to("float64"), Tree().to("float64")
    state = values(tree, 1)
    tree.load_state_dict(state)
    twin.load_state_dict(tree.state_dict())
    for path, array in twin.state_dict().items():
        assert isinstance(array, np.ndarray)
        assert np.array_equal(array, state[path])


def test_state_dict_is_a_snapshot(backend: str) -> None:
    tree = Tree()
    before = tree.state_dict()
    tree.load_state_dict(values(tree, 2))
    assert not before["root"].any()
    before["root"][...] = 9
    assert not (tree.root.numpy() == 9).any()


def test_loading_keeps_dtype_arrays_and_identity() -> None:
    tree = Tree()
    held, array = tree.root, tree.root.data
    tree.load_state_dict({path: v.astype(np.float64) for path, v in values(tree, 3).items()})
    assert tree.root is held
    assert held.data is array
    assert array.dtype == np.float32


def test_a_misfit_is_told_in_full_and_loads_nothing() -> None:
    tree = Tree()
    state: dict[str, Any] = values(tree, 4)
    before = tree.state_dict()
    state["branches.0.weight"] = np.zeros((3, 2), np.float32)
    state["leaves.red"] = np.zeros((2, 2), np.int64)
    state["ghost"] = state.pop("branches.1.1")
    with pytest.raises(DataError) as caught:
        tree.load_state_dict(state)
    assert str(caught.value) == (
        "These values do not fit Tree: branches.1.1 is missing; ghost is not in the model; branches.0.weight "
        "has shape (3, 2), the model's (2, 3); leaves.red holds int64, the model float32."
    )
    assert all(np.array_equal(array, before[path]) for path, array in tree.state_dict().items())


def test_loading_outdates_the_tape() -> None:
    layer = Linear(2, 2)
    y = layer(Tensor(np.ones((1, 2), np.float32))).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(GraphError, match="changed in place before the gradient was taken"):
        y.backward()


def test_train_and_eval_reach_every_module() -> None:
    tree = Tree()
    assert all(module.training for module in tree.modules())
    assert tree.eval() is tree
    assert not any(module.training for module in tree.modules())
    assert tree.train() is tree
    assert all(module.training for module in tree.modules())


def test_zero_grad_and_freeze() -> None:
    layer = Linear(2, 3)
    x = Tensor(np.ones((4, 2), np.float32))
    layer(x).sum().backward()
    layer.zero_grad()
    assert all(p.grad is None for p in layer.parameters())
    assert layer.freeze() is layer
    assert not layer(x).requires_grad
    layer.zero_grad()
    layer.freeze(False)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_to_dtype_takes_gradients_along() -> None:
    layer = Linear(2, 3)
    layer(Tensor(np.ones((4, 2), np.float32))).sum().backward()
    weight = layer.weight
    assert layer.to("float64") is layer
    assert layer.weight is weight
    assert weight.dtype == np.float64
    assert weight.grad is not None
    assert weight.grad.dtype == np.float64
    assert np.array_equal(weight.grad.numpy(), np.full((2, 3), 4.0))
    layer(Tensor(np.ones((4, 2)))).sum().backward()
    assert np.array_equal(weight.grad.numpy(), np.full((2, 3), 8.0))


def test_to_backend_and_back(cupy: Any) -> None:
    layer = Linear(2, 3)
    before = layer.state_dict()
    layer(Tensor(np.ones((4, 2), np.float32))).sum().backward()
    weight = layer.to("cupy").weight
    assert isinstance(weight.data, cupy.ndarray)
    assert weight.grad is not None
    assert isinstance(weight.grad.data, cupy.ndarray)
    with tinyseq.use("cupy"):
        assert backend_of(layer(Tensor(np.ones((4, 2), np.float32))).data).name == "cupy"
    layer.to("numpy")
    assert isinstance(weight.data, np.ndarray)
    assert np.array_equal(weight.grad.numpy(), np.full((2, 3), 4.0))
    assert all(np.array_equal(array, before[path]) for path, array in layer.state_dict().items())


@pytest.mark.parametrize("target", ["gpu", np.int32, "complex64", None, 3])
def test_to_nowhere_is_refused(target: Any) -> None:
    with pytest.raises(ConfigError, match=r"say a backend \('numpy', 'cupy'\) or a floating dtype"):
        Linear(1, 1).to(target)


def test_parameter_owns_its_values() -> None:
    array = np.ones(3, np.float32)
    parameter = Parameter(array)
    parameter.data[...] = 2
    assert (array == 1).all()
    assert Parameter(np.float64(3.0)).data.shape == ()
    assert Parameter([1.0, 2.0]).dtype == np.float32
    assert Parameter([1.0, 2.0], np.float64).dtype == np.float64
    assert repr(parameter) == "Parameter(shape=(3,), dtype=float32)"


def test_a_parameter_may_grow() -> None:
    parameter = Parameter(np.ones(2))
    parameter.data = np.ones(5, np.float32)
    parameter.changed()
    parameter.sum().backward()
    assert parameter.grad is not None
    assert parameter.grad.shape == (5,)


def test_repr_is_a_tree_with_counts() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Residual(Linear(4, 4, bias=False)), nn.Dropout(p=0.1))
    assert repr(model) == "\n".join(
        [
            "Sequential()  # 56 parameters",
            "  layers.0: Embedding(10, 4)  # 40 parameters",
            "  layers.1: Residual()  # 16 parameters",
            "    layer: Linear(4, 4, bias=False)  # 16 parameters",
            "  layers.2: Dropout(p=0.1)  # 0 parameters",
        ]
    )


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"Tree defines no forward\(\)"):
        Tree()(1)


def test_a_second_derivative_through_parameters() -> None:
    weight = Parameter([2.0], np.float64)
    with tinyseq.higher_order():
        (first,) = tinyseq.grad((weight**3).sum(), [weight], create_graph=True)
        (second,) = tinyseq.grad(first.sum(), [weight])
    assert second.item() == 12.0
