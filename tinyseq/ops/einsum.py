"""Einstein's sums, as products that exist: of matrices where something is summed, else of elements."""

import math
from collections import Counter
from typing import Any

import numpy as np

from tinyseq.errors import ShapeError
from tinyseq.ops.linear import matmul
from tinyseq.ops.pointwise import multiply
from tinyseq.ops.reduce import sum
from tinyseq.ops.shape import getitem, reshape, transpose

Term = tuple[int, ...]  # a label for each axis; those that an ellipsis stands for are below 0


def einsum(subscripts: Any, *operands: Any) -> Any:
    """The sum of products that `subscripts` names: numpy.einsum, with "..." and without "->" too.

    Several operands are multiplied two by two, in the order that numpy.einsum_path finds best.
    Raises ShapeError where the subscripts do not fit the operands.
    """
    if not isinstance(subscripts, str):  # einsum(a, [0, 1], b, [1, 2], [0, 2])
        subscripts, operands = _spelled(subscripts, *operands)
    call = f"einsum({subscripts!r}) of shapes {', '.join([str(tuple(x.shape)) for x in operands])}"
    terms, result = _parsed(call, subscripts.replace(" ", ""), operands)
    sizes = _sizes(call, terms, operands)
    for label in result:
        if label not in sizes:
            raise ShapeError(f"{call}: no operand has the index {chr(label)!r} of the result.")
    queue = [_without_repeats(x, term, sizes) for x, term in zip(operands, terms, strict=True)]
    for positions in _path(queue, result, sizes):
        picked = [queue[i] for i in positions]
        queue = [pair for i, pair in enumerate(queue) if i not in positions]
        while len(picked) > 1:
            kept = {*result, *[label for _, term in (*queue, *picked[2:]) for label in term]}
            picked[:2] = [_product(*picked[0], *picked[1], kept, result)]
        queue += picked
    x, term = _without(*queue[0], set(result))
    return transpose(x, [term.index(label) for label in result]) if term != result else x


def _spelled(*arguments: Any) -> tuple[str, tuple[Any, ...]]:
    """Subscripts as text, where the labels of each operand's axes come after it as a list."""

    def text(labels: Any) -> str:
        return "".join(["..." if i is Ellipsis else chr((65 if i < 26 else 71) + i) for i in labels])

    operands, labels = arguments[0 : len(arguments) // 2 * 2 : 2], arguments[1::2]
    subscripts = ",".join(map(text, labels))
    return subscripts + (f"->{text(arguments[-1])}" if len(arguments) % 2 else ""), tuple(operands)


def _parsed(call: str, subscripts: str, operands: Any) -> tuple[list[Term], Term]:
    left, arrow, right = subscripts.partition("->")
    texts = left.split(",")
    if len(texts) != len(operands):
        raise ShapeError(
            f"{call}: there are subscripts for {len(texts)} operands, and {len(operands)} operands."
        )
    terms = [_labels(call, text, len(x.shape)) for text, x in zip(texts, operands, strict=True)]
    around = tuple(sorted({label for term in terms for label in term if label < 0}))
    if not arrow:
        counts = Counter([label for term in terms for label in term])
        return terms, (*around, *sorted([i for i, n in counts.items() if n == 1 and i >= 0]))
    result = _labels(
        call, right, len(around) + len(right.replace("...", "")) if "..." in right else len(right)
    )
    if len(set(result)) < len(result):
        raise ShapeError(f"{call}: the result has an index twice.")
    return terms, result


def _labels(call: str, text: str, ndim: int) -> Term:
    before, dots, after = text.partition("...")
    letters = before + after
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise ShapeError(f"{call}: {text!r} is not made of letters, with '...' once at most.")
    more = ndim - len(letters)
    if more < 0 or (more and not dots):
        raise ShapeError(f"{call}: {text!r} names {len(letters)} axes, where there are {ndim}.")
    return (*map(ord, before), *range(-more, 0), *map(ord, after))


def _sizes(call: str, terms: list[Term], operands: Any) -> dict[int, Any]:
    sizes: dict[int, Any] = {}
    for x, term in zip(operands, terms, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            known = sizes.get(label, 1)
            if known != 1 and n != 1 and known != n:
                name = "..." if label < 0 else chr(label)
                raise ShapeError(f"{call}: the index {name!r} has the lengths {known} and {n}.")
            sizes[label] = n if known == 1 else known
    return sizes


def _without_repeats(x: Any, term: Term, sizes: dict[int, Any]) -> tuple[Any, Term]:
    """x with each label once and none that is only repeated: diagonals, and axes of 1 taken away."""
    while len(set(term)) < len(term):
        label = next(i for i in term if term.count(i) > 1)
        i, j = [k for k, other in enumerate(term) if other == label][:2]
        others = [k for k in range(len(term)) if k not in (i, j)]
        n = x.shape[i]
        flat = reshape(transpose(x, [*others, i, j]), [*[x.shape[k] for k in others], n * n])
        x, term = getitem(flat, (..., slice(None, None, n + 1))), (*[term[k] for k in others], label)
    single = [k for k, label in enumerate(term) if x.shape[k] == 1 and sizes[label] != 1]
    if single:
        x = reshape(x, [n for k, n in enumerate(x.shape) if k not in single])
    return x, tuple([label for k, label in enumerate(term) if k not in single])


def _path(queue: list[tuple[Any, Term]], result: Term, sizes: dict[int, Any]) -> list[tuple[int, ...]]:
    """Which operands to multiply, one after the other; each product goes to the end."""
    if len(queue) < 3:
        return [tuple(range(len(queue)))]
    numbers = {label: k for k, label in enumerate(sizes)}
    arguments: list[Any] = []
    for x, term in queue:
        shape = [n if isinstance(n, int) else 64 for n in x.shape]  # rows of a step: some number
        arguments += [np.broadcast_to(np.float32(0), shape), [numbers[label] for label in term]]
    path, _ = np.einsum_path(*arguments, [numbers[label] for label in result], optimize="greedy")
    return [tuple(step) for step in path[1:]]


def _without(x: Any, term: Term, kept: set[int]) -> tuple[Any, Term]:
    """x summed over what nobody needs any more."""
    gone = tuple([k for k, label in enumerate(term) if label not in kept])
    return (sum(x, gone), tuple([i for i in term if i in kept])) if gone else (x, term)


def _product(a: Any, left: Term, b: Any, right: Term, kept: set[int], result: Term) -> tuple[Any, Term]:
    """a times b, summed over the labels that only they have."""
    a, left = _without(a, left, {*kept, *right})
    b, right = _without(b, right, {*kept, *left})
    order = {label: k for k, label in enumerate([*result, *left, *right][::-1])}
    by = lambda label: -order[label]
    summed = [i for i in left if i in right and i not in kept]
    shared = sorted([i for i in left if i in right and i in kept], key=by)
    rows, columns = (sorted([i for i in x if i not in y], key=by) for x, y in ((left, right), (right, left)))
    if columns and (not rows or by(columns[0]) < by(rows[0])):  # the product comes in the order of the result
        a, left, b, right, rows, columns = b, right, a, left, columns, rows
    size = {label: n for x, term in ((a, left), (b, right)) for label, n in zip(term, x.shape, strict=True)}
    lengths = lambda labels: [size[i] for i in labels]
    arranged = lambda x, term, labels: transpose(x, [term.index(i) for i in labels])
    if not summed or not (rows or columns):
        a = reshape(
            arranged(a, left, [*shared, *rows, *summed]),
            lengths([*shared, *rows]) + [1] * len(columns) + lengths(summed),
        )
        b = reshape(
            arranged(b, right, [*shared, *columns, *summed]),
            lengths(shared) + [1] * len(rows) + lengths([*columns, *summed]),
        )
        y = multiply(a, b)
        last = range(len(y.shape) - len(summed), len(y.shape))
        return (sum(y, tuple(last)) if summed else y), (*shared, *rows, *columns)
    inner = math.prod(lengths(summed))
    a = arranged(a, left, [*shared, *rows, *summed])
    b = arranged(b, right, [*shared, *summed, *columns])
    b = reshape(b, [*lengths(shared), inner, math.prod(lengths(columns))])
    if shared:
        a = reshape(a, [*lengths(shared), math.prod(lengths(rows)), inner])
    else:  # one matrix for all rows
        a = reshape(a, [*lengths(rows), inner])
    return reshape(matmul(a, b), lengths([*shared, *rows, *columns])), (*shared, *rows, *columns)
