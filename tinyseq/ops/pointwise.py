"""Element by element: arithmetic, functions, comparisons, choices. Operands broadcast as in NumPy."""

import math
from typing import Any

from tinyseq.engine import primitive


@primitive
def add(xp, a, b):
    """a + b."""
    return a + b, lambda g: (g, g)


@primitive
def subtract(xp, a, b):
    """a - b."""
    return a - b, lambda g: (g, lambda: -g)


@primitive
def multiply(xp, a, b):
    """a * b."""
    return a * b, lambda g: (lambda: g * b, lambda: g * a)


@primitive
def divide(xp, a, b):
    """a / b."""
    y = a / b
    return y, lambda g: (lambda: g / b, lambda: -g * y / b)


@primitive
def negative(xp, x):
    """-x."""
    return -x, lambda g: (-g,)


@primitive
def power(xp, x, p):
    """x ** p. At x = 0 the derivative by x is 0 for p = 0, and the derivative by p is 0 for p > 0."""
    y = xp.power(x, p)

    def by_x():
        if isinstance(p, int | float):
            return p * xp.power(x, p - 1) if p else xp.zeros_like(y)
        flat = xp.equal(p, 0)
        return xp.where(flat, 0, p * xp.power(xp.where(flat, 1, x), p - 1))

    def log_x():
        if isinstance(x, int | float):
            return math.log(x) if x > 0 else 0.0 if x == 0 else math.nan
        return xp.log(xp.where(xp.equal(x, 0), 1, x))

    return y, lambda g: (lambda: g * by_x(), lambda: g * y * log_x())


@primitive
def abs(xp, x):
    """|x|, with derivative 0 at 0."""
    return xp.abs(x), lambda g: (g * xp.sign(x),)


@primitive
def sign(xp, x):
    """-1, 0 or 1; its derivative is 0 everywhere, as it is wherever there is one."""
    return xp.sign(x), lambda g: (xp.zeros_like(g),)


@primitive
def exp(xp, x):
    """e ** x."""
    y = xp.exp(x)
    return y, lambda g: (g * y,)


@primitive
def expm1(xp, x):
    """e ** x - 1, exact near 0."""
    y = xp.expm1(x)
    return y, lambda g: (g * (y + 1),)


@primitive
def log(xp, x):
    """Natural logarithm."""
    return xp.log(x), lambda g: (g / x,)


@primitive
def log1p(xp, x):
    """log(1 + x), exact near 0."""
    return xp.log1p(x), lambda g: (g / (1 + x),)


@primitive
def sqrt(xp, x):
    """Square root; the derivative at 0 is infinite."""
    y = xp.sqrt(x)
    return y, lambda g: (g * 0.5 / y,)


@primitive
def square(xp, x):
    """x * x."""
    return xp.square(x), lambda g: (g * (2 * x),)


@primitive
def tanh(xp, x):
    """Hyperbolic tangent."""
    y = xp.tanh(x)
    return y, lambda g: (g - g * y * y,)  # an operation on a number costs twice one on arrays


@primitive
def sin(xp, x):
    """Sine of x in radians."""
    return xp.sin(x), lambda g: (g * xp.cos(x),)


@primitive
def cos(xp, x):
    """Cosine of x in radians."""
    return xp.cos(x), lambda g: (-g * xp.sin(x),)


@primitive
def erf(xp, x):
    """The error function: 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x."""
    return xp.erf(x), lambda g: (g * (2 / math.sqrt(math.pi) * xp.exp(-xp.square(x))),)


@primitive
def logaddexp(xp, a, b):
    """log(exp(a) + exp(b)), without overflow; where both are -inf, each gets half of the gradient."""
    larger = xp.maximum(a, b)
    alike = xp.logical_and(xp.equal(a, b), xp.logical_not(xp.isfinite(larger)))  # inf - inf is NaN
    nothing = xp.zeros_like(larger)
    difference = xp.where(alike, nothing, a) - xp.where(alike, nothing, b)
    y = larger + xp.log1p(xp.exp(-xp.abs(difference)))
    share = 0.5 * xp.tanh(0.5 * difference) + 0.5
    return y, lambda g: (lambda: g * share, lambda: g * (1 - share))


@primitive
def maximum(xp, a, b):
    """The larger of a and b; where they are equal, each gets half of the gradient."""
    return xp.maximum(a, b), lambda g: (lambda: _winner(xp, a, b, g), lambda: _winner(xp, b, a, g))


@primitive
def minimum(xp, a, b):
    """The smaller of a and b; where they are equal, each gets half of the gradient."""
    return xp.minimum(a, b), lambda g: (lambda: _winner(xp, b, a, g), lambda: _winner(xp, a, b, g))


def _winner(xp: Any, a: Any, b: Any, g: Any) -> Any:
    """The part of g that goes to `a` where the larger of a and b was taken."""
    return xp.where(xp.greater(a, b), g, xp.where(xp.equal(a, b), 0.5 * g, 0))


def clip(x: Any, a_min: float | None = None, a_max: float | None = None) -> Any:
    """x held within [a_min, a_max] (numbers, or None for no bound); the gradient passes where x is within."""
    if not all(bound is None or isinstance(bound, int | float) for bound in (a_min, a_max)):
        raise TypeError("clip() takes numbers as bounds; for arrays write minimum(maximum(x, low), high).")
    return _clip(x, low=a_min, high=a_max)


@primitive
def _clip(xp, x, *, low, high):
    y = x if low is None else xp.maximum(x, low)
    y = y if high is None else xp.minimum(y, high)
    return y, lambda g: (xp.where(xp.equal(x, y), g, 0),)


@primitive
def where(xp, condition, x, y):
    """x where `condition` holds, else y; the gradient goes to the chosen one, the other gets exactly 0."""
    chosen = xp.where(condition, x, y)
    return chosen, lambda g: (None, lambda: xp.where(condition, g, 0), lambda: xp.where(condition, 0, g))


@primitive
def stop_gradient(xp, x):
    """x as a constant."""
    return x, None


@primitive
def zeros_like(xp, x):
    """Zeros of the shape and dtype of x."""
    return xp.zeros_like(x), None


@primitive
def ones_like(xp, x):
    """Ones of the shape and dtype of x."""
    return xp.ones_like(x), None


@primitive
def astype(xp, x, *, dtype):
    """x converted to `dtype`; the gradient is converted back. Integers and booleans are constant."""
    before, y = x.dtype, xp.astype(x, dtype=dtype)
    return y, (lambda g: (xp.astype(g, dtype=before),)) if y.dtype.kind == "f" else None


@primitive
def greater(xp, a, b):
    """a > b."""
    return xp.greater(a, b), None


@primitive
def greater_equal(xp, a, b):
    """a >= b."""
    return xp.greater_equal(a, b), None


@primitive
def less(xp, a, b):
    """a < b."""
    return xp.less(a, b), None


@primitive
def less_equal(xp, a, b):
    """a <= b."""
    return xp.less_equal(a, b), None


@primitive
def equal(xp, a, b):
    """a == b."""
    return xp.equal(a, b), None


@primitive
def not_equal(xp, a, b):
    """a != b."""
    return xp.not_equal(a, b), None


@primitive
def logical_and(xp, a, b):
    """a and b, as booleans."""
    return xp.logical_and(a, b), None


@primitive
def logical_or(xp, a, b):
    """a or b, as booleans."""
    return xp.logical_or(a, b), None


@primitive
def logical_not(xp, x):
    """not x, as booleans."""
    return xp.logical_not(x), None


@primitive
def isfinite(xp, x):
    """Neither NaN nor infinite."""
    return xp.isfinite(x), None
