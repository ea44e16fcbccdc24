"""ONNX's RNN, GRU and LSTM as steps, run over whole batches by tinyseq's scan."""

from typing import Any

import numpy as np

from tinyseq import ops
from tinyseq.engine import Tensor
from tinyseq.errors import DataError
from tinyseq.interop.onnx.reading.activations import OF_RECURRENCES
from tinyseq.interop.onnx.reading.call import Call, constant
from tinyseq.nn.module import Module
from tinyseq.scan import scan
from tinyseq.sequences import Sequences

_ACTIVATIONS = {name.lower(): found for name, found in OF_RECURRENCES.items()}  # in any case, as in files


class Step(Module):
    """One direction of a node: w (input, gates * hidden), r (hidden, gates * hidden), two biases."""

    def __init__(self, w: Any, r: Any, biases: tuple[Any, Any], peepholes: Any, options: "Options") -> None:
        self.w, self.r = w, r
        self.b, self.b_r = biases
        self.peepholes = peepholes
        self.activations = tuple(options.activations)
        self.clip = options.clip
        self.coupled, self.after = options.coupled, options.after

    def act(self, k: int, x: Any) -> Any:
        """Activation k of a gate's sum, which is held within the node's threshold."""
        return self.plain(k, x if self.clip is None else ops.clip(x, -self.clip, self.clip))

    def plain(self, k: int, x: Any) -> Any:
        """Activation k. Of an LSTM's memory the threshold knows nothing, as in onnxruntime."""
        name, alpha, beta = self.activations[k]
        return _ACTIVATIONS[name][3](x, alpha, beta)

    def rnn(self, x: Any, h: Any) -> Any:
        """h' = f(x W + h R + b)."""
        h = self.act(0, x @ self.w + h @ self.r + (self.b + self.b_r))
        return h, h

    def gru(self, x: Any, h: Any) -> Any:
        """Gates z, r, h; z keeps."""
        x_z, x_r, x_n = ops.split(x @ self.w + self.b, 3, axis=-1)
        r_z, r_r, r_n = ops.split(self.r, 3, axis=-1)
        b_z, b_r, b_n = ops.split(self.b_r, 3, axis=-1)
        z, r = self.act(0, x_z + h @ r_z + b_z), self.act(0, x_r + h @ r_r + b_r)
        n = r * (h @ r_n + b_n) if self.after else (r * h) @ r_n + b_n
        h = (1 - z) * self.act(1, x_n + n) + z * h
        return h, h

    def lstm(self, x: Any, state: Any) -> Any:
        """Gates i, o, f, c; peepholes i, o, f."""
        h, c = state
        i, o, f, g = ops.split(x @ self.w + h @ self.r + (self.b + self.b_r), 4, axis=-1)
        if self.peepholes is not None:
            p_i, p_o, p_f = ops.split(self.peepholes, 3, axis=-1)
            i, f = i + p_i * c, f + p_f * c
        i = self.act(0, i)
        f = 1 - i if self.coupled else self.act(0, f)
        c = f * c + i * self.act(1, g)
        if self.peepholes is not None:
            o = o + p_o * c
        h = self.act(0, o) * self.plain(2, c)
        return h, (h, c)


class Options:
    """The attributes of a node, read and checked."""

    def __init__(self, c: Call, gates: int, defaults: tuple[str, ...]) -> None:
        direction = c.attr("direction", "forward")
        if direction not in ("forward", "reverse", "bidirectional"):
            raise DataError(f"{c.op} has no direction {direction!r}.")
        self.reverse = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        self.gates, self.functions = gates, len(defaults)
        self.hidden = int(c.attr("hidden_size", c[2].shape[-1]))
        clip = c.attr("clip")
        self.clip = None if clip is None or clip <= 0 else float(clip)
        self.batchwise = bool(c.attr("layout", 0))
        self.coupled, self.after = bool(c.attr("input_forget", 0)), bool(c.attr("linear_before_reset", 0))
        self.chosen = self._chosen(c, defaults)
        self.activations: list[tuple[str, float, float]] = []

    def _chosen(self, c: Call, defaults: tuple[str, ...]) -> list[tuple[str, float, float]]:
        """Every activation with its alpha and beta, which stand in lists for those that have them."""
        names = c.attr("activations") or [n.encode() for n in defaults * len(self.reverse)]
        names = [n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names]
        if len(names) != len(defaults) * len(self.reverse):
            raise DataError(
                f"{c.op} needs {len(defaults) * len(self.reverse)} activations, not {len(names)}."
            )
        alphas, betas = (list(c.attr(f"activation_{n}") or []) for n in ("alpha", "beta"))
        found = []
        for name in names:
            known = _ACTIVATIONS.get(name.lower())
            if known is None:
                raise DataError(f"{c.op} has no activation {name[:40]!r}.")
            count, alpha, beta, _ = known
            if count and alphas:
                alpha = float(alphas.pop(0))
            if count > 1 and betas:
                beta = float(betas.pop(0))
            found.append((name.lower(), alpha, beta))
        return found


def rnn(c: Call) -> Any:
    """RNN: f = Tanh."""
    return _all_directions(c, Options(c, 1, ("Tanh",)), "rnn")


def gru(c: Call) -> Any:
    """GRU: f = Sigmoid, g = Tanh."""
    return _all_directions(c, Options(c, 3, ("Sigmoid", "Tanh")), "gru")


def lstm(c: Call) -> Any:
    """LSTM: f = Sigmoid, g = Tanh, h = Tanh."""
    return _all_directions(c, Options(c, 4, ("Sigmoid", "Tanh", "Tanh")), "lstm")


def _all_directions(c: Call, options: Options, kind: str) -> Any:
    """Every direction, and the outputs put together as the node's layout wants them."""
    x = c[0] if options.batchwise else ops.swapaxes(c[0], 0, 1)  # (batch, time, input)
    _check(c, options, x)
    batch, time, _ = x.shape
    lengths = [time] * batch if c.get(4) is None else c.ints(4)
    if len(lengths) != batch or not all(1 <= n <= time for n in lengths):
        raise DataError(
            f"{c.op} needs a length from 1 to {time} for each of {batch} sequences; got {lengths[:8]}."
        )
    if not time:
        raise DataError(f"{c.op} was given no step.")
    ys, finals = [], []
    for d, reverse in enumerate(options.reverse):
        step = _step(c, options, d)
        state = _initial_state(c, options, d, batch, x.dtype, kind)
        found, final = scan(getattr(step, kind), Sequences.from_padded(x, lengths), state, reverse=reverse)
        y = found.to_padded()
        if y.shape[1] < time:
            y = ops.pad(y, ((0, 0), (0, time - y.shape[1]), (0, 0)))
        ys.append(y)
        finals.append(final if isinstance(final, tuple) else (final,))
    both = ops.stack(ys, 2)  # (batch, time, directions, hidden)
    states = [ops.stack([final[k] for final in finals], 1) for k in range(len(finals[0]))]
    if not options.batchwise:
        both = ops.transpose(both, (1, 2, 0, 3))
        states = [ops.swapaxes(s, 0, 1) for s in states]
    return (both, *states)[: c.outputs]


def _check(c: Call, options: Options, x: Tensor) -> None:
    """Raise DataError where the shapes of a node's inputs do not fit each other."""
    ways, hidden, rows = len(options.reverse), options.hidden, options.gates * options.hidden
    if x.ndim != 3 or hidden < 1:
        raise DataError(f"{c.op} takes three axes and a hidden_size of 1 or more, not {x.ndim} and {hidden}.")
    wanted = {
        1: (ways, rows, x.shape[2]),
        2: (ways, rows, hidden),
        3: (ways, 2 * rows),
        7: (ways, 3 * hidden),
    }
    for k, shape in wanted.items():
        value = c.get(k) if k != 7 or c.op == "LSTM" else None
        if value is not None and value.shape != shape:
            raise DataError(f"Input {k} of {c.op} has shape {value.shape} where {shape} belongs.")


def _step(c: Call, options: Options, d: int) -> Step:
    w, r = (ops.transpose(c[k][d]) for k in (1, 2))
    rows = options.gates * options.hidden
    given = c.get(3)
    zeros: Any = constant(np.zeros(rows, w.dtype))
    biases = (zeros, zeros) if given is None else (given[d, :rows], given[d, rows:])
    peepholes = c.get(7) if c.op == "LSTM" else None
    options.activations = options.chosen[d * options.functions : (d + 1) * options.functions]
    return Step(w, r, biases, None if peepholes is None else peepholes[d], options)


def _initial_state(c: Call, options: Options, d: int, batch: int, dtype: Any, kind: str) -> Any:
    """The state of one direction before its first step."""

    def part(k: int) -> Any:
        given = c.get(k)
        if given is None:
            return constant(np.zeros((batch, options.hidden), dtype))
        turned = given if options.batchwise else ops.swapaxes(given, 0, 1)
        if turned.shape != (batch, len(options.reverse), options.hidden):
            raise DataError(f"Input {k} of {c.op} has shape {given.shape}.")
        return turned[:, d]

    return (part(5), part(6)) if kind == "lstm" else part(5)
