"""Random arguments of a given shape for each kind of op, kept away from kinks."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyseq.testing import spread

Shape = tuple[int, ...]
Case = Callable[[np.random.Generator, Shape], tuple[tuple[Any, ...], dict[str, Any]]]


def full(shape: Shape, ndim: int = 0) -> Shape:
    """The shape without empty axes, and with at least `ndim` axes."""
    return (2,) * (ndim - len(shape)) + tuple([max(n, 1) for n in shape])


def normal(rng: np.random.Generator, shape: Shape) -> Any:
    return np.asarray(rng.normal(size=shape))


def positive(rng: np.random.Generator, shape: Shape) -> Any:
    return np.asarray(rng.uniform(0.5, 2.5, shape))


def narrowed(rng: np.random.Generator, shape: Shape) -> Shape:
    """A shape that broadcasts to `shape`."""
    cut = rng.integers(0, len(shape) + 1)
    return tuple([1 if rng.random() < 0.3 else n for n in shape[cut:]])


def some_axis(rng: np.random.Generator, ndim: int) -> int:
    return int(rng.integers(-ndim, ndim))


def some_axes(rng: np.random.Generator, ndim: int) -> Any:
    """None, one axis, or several; from either end."""
    if ndim == 0 or rng.random() < 0.3:
        return None
    if rng.random() < 0.5:
        return some_axis(rng, ndim)
    chosen = rng.permutation(ndim)[: rng.integers(0, ndim + 1)]
    return tuple([int(a) - ndim * int(rng.random() < 0.5) for a in chosen])


def reduction(rng: np.random.Generator, shape: Shape) -> dict[str, Any]:
    return {"axis": some_axes(rng, len(shape)), "keepdims": bool(rng.random() < 0.5)}


def one(values: Callable[..., Any]) -> Case:
    return lambda rng, shape: ((values(rng, shape),), {})


def two(left: Callable[..., Any], right: Callable[..., Any] | None = None) -> Case:
    """Two arrays that broadcast; or one of them and a number."""

    def case(rng: np.random.Generator, shape: Shape) -> Any:
        a, b = left(rng, narrowed(rng, shape)), (right or left)(rng, narrowed(rng, shape))
        numbers = rng.random()
        return (float(a.flat[0]) if numbers < 0.15 and a.size else a), (
            float(b.flat[0]) if numbers > 0.85 and b.size else b
        )

    return lambda rng, shape: (case(rng, shape), {})


def apart(rng: np.random.Generator, shape: Shape) -> Any:
    """Two arrays no elements of which are near each other."""
    both = spread(rng, (2, *shape))
    return (both[0], both[1]), {}


def reduced(values: Callable[..., Any], *, of_nothing: bool = True) -> Case:
    def case(rng: np.random.Generator, shape: Shape) -> Any:
        shape = shape if of_nothing else full(shape)
        return (values(rng, shape),), reduction(rng, shape)

    return case


def along_one_axis(values: Callable[..., Any]) -> Case:
    def case(rng: np.random.Generator, shape: Shape) -> Any:
        shape = full(shape, 1)
        return (values(rng, shape),), {"axis": some_axis(rng, len(shape))}

    return case


def clip(rng: np.random.Generator, shape: Shape) -> Any:
    bounds = (-0.5, 0.3) if rng.random() < 0.5 else (None, 0.3) if rng.random() < 0.5 else (-0.5, None)
    return (spread(rng, shape), *bounds), {}


def power(rng: np.random.Generator, shape: Shape) -> Any:
    if rng.random() < 0.3:
        return (normal(rng, shape), int(rng.integers(0, 5))), {}
    return two(positive)(rng, shape)


def where(rng: np.random.Generator, shape: Shape) -> Any:
    (x, y), _ = two(normal)(rng, shape)
    return (rng.random(narrowed(rng, shape)) < 0.5, x, y), {}


def matmul(rng: np.random.Generator, shape: Shape) -> Any:
    m, k, n = rng.integers(0, 4, 3)
    stack_a, stack_b = narrowed(rng, shape), narrowed(rng, shape)
    a = (k,) if rng.random() < 0.2 else (*stack_a, m, k)
    b = (k,) if rng.random() < 0.2 else (k, n) if rng.random() < 0.4 else (*stack_b, k, n)
    return (normal(rng, a), normal(rng, b)), {}


def reshape(rng: np.random.Generator, shape: Shape) -> Any:
    new = [tuple(rng.permutation(shape).tolist()), math.prod(shape)]
    if math.prod(shape):
        new.append(-1)
    return (normal(rng, shape), new[rng.integers(len(new))]), {}


def transpose(rng: np.random.Generator, shape: Shape) -> Any:
    axes = None if rng.random() < 0.3 else tuple(rng.permutation(len(shape)).tolist())
    return (normal(rng, shape), axes), {}


def swapaxes(rng: np.random.Generator, shape: Shape) -> Any:
    shape = shape or (2,)
    return (normal(rng, shape), some_axis(rng, len(shape)), some_axis(rng, len(shape))), {}


def expand_dims(rng: np.random.Generator, shape: Shape) -> Any:
    axis = (0, -1) if rng.random() < 0.3 else some_axis(rng, len(shape) + 1)
    return (normal(rng, shape), axis), {}


def squeeze(rng: np.random.Generator, shape: Shape) -> Any:
    at = rng.integers(0, len(shape) + 1)
    axis = None if rng.random() < 0.3 else int(at)
    return (normal(rng, (*shape[:at], 1, *shape[at:])), axis), {}


def broadcast_to(rng: np.random.Generator, shape: Shape) -> Any:
    return (normal(rng, narrowed(rng, shape)), shape), {}


def concatenate(rng: np.random.Generator, shape: Shape) -> Any:
    shape = shape or (2,)
    axis = some_axis(rng, len(shape))
    lengths = rng.integers(0, 4, rng.integers(1, 4))
    at = axis % len(shape)
    return ([normal(rng, (*shape[:at], n, *shape[at + 1 :])) for n in lengths],), {"axis": axis}


def stack(rng: np.random.Generator, shape: Shape) -> Any:
    return ([normal(rng, shape) for _ in range(rng.integers(1, 4))],), {
        "axis": some_axis(rng, len(shape) + 1)
    }


def split(rng: np.random.Generator, shape: Shape) -> Any:
    shape = shape or (2,)
    axis = some_axis(rng, len(shape))
    length = shape[axis]
    if rng.random() < 0.5:
        divisors = [n for n in range(1, 5) if length % n == 0]
        return (normal(rng, shape), divisors[rng.integers(len(divisors))]), {"axis": axis}
    at = rng.integers(-length - 1, length + 2, rng.integers(0, 4))  # beyond the ends, and in any order
    return (normal(rng, shape), at.tolist()), {"axis": axis}


def getitem(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    first, rest = shape[0], shape[1:]
    ids = rng.integers(-first, first, (2, 3))  # repeated, and from either end
    choices = [
        int(rng.integers(-first, first)),
        slice(None, None, -1),
        slice(1, None, 2),
        (Ellipsis, None, slice(0, 1)),
        ids,
        ids[0].tolist(),
        rng.random(shape) < 0.5,
        rng.random(first) < 0.5,
        (ids, *[rng.integers(0, n, 3) for n in rest]),
        (*[slice(None) for _ in rest], rng.integers(0, shape[-1], 4)),
    ]
    return (normal(rng, shape), choices[rng.integers(len(choices))]), {}


def take(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    axis = None if rng.random() < 0.2 else some_axis(rng, len(shape))
    length = math.prod(shape) if axis is None else shape[axis]
    ids = rng.integers(-length, length, [(), (3,), (2, 2), (0,)][rng.integers(4)])
    return (
        normal(rng, shape),
        np.asarray(ids) if rng.random() < 0.8 else int(ids.flat[0] if ids.size else 0),
    ), {"axis": axis}


def take_along_axis(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    axis = some_axis(rng, len(shape))
    at = axis % len(shape)
    rows = [1 if rng.random() < 0.3 else n for n in shape]
    rows[at] = 3
    return (normal(rng, shape), rng.integers(0, shape[axis], rows)), {"axis": axis}


def pad(rng: np.random.Generator, shape: Shape) -> Any:
    pairs = rng.integers(0, 3, (len(shape), 2)).tolist()
    width = [pairs, (2, 1), 1][rng.integers(3)] if shape else 1
    return (normal(rng, shape), width), {"constant_values": [0, 7.5][rng.integers(2)]}


def flip(rng: np.random.Generator, shape: Shape) -> Any:
    return (normal(rng, shape),), {"axis": some_axes(rng, len(shape))}


def softmax_cross_entropy(rng: np.random.Generator, shape: Shape) -> Any:
    classes = int(rng.integers(1, 5))
    return (3 * normal(rng, (*shape, classes)), rng.integers(0, classes, shape)), {}


def layer_norm(rng: np.random.Generator, shape: Shape) -> Any:
    size = int(rng.integers(1, 5))
    x = spread(rng, (*shape, size), gap=1)  # where a row is nearly constant, differences are far off
    return (x, normal(rng, (size,)), normal(rng, (size,))), {}


def place(rng: np.random.Generator, shape: Shape) -> Any:
    (x, index), _ = getitem(rng, shape)
    return (normal(rng, x[index].shape),), {"index": index, "shape": x.shape}


def add_at(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    axis = int(rng.integers(len(shape)))
    ids = rng.integers(-shape[axis], shape[axis], (2, 2))
    g = normal(rng, (*shape[:axis], 2, 2, *shape[axis + 1 :]))
    return (g, ids), {"axis": axis, "size": shape[axis]}


def add_along_axis(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    axis = int(rng.integers(len(shape)))
    return (normal(rng, shape), rng.integers(0, 5, shape)), {"axis": axis, "size": 5}


def einsum(rng: np.random.Generator, shape: Shape) -> Any:
    subscripts = [
        "ij,jk->ik", "ij,jk", "ii->i", "ii", "bij,bjk->bik", "...i,ij->...j", "i,j->ji", "ij,bj->bi", "ij->",
        "ij,jk,kl->il", "bi,ij,bj->b", "iij,jk->ik", "abc,cd,ef->adef", "ab,ab,ab->ba", "hbi,hij->bhj",
    ][rng.integers(15)]  # fmt: skip
    lengths = {letter: int(rng.integers(1, 4)) for letter in subscripts if letter.isalpha()}
    terms = subscripts.split("->")[0].split(",")
    shapes = [
        (*(shape if "." in term else ()), *[lengths[letter] for letter in term.replace("...", "")])
        for term in terms
    ]
    return (subscripts, *[normal(rng, s) for s in shapes]), {}


def outer(rng: np.random.Generator, shape: Shape) -> Any:
    return (normal(rng, shape), normal(rng, (3,))), {}


def tensordot(rng: np.random.Generator, shape: Shape) -> Any:
    shape = (*shape, 2)
    n = int(rng.integers(0, len(shape) + 1))
    axes = n if rng.random() < 0.5 else (list(range(n))[::-1], [n - i for i in range(n)])
    summed = shape[len(shape) - n :] if isinstance(axes, int) else (1, *shape[:n])
    return (normal(rng, shape), normal(rng, (*summed, 2))), {"axes": axes}


def norm(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 2)
    x = positive(rng, shape) * rng.choice([-1, 1], shape)
    keep = {"keepdims": bool(rng.random() < 0.5)}
    if rng.random() < 0.6:
        ord = [None, 1, 2, 3, 0.5, 0, math.inf, -math.inf][rng.integers(8)]
        return (x, ord), {"axis": some_axis(rng, len(shape)), **keep}
    axes = tuple([int(a) for a in rng.permutation(len(shape))[:2]])
    ord = [None, "fro", 1, -1, math.inf, -math.inf][rng.integers(6)]
    return (x, ord), {"axis": axes, **keep}


def tile(rng: np.random.Generator, shape: Shape) -> Any:
    reps = rng.integers(0, 3, rng.integers(0, 4)).tolist()
    return (normal(rng, shape), tuple(reps) if rng.random() < 0.7 else 2), {}


def repeat(rng: np.random.Generator, shape: Shape) -> Any:
    shape = shape or (2,)
    axis = None if rng.random() < 0.3 else some_axis(rng, len(shape))
    length = math.prod(shape) if axis is None else shape[axis]
    counts = rng.integers(0, 3, length).tolist() if rng.random() < 0.5 and length else int(rng.integers(0, 3))
    return (normal(rng, shape), counts), {"axis": axis}


def roll(rng: np.random.Generator, shape: Shape) -> Any:
    if not shape or rng.random() < 0.3:
        return (normal(rng, shape), int(rng.integers(-5, 6))), {}
    if rng.random() < 0.5:
        return (normal(rng, shape), int(rng.integers(-5, 6))), {"axis": some_axis(rng, len(shape))}
    axes = tuple([int(a) for a in rng.permutation(len(shape))])
    return (normal(rng, shape), tuple(rng.integers(-5, 6, len(shape)).tolist())), {"axis": axes}


def diagonal(rng: np.random.Generator, shape: Shape) -> Any:
    return (normal(rng, full(shape, 2)),), {"k": int(rng.integers(-2, 3))}


def top_k(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    axis = some_axis(rng, len(shape))
    return (spread(rng, shape), int(rng.integers(0, shape[axis] + 1))), {"axis": axis}


def cumulative(rng: np.random.Generator, shape: Shape) -> Any:
    shape = full(shape, 1)
    return (normal(rng, shape),), {"axis": None if rng.random() < 0.2 else some_axis(rng, len(shape))}


def deviation(rng: np.random.Generator, shape: Shape) -> Any:
    shape = (*full(shape), 3)
    return (spread(rng, shape),), {"axis": [None, -1][rng.integers(2)], "ddof": int(rng.integers(0, 2))}
