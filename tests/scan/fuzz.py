"""Random steps, compiled, against the same steps on the tape.

    python -m tests.scan.fuzz --seeds 0:10000 [--emitter numpy|numba]

A seed gives a step (several states and outputs, slices, joins, reductions, choices, parameters of every
shape), a batch (ragged more often than not) and a direction; outputs, final states and every gradient must
agree in float64.
"""

import argparse
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyseq import Tensor, ops
from tinyseq.scan import eager
from tinyseq.scan.emitters.numba import products
from tinyseq.scan.running import compiled
from tinyseq.scan.running.program import Options
from tinyseq.sequences import Layout

TOLERANCE = 1e-11
WORDS = (
    "sigmoid tanh relu square concatenate mean sum where maximum minimum split sqrt exp log softmax "
    "logsumexp max softplus abs clip reshape stack expand_dims l2_normalize"
)


@dataclass
class Case:
    """A random step and what it runs on."""

    seed: int
    source: str
    parameters: dict[str, tuple[int, ...]]
    states: list[tuple[int, ...]]
    inputs: list[int]
    lengths: list[int]
    reverse: bool
    wants_input: bool
    options: Options

    def step(self, values: dict[str, Tensor]) -> Any:
        """The step, around these parameters."""
        scope = {word: getattr(ops, word) for word in WORDS.split()} | values
        exec(compile(self.source, f"<fuzz {self.seed}>", "exec"), scope)
        return scope["step"]


@dataclass
class Writer:
    """Writes a step statement by statement, keeping track of widths."""

    rng: np.random.Generator
    lines: list[str] = field(default_factory=list)
    values: list[tuple[str, int]] = field(default_factory=list)
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def parameter(self, *shape: int) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = shape
        return name

    def add(self, text: str, width: int) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.values.append((name, width))
        return name

    def pick(self, width: int | None = None) -> tuple[str, int]:
        """An earlier value, rather a recent one; made to measure if there is none."""
        fitting = [v for v in self.values if width is None or v[1] == width]
        if not fitting:
            assert width is not None
            name, own = self.values[int(self.rng.integers(len(self.values)))]
            return self.add(f"{name} @ {self.parameter(own, width)}", width), width
        recent = self.rng.random() < 0.5
        return (
            fitting[-1 - int(self.rng.integers(min(3, len(fitting))))]
            if recent
            else (fitting[int(self.rng.integers(len(fitting)))])
        )

    def choose(self, *texts: str) -> str:
        return texts[int(self.rng.integers(len(texts)))]

    def statement(self) -> None:
        rng, (v, w) = self.rng, self.pick()
        kind = self.choose(
            "unary", "binary", "product", "bias", "slice", "join", "sum", "number", "gates", "choice",
            "quotient", "parameters", "heads", "softmax", "extreme", "products",
        )  # fmt: skip
        if kind == "unary":
            f = self.choose("sigmoid", "tanh", "relu", "square", "sigmoid", "tanh", "softplus", "abs")
            self.add(f"{f}({v})", w)
        elif kind == "binary":
            self.add(f"{v} {self.choose('+', '-', '*')} {self.pick(w)[0]}", w)
        elif kind == "product":
            n = int(rng.choice([2, 4, 6, 8]))
            self.add(f"{v} @ {self.parameter(w, n)}", n)
        elif kind == "bias":
            shape = [(w,), (w,), (), (1,), (1, w)][int(rng.integers(5))]
            self.add(f"{v} {self.choose('+', '*', '-')} {self.parameter(*shape)}", w)
        elif kind == "slice" and w > 1:
            a = int(rng.integers(0, w - 1))
            b = int(rng.integers(a + 1, w + 1))
            index = self.choose(f":, {a}:{b}", f"..., {a}:{b}")
            if rng.random() < 0.15:
                self.add(f"{v}[:, ::-1]", w)
            else:
                self.add(f"{v}[{index}]", b - a)
        elif kind == "join":
            u, n = self.pick()
            if w + n <= 12:
                self.add(f"concatenate([{v}, {u}], axis=-1)", w + n)
        elif kind == "sum":
            f = self.choose("mean", "sum")
            text = f"{f}(tanh({v}), axis=-1, keepdims=True)"
            self.add(f"{v} * {text}", w) if rng.random() < 0.6 else self.add(text, 1)
        elif kind == "number":
            self.add(f"{self.choose('0.5 * ', '1 - ', '0.3 + ', '-')}{v}", w)
        elif kind == "gates":
            self.gates(v, w)
        elif kind == "choice":
            u, _ = self.pick(w)
            self.add(
                self.choose(
                    f"where({v} > {u}, {v} * 0.5, {u})",
                    f"maximum({v}, {u} * 0.9 + 0.01)",
                    f"minimum({v}, {u})",
                    f"where(({v} > 0) & ({u} < 0.5), {u}, 0.25)",
                    f"clip({v}, -0.7, 0.6)",
                ),
                w,
            )
        elif kind == "quotient":
            u, _ = self.pick(w)
            self.add(
                self.choose(f"{v} / sqrt(1.0 + square({u}))", f"exp(-square({v})) * log(2.0 + square({u}))"),
                w,
            )
        elif kind == "parameters":
            self.add(f"{v} * tanh({self.parameter(w)} * 2.0) + exp({self.parameter(w)}) * 0.3", w)
        elif kind == "heads" and w % 2 == 0:
            u, _ = self.pick(w)
            shape = f"({v}.shape[0], 2, {w // 2})"
            pair = f"reshape({v}, {shape}) * reshape({u}, {shape})"
            forms = [
                (f"reshape(tanh({pair}), ({v}.shape[0], {w}))", w),
                (f"sum(tanh({pair}), axis=1)", w // 2),
                (f"sum({pair}, axis=-1)", 2),
                (f"stack([tanh({v}), {u}], axis=1)[:, 1]", w),
            ]
            self.add(*forms[int(rng.integers(4))])
        elif kind == "softmax":
            self.add(
                self.choose(
                    f"softmax({v})", f"{v} - logsumexp({v}, axis=-1, keepdims=True)", f"l2_normalize({v})"
                ),
                w,
            )
        elif kind == "products":  # gates whose weights are apart
            n, count = int(rng.choice([2, 4])), int(rng.integers(2, 5))
            parts = [f"{self.choose('tanh', 'sigmoid')}({v} @ {self.parameter(w, n)})" for _ in range(count)]
            self.add(f" {self.choose('+', '*')} ".join(parts), n)
        elif kind == "extreme":
            self.add(f"{v} - max({v}, axis=-1, keepdims=True)", w)

    def gates(self, v: str, w: int) -> None:
        rng = self.rng
        n, g = int(rng.choice([2, 4])), int(rng.choice([2, 3, 4]))
        u, m = self.pick()
        bias = f" + {self.parameter(g * n)}" if rng.random() < 0.7 else ""
        z = self.add(f"{v} @ {self.parameter(w, g * n)} + {u} @ {self.parameter(m, g * n)}{bias}", g * n)
        names = [f"g{len(self.lines)}_{j}" for j in range(g)]
        self.lines.append(f"{', '.join(names)} = split({z}, {g}, axis=-1)")
        for name in names:
            self.add(f"{self.choose('sigmoid', 'tanh', 'sigmoid', 'tanh', 'relu')}({name})", n)


def case(seed: int) -> Case:
    """The case of a seed."""
    rng = np.random.default_rng(seed)
    writer = Writer(rng)
    widths = [int(w) for w in rng.choice([2, 4, 6], int(rng.integers(1, 4)))]
    states: list[tuple[int, ...]] = [(w,) for w in widths]
    inputs = [int(rng.choice([2, 4, 6])) for _ in range(1 + int(rng.random() < 0.2))]
    xs = [f"x{k}" for k in range(len(inputs))]
    if len(xs) > 1:
        writer.lines.append(f"{', '.join(xs)} = x")
    else:
        xs = ["x"]
    writer.lines.append(f"{', '.join(f's{j}' for j in range(len(widths)))}, = state")
    if rng.random() < 0.1:  # a state of two axes
        states[0] = (2, widths[0] // 2)
        writer.lines.append(f"s0 = reshape(s0, (s0.shape[0], {widths[0]}))")
    writer.values += list(zip(xs, inputs, strict=True)) + [(f"s{j}", w) for j, w in enumerate(widths)]
    for _ in range(int(rng.integers(4, 16))):
        writer.statement()
    new = [after(writer, w) for w in widths]
    count = int(rng.integers(1, 3))
    ys = [writer.values[-1 - int(rng.integers(min(5, len(writer.values))))][0] for _ in range(count)]
    if rng.random() < 0.5:
        ys[0] = new[0]
    if len(states[0]) == 2:
        new[0] = f"reshape({new[0]}, (s0.shape[0], 2, {widths[0] // 2}))"
    output = ys[0] if count == 1 else f"({', '.join(ys)})"
    writer.lines.append(f"return {output}, ({', '.join(new)},)")
    batch, steps = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    dense = rng.random() < 0.4
    lengths = [steps] * batch if dense else [int(n) for n in rng.integers(1, steps + 1, batch)]
    source = "def step(x, state):\n" + "".join(f"    {line}\n" for line in writer.lines)
    leave_out: tuple[str, ...] = ()
    if rng.random() < 0.3:
        leave_out = (
            str(
                rng.choice(
                    [
                        "columns_first",
                        "early_sums",
                        "merged_products",
                        "merged_sums_of_products",
                        "merged_gradients",
                        "shared_rows",
                        "sums_of_parts",
                        "side_by_side",
                    ]
                )
            ),
        )
    options = Options(leave_out=leave_out, reuse=bool(rng.random() < 0.9), whole=seed % 4 > 0)
    return Case(
        seed, source, writer.parameters, states, inputs, lengths, bool(rng.random() < 0.4),
        bool(rng.random() < 0.8), options,
    )  # fmt: skip


def after(writer: Writer, width: int) -> str:
    """A new state: bounded, mostly, so that nothing grows without end."""
    fitting = [v for v, w in writer.values if w == width]
    name = fitting[-1 - int(writer.rng.integers(min(4, len(fitting))))] if fitting else writer.pick(width)[0]
    return f"tanh({name})" if writer.rng.random() < 0.85 else name


def results(which: Any, c: Case, dtype: Any = np.float64, **extra: Any) -> dict[str, np.ndarray]:
    """Outputs, final states and gradients of one way to run the case."""
    rng = np.random.default_rng(c.seed + 10**6)
    layout = Layout(c.lengths)

    def leaf(*shape: int, scale: float = 1.0, wanted: bool = True) -> Tensor:
        return Tensor((rng.standard_normal(shape) * scale).astype(dtype), requires_grad=wanted)

    parameters = {name: leaf(*shape, scale=0.5) for name, shape in c.parameters.items()}
    xs = tuple([leaf(layout.total, w, wanted=c.wants_input) for w in c.inputs])
    state = tuple([leaf(layout.batch, *shape) for shape in c.states])
    step = c.step(parameters)
    ys, final = which(step, xs if len(xs) > 1 else xs[0], state, layout, reverse=c.reverse, **extra)
    outputs = ys if isinstance(ys, tuple) else (ys,)
    seeds = np.random.default_rng(c.seed + 2 * 10**6)
    pairs = [(t, seeds.standard_normal(t.shape).astype(dtype)) for t in (*outputs, *final)]
    if c.seed % 5 == 0:  # a loss that looks at the last result alone
        pairs = pairs[-1:]
    live = [(t, s) for t, s in pairs if t.requires_grad]
    if live:
        total = [ops.sum(t * Tensor(s)) for t, s in live]
        loss = total[0]
        for term in total[1:]:
            loss = loss + term
        loss.backward()
    found = {f"y{j}": t.numpy() for j, t in enumerate(outputs)}
    found |= {f"final{j}": t.numpy() for j, t in enumerate(final)}
    leaves = parameters | {f"x{k}": x for k, x in enumerate(xs)} | {f"s{k}": s for k, s in enumerate(state)}
    for name, t in leaves.items():
        found[f"d_{name}"] = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
    return found


def errors(c: Case, dtype: Any = np.float64) -> dict[str, float]:
    """By result, the largest difference between compiled and eager, relative to 1 + the largest value."""
    return differences(results(eager.run, c, dtype), results(compiled.run, c, dtype, options=c.options))


def differences(want: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> dict[str, float]:
    """By result, the largest difference, relative to 1 + the largest value."""
    out = {}
    for name, w in want.items():
        g = got[name]
        out[name] = (
            float(np.abs(g - w).max(initial=0) / (1 + np.abs(w).max(initial=0)))
            if g.shape == w.shape
            else 9.0
        )
        if not np.isfinite(w).all():
            out[name] = float(not np.array_equal(np.isnan(w), np.isnan(g)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0:10000", help="first:beyond")
    parser.add_argument("--verbose", action="store_true", help="print the steps that fail")
    parser.add_argument("--emitter", default="numpy", choices=["numpy", "numba"])
    parser.add_argument("--interpret", action="store_true", help="run numba's kernels as Python")
    args = parser.parse_args()
    if args.interpret:
        import numba

        numba.config.DISABLE_JIT = True
    products.LEAST_ROWS = 0  # batches here are small, and packed products are to be tested
    first, beyond = map(int, args.seeds.split(":"))
    bad, worst, began = 0, 0.0, time.monotonic()
    for seed in range(first, beyond):
        c = case(seed)
        c.options.emitter = args.emitter
        try:
            found = errors(c)
            wrong = {k: f"{v:.0e}" for k, v in found.items() if not v < TOLERANCE}
            worst = max(worst, *found.values())
        except Exception as error:
            wrong = {type(error).__name__: str(error)[:200]}
            if args.verbose:
                traceback.print_exc()
        if wrong:
            bad += 1
            print(f"seed {seed}: {wrong}", flush=True)
            if args.verbose:
                print(c.source, c.lengths, "reverse" if c.reverse else "", c.options)
    seconds = time.monotonic() - began
    print(f"{beyond - first} seeds, {bad} failed, worst error {worst:.1e}, {seconds:.0f} s")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
