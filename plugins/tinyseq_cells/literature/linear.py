"""Linear recurrences in the complex plane."""

import math
from typing import NamedTuple

import numpy as np

from tinyseq import Cell, Tensor
from tinyseq.errors import ConfigError
from tinyseq.nn import Parameter, init
from tinyseq.ops import cos, exp, sin
from tinyseq_cells.gates import check_sizes, weights

SMALL = 1e-6  # what a logarithm is taken of at least


class LRUState(NamedTuple):
    """The real and the imaginary part of the memory, both (batch, hidden_size)."""

    real: Tensor
    imaginary: Tensor


class LRU(Cell):
    """The linear recurrent unit: each neuron is a complex number that turns and shrinks, driven by the input.

        lambda = exp(-exp(nu) + i exp(theta))
        s' = lambda * s + exp(log_gamma) * (x w_real + i x w_imaginary)
        y = Re(s') c_real - Im(s') c_imaginary + x d

    |lambda| < 1 for every nu, so that nothing explodes; at the start lambda is uniform in the ring between
    `smallest` and `largest`, at angles up to `phase`, and gamma = sqrt(1 - |lambda|^2) keeps the scale of
    what comes in. There is no activation: put one between layers.

    nu, theta, log_gamma: (hidden_size,); w_real, w_imaginary and d: (input_size, hidden_size); c_real and
    c_imaginary: (hidden_size, hidden_size). Source: Orvieto et al. (2023), "Resurrecting recurrent neural
    networks for long sequences", section 3 and appendix A.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        smallest: float = 0.0,
        largest: float = 1.0,
        phase: float = 2 * math.pi,
    ) -> None:
        check_sizes("LRU", input_size, hidden_size)
        if not 0 <= smallest < largest <= 1 or not phase > 0:
            raise ConfigError(
                f"LRU(smallest={smallest}, largest={largest}, phase={phase}): 0 <= smallest < largest <= 1, "
                "and a phase above 0."
            )
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        area = init.uniform((hidden_size,), np.float64, low=smallest**2, high=largest**2)
        area = area.clip(SMALL, 1 - SMALL)  # |lambda|^2
        angle = init.uniform((hidden_size,), np.float64, low=0.0, high=phase).clip(SMALL)
        self.nu = Parameter(np.log(-0.5 * np.log(area)))
        self.theta = Parameter(np.log(angle))
        self.log_gamma = Parameter(0.5 * np.log(1 - area))
        self.w_real = weights("glorot_uniform", input_size, hidden_size, 1)
        self.w_imaginary = weights("glorot_uniform", input_size, hidden_size, 1)
        self.c_real = weights("glorot_uniform", hidden_size, hidden_size, 1)
        self.c_imaginary = weights("glorot_uniform", hidden_size, hidden_size, 1)
        self.d = weights("glorot_uniform", input_size, hidden_size, 1)

    def initial_state(self, batch_size: int) -> LRUState:
        """Nothing seen yet: zeros."""
        zeros = self.zeros(batch_size, self.hidden_size)
        return LRUState(zeros, zeros)

    def step(self, x: Tensor, state: LRUState) -> tuple[Tensor, LRUState]:
        """One step; x: (rows, input_size)."""
        size, angle, gamma = exp(-exp(self.nu)), exp(self.theta), exp(self.log_gamma)
        turn_real, turn_imaginary = size * cos(angle), size * sin(angle)
        real = turn_real * state.real - turn_imaginary * state.imaginary + gamma * (x @ self.w_real)
        imaginary = turn_real * state.imaginary + turn_imaginary * state.real + gamma * (x @ self.w_imaginary)
        y = real @ self.c_real - imaginary @ self.c_imaginary + x @ self.d
        return y, LRUState(real, imaginary)
