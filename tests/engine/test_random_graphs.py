"""Random graphs against an oracle that walks every path by itself."""

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tinyseq import Tensor, grad, higher_order, ops

SIZE, NODES = 4, 8
DERIVATIVES = {  # of each result by each argument, as matrices
    "add": lambda a, b: (np.eye(SIZE), np.eye(SIZE)),
    "multiply": lambda a, b: (np.diag(b), np.diag(a)),
    "tanh": lambda a: (np.diag(1 - np.tanh(a) ** 2),),
    "low": lambda a: (np.eye(SIZE)[:2],),
    "high": lambda a: (np.eye(SIZE)[2:],),
    "join": lambda a, b: (np.eye(SIZE)[:, :2], np.eye(SIZE)[:, 2:]),
    "constant": lambda a: (np.zeros((SIZE, SIZE)),),
}


class Place:
    """A Tensor of the graph, and by which operation it came from which places."""

    def __init__(self, tensor: Tensor, operation: str = "", parents: tuple["Place", ...] = ()) -> None:
        self.tensor, self.operation, self.parents = tensor, operation, parents

    def jacobian(self, leaf: "Place") -> Any:
        """Its derivative by `leaf`: the sum over all paths of the products along them, each path anew."""
        if self is leaf:
            return np.eye(SIZE)
        total = np.zeros((self.tensor.size, SIZE))
        if self.parents:
            slopes = DERIVATIVES[self.operation](*[p.tensor.numpy() for p in self.parents])
            for slope, parent in zip(slopes, self.parents, strict=True):
                total = total + slope @ parent.jacobian(leaf)
        return total


class Graphs(RuleBasedStateMachine):
    """Builds a graph node by node. Unused halves of a split, and results with many uses, are common."""

    @initialize(count=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
    def leaves(self, count: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.places = [Place(Tensor(self.rng.normal(size=SIZE), requires_grad=True)) for _ in range(count)]
        self.inputs = list(self.places)
        self.recording = higher_order()
        self.recording.__enter__()

    def teardown(self) -> None:
        if hasattr(self, "recording"):
            self.recording.__exit__(None, None, None)

    def pick(self, data: Any, half: bool = False) -> Place:
        wide = [p for p in self.places if p.tensor.size == (2 if half else SIZE)]
        return wide[data.draw(st.integers(0, len(wide) - 1))]

    def room(self) -> bool:
        return len(self.places) < len(self.inputs) + NODES

    def halves(self) -> bool:
        return self.room() and any(p.tensor.size == 2 for p in self.places)

    @precondition(room)
    @rule(data=st.data(), name=st.sampled_from(["add", "multiply"]))
    def binary(self, data: Any, name: str) -> None:
        a, b = self.pick(data), self.pick(data)
        self.places.append(Place(getattr(ops, name)(a.tensor, b.tensor), name, (a, b)))

    @precondition(room)
    @rule(data=st.data())
    def tanh(self, data: Any) -> None:
        a = self.pick(data)
        self.places.append(Place(ops.tanh(a.tensor), "tanh", (a,)))

    @precondition(room)
    @rule(data=st.data())
    def detach(self, data: Any) -> None:
        a = self.pick(data)
        self.places.append(Place(a.tensor.detach(), "constant", (a,)))

    @precondition(room)
    @rule(data=st.data(), kept=st.sampled_from(["low", "high", "both"]))
    def split(self, data: Any, kept: str) -> None:
        a = self.pick(data)
        for name, part in zip(("low", "high"), ops.split(a.tensor, 2), strict=True):
            if kept in (name, "both"):
                self.places.append(Place(part, name, (a,)))

    @precondition(halves)
    @rule(data=st.data())
    def concatenate(self, data: Any) -> None:
        a, b = self.pick(data, half=True), self.pick(data, half=True)
        self.places.append(Place(ops.concatenate([a.tensor, b.tensor]), "join", (a, b)))

    @invariant()
    def every_gradient_is_the_sum_over_paths(self) -> None:
        end = self.places[-1]
        if end.tensor.source is None:
            return
        seed = self.rng.normal(size=end.tensor.shape)
        leaves = [p.tensor for p in self.inputs]
        for create_graph in (False, True):
            found = grad(
                end.tensor, leaves, seed, create_graph=create_graph, retain_graph=True, allow_unused=True
            )
            for place, g in zip(self.inputs, found, strict=True):
                expected = seed @ end.jacobian(place)
                np.testing.assert_allclose(0 if g is None else g.numpy(), expected, rtol=1e-9, atol=1e-9)

    @rule(data=st.data())
    def gradients_of_places_inside_are_right_too(self, data: Any) -> None:
        end, inside = self.places[-1], self.pick(data)
        if end.tensor.source is None or inside.tensor.source is None:
            return
        (g,) = grad(end.tensor.sum(), [inside.tensor], retain_graph=True, allow_unused=True)
        expected = np.ones(end.tensor.size) @ end.jacobian(inside)
        np.testing.assert_allclose(0 if g is None else g.numpy(), expected, rtol=1e-9, atol=1e-9)


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(stateful_step_count=NODES + 1)
