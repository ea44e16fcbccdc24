"""The update rules: each the formula of its source, applied in place, and equal to PyTorch's definition."""

from collections.abc import Iterable, Mapping
from typing import Any

from tinyseq.backend import Array, words_of
from tinyseq.errors import ConfigError
from tinyseq.optim.optimizer import Optimizer, Options, Parameters, at_least_zero, below_one

Given = Parameters | Iterable[Mapping[str, Any]]
State = dict[str, Array]


class SGD(Optimizer):
    """w -= lr * v, where v = momentum * v + g; with `nesterov` w -= lr * (g + momentum * v).

    weight_decay adds weight_decay * w to g. Sources: Polyak (1964); Sutskever et al. (2013).
    """

    def __init__(
        self,
        parameters: Given,
        lr: float = 1e-2,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)

    def check(self, options: Options) -> None:
        super().check(options)
        at_least_zero("SGD", options, "momentum")
        if options["nesterov"] and options["momentum"] == 0:
            raise ConfigError("SGD(nesterov=True) needs a momentum above 0.")

    def initial_state(self, options: Options) -> dict[str, float]:
        return {"velocity": 0.0} if options["momentum"] else {}

    def update(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        momentum = options["momentum"]
        g = _decayed(g, w, options)
        if momentum:
            v = state["velocity"]
            kernel = words_of(w).fused.get("momentum")
            if kernel is not None:
                kernel(g, momentum, options["lr"], options["nesterov"], w, v)
                return
            v *= momentum
            v += g
            g = g + momentum * v if options["nesterov"] else v
        w -= options["lr"] * g


class RMSprop(Optimizer):
    """w -= lr * g / (sqrt(s) + eps), where s = alpha * s + (1 - alpha) * g**2.

    With `momentum` the quotient goes through v = momentum * v + quotient first; weight_decay adds
    weight_decay * w to g. Source: Tieleman and Hinton (2012), lecture 6.5.
    """

    def __init__(
        self,
        parameters: Given,
        lr: float = 1e-2,
        *,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay
        )

    def check(self, options: Options) -> None:
        super().check(options)
        at_least_zero("RMSprop", options, "eps", "momentum")
        below_one("RMSprop", options, "alpha")

    def initial_state(self, options: Options) -> dict[str, float]:
        return {"square": 0.0, "velocity": 0.0} if options["momentum"] else {"square": 0.0}

    def update(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        g = _decayed(g, w, options)
        s = state["square"]
        s *= options["alpha"]
        s += (1 - options["alpha"]) * (g * g)
        change = g / (words_of(w).sqrt(s) + _eps(options, w))
        if options["momentum"]:
            v = state["velocity"]
            v *= options["momentum"]
            v += change
            change = v
        w -= options["lr"] * change


class Adagrad(Optimizer):
    """w -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps), where s is the sum of all g**2.

    s starts from `initial_accumulator_value`; weight_decay adds weight_decay * w to g.
    Source: Duchi, Hazan and Singer (2011), the diagonal form.
    """

    def __init__(
        self,
        parameters: Given,
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        eps: float = 1e-10,
        initial_accumulator_value: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            parameters,
            lr=lr,
            lr_decay=lr_decay,
            eps=eps,
            initial_accumulator_value=initial_accumulator_value,
            weight_decay=weight_decay,
        )

    def check(self, options: Options) -> None:
        super().check(options)
        at_least_zero("Adagrad", options, "lr_decay", "eps", "initial_accumulator_value")

    def initial_state(self, options: Options) -> dict[str, float]:
        return {"square": options["initial_accumulator_value"]}

    def update(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        g = _decayed(g, w, options)
        s = state["square"]
        s += g * g
        lr = options["lr"] / (1 + (step - 1) * options["lr_decay"])
        w -= lr * (g / (words_of(w).sqrt(s) + _eps(options, w)))


class Adam(Optimizer):
    """w -= lr * m' / (sqrt(s') + eps), where m' and s' are running means of g and g**2.

    m = b1 * m + (1 - b1) * g and s = b2 * s + (1 - b2) * g**2 start at 0, for which m' = m / (1 - b1**t) and
    s' = s / (1 - b2**t) make up.
    weight_decay adds weight_decay * w to g. Source: Kingma and Ba (2015), algorithm 1.
    """

    def __init__(
        self,
        parameters: Given,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def check(self, options: Options) -> None:
        super().check(options)
        at_least_zero(type(self).__name__, options, "eps")
        below_one(type(self).__name__, options, "betas")
        if len(options["betas"]) != 2:
            raise ConfigError(f"{type(self).__name__}(betas={options['betas']!r}): two numbers are needed.")

    def initial_state(self, options: Options) -> dict[str, float]:
        return {"mean": 0.0, "square": 0.0}

    def update(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        self.descend(w, _decayed(g, w, options), state, options, step)

    def descend(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        """The change without weight decay; the corrections are moved to lr and eps (section 2)."""
        b1, b2 = options["betas"]
        m, s = state["mean"], state["square"]
        root = (1 - b2**step) ** 0.5
        lr, eps = options["lr"] * root / (1 - b1**step), root * _eps(options, w)
        kernel = words_of(w).fused.get("adam")
        if kernel is not None:
            kernel(g, b1, 1 - b1, b2, 1 - b2, lr, eps, w, m, s)
            return
        m *= b1
        m += (1 - b1) * g
        s *= b2
        s += (1 - b2) * (g * g)
        w -= lr * (m / (words_of(w).sqrt(s) + eps))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: w -= lr * weight_decay * w, then Adam's change.

    Source: Loshchilov and Hutter (2019), algorithm 2.
    """

    def __init__(
        self,
        parameters: Given,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, w: Array, g: Array, state: State, options: Options, step: int) -> None:
        w *= 1 - options["lr"] * options["weight_decay"]
        self.descend(w, g, state, options, step)


def _decayed(g: Array, w: Array, options: Options) -> Array:
    """g + weight_decay * w, the gradient of the loss with a penalty of weight_decay / 2 * |w|**2."""
    return g + options["weight_decay"] * w if options["weight_decay"] else g


def _eps(options: Options, w: Array) -> float:
    """The option, or the smallest normal number of half precision, in which it would be 0."""
    eps: float = options["eps"]
    return max(eps, 2.0**-14) if w.dtype == "float16" else eps
