"""Kernels for CuPy where an op, or an optimizer's rule, would be a dozen launches over the same numbers.

Each computes what the formula beside its caller says, which NumPy runs and which it is tested against.
"""

from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import Any

import cupy

THREADS = 128  # of a block
MOST_GATHERED = 80  # arrays: a kernel takes 4 KiB of arguments

CROSS_ENTROPY = r"""
// A block owns a row of scores. One thread's number for all: the sum, or the largest.
template <bool LARGEST>
__device__ real over_row(real x, real* scratch) {
    scratch[threadIdx.x] = x;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const real other = scratch[threadIdx.x + half];
            if (!LARGEST) scratch[threadIdx.x] += other;
            else if (other > scratch[threadIdx.x]) scratch[threadIdx.x] = other;
        }
        __syncthreads();
    }
    x = scratch[0];
    __syncthreads();
    return x;
}

extern "C" __global__ void cross_entropy(const real* scores, const target* targets, long long classes,
                                         real* losses, real* shifts, real* log_totals) {
    __shared__ real scratch[THREADS];
    const real* x = scores + blockIdx.x * classes;
    real top = x[0];
    for (long long j = threadIdx.x; j < classes; j += THREADS)
        if (x[j] > top) top = x[j];
    top = over_row<true>(top, scratch);
    const real shift = top - top == real(0) ? top : real(0);
    real total = real(0);
    for (long long j = threadIdx.x; j < classes; j += THREADS) total += exp(x[j] - shift);
    total = over_row<false>(total, scratch);
    if (threadIdx.x > 0) return;
    const real log_total = log(total < real(0.5) ? real(0.5) : total); // a sum is 0, or at least exp(0)
    const long long t = targets[blockIdx.x];
    losses[blockIdx.x] = t >= 0 && t < classes ? log_total - (x[t] - shift) : real(0) / (total - total);
    shifts[blockIdx.x] = shift;
    log_totals[blockIdx.x] = log_total;
}

extern "C" __global__ void cross_entropy_gradient(const real* scores, const target* targets,
                                                  long long classes, const real* shifts,
                                                  const real* log_totals, const real* g, real* out) {
    const long long row = blockIdx.x * classes, t = targets[blockIdx.x];
    for (long long j = threadIdx.x; j < classes; j += THREADS) {
        const real p = exp(scores[row + j] - shifts[blockIdx.x] - log_totals[blockIdx.x]);
        out[row + j] = g[blockIdx.x] * p - (j == t ? g[blockIdx.x] : real(0));
    }
}
"""

_TYPES = {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}
FLOATS = ("float32", "float64")


@cache
def _module(real: str, target: str) -> Any:
    names = f"#define THREADS {THREADS}\ntypedef {_TYPES[real]} real;\ntypedef {_TYPES[target]} target;\n"
    return cupy.RawModule(code=names + CROSS_ENTROPY)


def cross_entropy(scores: Any, targets: Any) -> tuple[Any, Callable[[Any], Any]] | None:
    """The losses of rows of scores (..., classes) and the gradient's function; None for other dtypes.

    A target that is no class costs NaN: a device is not asked whether there is one.
    """
    rows, classes = targets.size, scores.shape[-1]
    if str(scores.dtype) not in _TYPES or str(targets.dtype) not in ("int32", "int64") or not scores.size:
        return None
    module = _module(str(scores.dtype), str(targets.dtype))
    x, t = cupy.ascontiguousarray(scores), cupy.ascontiguousarray(targets)
    losses, shifts, log_totals = (cupy.empty(targets.shape, scores.dtype) for _ in range(3))
    forward = module.get_function("cross_entropy")
    forward((rows,), (THREADS,), (x, t, classes, losses, shifts, log_totals))

    def gradient(g: Any) -> Any:
        out = cupy.empty_like(x)
        backward = module.get_function("cross_entropy_gradient")
        given = (x, t, classes, shifts, log_totals, cupy.ascontiguousarray(g), out)
        backward((rows,), (THREADS,), given)
        return out

    return losses, gradient


adam = cupy.ElementwiseKernel(
    "T g, T b1, T c1, T b2, T c2, T lr, T eps",
    "T w, T m, T s",
    "m = b1 * m + c1 * g; s = b2 * s + c2 * (g * g); w -= lr * (m / (sqrt(s) + eps));",
    "tinyseq_adam",
)
momentum = cupy.ElementwiseKernel(
    "T g, T momentum, T lr, bool nesterov",
    "T w, T v",
    "v = momentum * v + g; w -= lr * (nesterov ? g + momentum * v : v);",
    "tinyseq_momentum",
)
_square = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = a", "0", "tinyseq_sum_of_squares")


@cache
def _gathering(count: int, kind: str) -> Any:
    """A kernel that puts `count` arrays into one, each where it is told."""
    given = ", ".join([f"const real* p{k}, long long end{k}, long long start{k}" for k in range(count)])
    cases = [f"if (i < end{k}) out[start{k} + i - begin] = p{k}[i - begin]; else " for k in range(count)]
    begins = [f"{{ begin = end{k}; " for k in range(count - 1)]
    text = cases[0] + "".join([b + c for b, c in zip(begins, cases[1:], strict=True)])
    body = f"long long begin = 0; {text}; {'}' * (count - 1)}"
    index = "const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;"
    head = f'typedef {_TYPES[kind]} real;\nextern "C" __global__ void gather({given}, real* out)'
    return cupy.RawKernel(f"{head} {{\n    {index}\n    {body}\n}}\n", "gather")


def gather(arrays: list[Any], starts: list[int], out: Any) -> bool:
    """Put the elements of each array into `out`, from its start on; False if this is not for such arrays."""
    kind = str(out.dtype)
    if len(arrays) > MOST_GATHERED or kind not in FLOATS or any(a.dtype != out.dtype for a in arrays):
        return False
    given, end = [], 0
    for array, start in zip(arrays, starts, strict=True):
        end += array.size
        given += [cupy.ascontiguousarray(array), end, start]
    if end:
        _gathering(len(arrays), kind)((-(-end // THREADS),), (THREADS,), (*given, out))
    return True


def bounded(arrays: list[Any], bound: float) -> tuple[float, list[Any]]:
    """The norm of all arrays as one long vector, and them scaled so that it is at most `bound`."""
    ends = list(accumulate(array.size for array in arrays))
    flat = cupy.empty(ends[-1], arrays[0].dtype)
    if not gather(arrays, [0, *ends[:-1]], flat):
        cupy.concatenate([array.ravel() for array in arrays], out=flat)
    norm = float(_square(flat)) ** 0.5
    if bound < norm < float("inf"):
        flat *= bound / norm
        parts = zip(arrays, [0, *ends], ends, strict=False)
        arrays = [flat[start:end].reshape(array.shape) for array, start, end in parts]
    return norm, arrays


FUSED: dict[str, Any] = {
    "cross_entropy": cross_entropy,
    "adam": adam,
    "momentum": momentum,
    "gather": gather,
    "bounded": bounded,
}
