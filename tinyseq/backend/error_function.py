"""The error function, which NumPy lacks: W. J. Cody's rational approximations."""

from typing import Any

import numpy as np

# Cody (1969), Rational Chebyshev approximations for the error function, Math. Comp. 23; the coefficients are
# those of CALERF in SPECFUN, highest power first. The first pair is of x * P(x * x) / Q(x * x) for
# |x| <= 0.46875, the second of exp(-x * x) * P(x) / Q(x) = 1 - erf(x) from there on. What it loses beyond 4
# is less than the last place of a result that is then nearly 1.
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)  # fmt: skip
_FAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    total = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        total *= x
        total += c
    return total


def erf(x: Any, out: Any = None) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x, within five units in the last place."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    size = np.minimum(np.abs(wide), 6)  # from there on the result is 1 in every dtype
    squared = size * size
    near, far = size <= 0.46875, np.maximum(size, 0.46875)
    result = 1 - np.exp(-squared) * (_polynomial(far, _FAR[0]) / _polynomial(far, _FAR[1]))
    if near.any():
        result = np.where(
            near, size * (_polynomial(squared, _NEAR[0]) / _polynomial(squared, _NEAR[1])), result
        )
    return np.copysign(result.astype(x.dtype, copy=False), x, out=out)
