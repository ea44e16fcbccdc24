"""The layers of tinyseq as PyTorch has them, and which Parameter of the one is which of the other.

A batch is padded, as is usual there, and recurrences run over `pack_padded_sequence`: nothing is shared with
tinyseq's packed rows, so that equal figures mean something.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tinyseq import Recurrent, Sequences, Tensor, ops
from tinyseq.nn import Dropout, Embedding, Linear, Parameter, Residual, Sequential, TokenFeatures

IGNORED = -100  # what torch's cross-entropy leaves out


@dataclass
class Ragged:
    """A padded batch (batch, time, ...) and the length of each sequence."""

    data: torch.Tensor
    lengths: torch.Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def shape(self) -> tuple[int, ...]:
        """The steps of all sequences, without padding, and the rest of the axes."""
        return int(self.lengths.sum()), *self.data.shape[2:]

    @cached_property
    def dense(self) -> bool:
        """Whether all lengths are equal."""
        return bool((self.lengths == self.data.shape[1]).all())

    @cached_property
    def mask(self) -> torch.Tensor:
        """Where there is a step: (batch, time)."""
        return torch.arange(self.data.shape[1]) < self.lengths[:, None]

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> "Ragged":
        """The same lengths with other data."""
        return Ragged(function(self.data), self.lengths)

    def rows(self) -> torch.Tensor:
        """The steps alone."""
        return self.data.flatten(0, 1) if self.dense else self.data[self.mask]

    def last(self) -> torch.Tensor:
        """The last step of each sequence."""
        return self.data[torch.arange(len(self)), self.lengths - 1]

    def mean(self) -> torch.Tensor:
        """The mean of the steps of each sequence."""
        if self.dense:
            return self.data.mean(1)
        return (self.data * self.mask[..., None]).sum(1) / self.lengths[:, None]

    def max(self) -> torch.Tensor:
        """The largest of the steps of each sequence."""
        if self.dense:
            return self.data.amax(1)
        return self.data.masked_fill(~self.mask[..., None], -torch.inf).amax(1)

    def ids(self) -> torch.Tensor:
        """The data with IGNORED where there is no step, for the cross-entropy."""
        return self.data if self.dense else self.data.masked_fill(~self.mask, IGNORED)


def as_torch(batch: Any) -> Any:
    """A batch of tinyseq's (a tuple of Sequences, Tensors and arrays) in torch's terms."""
    if isinstance(batch, tuple):
        return tuple(map(as_torch, batch))
    if isinstance(batch, Sequences):
        return Ragged(as_torch(batch.to_padded()), torch.tensor(batch.lengths))
    values = torch.from_numpy(np.array(batch.numpy() if isinstance(batch, Tensor) else batch))
    return values.to(torch.get_default_dtype()) if values.is_floating_point() else values


def positionwise(function: Any, xs: Any) -> Any:
    """`function` of a Tensor, or of the data of a Ragged."""
    return xs.map(function) if isinstance(xs, Ragged) else function(xs)


class Link(NamedTuple):
    """A Parameter of tinyseq and what stands for it: theirs[rows], transposed if `turned`, times `signs`."""

    ours: Parameter
    theirs: torch.nn.Parameter
    turned: bool
    rows: slice
    signs: Any

    def read(self) -> None:
        """Give torch our values."""
        values = np.array(self.ours.numpy() * self.signs)
        with torch.no_grad():
            self.theirs[self.rows] = torch.from_numpy(values.T if self.turned else values)

    def back(self, theirs: torch.Tensor) -> Any:
        """What torch's values, or gradients, are in our terms."""
        values = theirs.detach()[self.rows].numpy()
        return (values.T if self.turned else values) * self.signs

    def write(self) -> None:
        """Take torch's values."""
        self.ours.data[...] = self.back(self.theirs)
        self.ours.changed()


class Twins:
    """Makes torch modules that stand for tinyseq's, each once, so that what is tied stays tied."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}
        self.links: list[Link] = []

    def __call__(self, ours: Any) -> Any:
        """The twin of a module, with its values."""
        if ours in FUNCTIONS:
            return Positionwise(FUNCTIONS[ours])
        if type(ours) not in CONVERTERS:  # a subclass may compute something else
            raise TypeError(f"There is no twin of {type(ours).__name__} yet: add one to CONVERTERS.")
        if id(ours) not in self.made:
            self.made[id(ours)] = CONVERTERS[type(ours)](ours, self)
        return self.made[id(ours)]

    def link(
        self, ours: Parameter, theirs: Any, *, turned: bool = False, rows: slice = slice(None), signs: Any = 1
    ) -> None:
        """Say that `theirs` stands for `ours`, and give it its values."""
        self.links.append(Link(ours, theirs, turned, rows, signs))
        self.links[-1].read()

    def write(self) -> None:
        """Take all values of torch's over into tinyseq's Parameters."""
        for link in self.links:
            link.write()


CONVERTERS: dict[type, Callable[[Any, Twins], Any]] = {}
"""What makes the twin of a module of each type."""

FUNCTIONS: dict[Any, Any] = {ops.relu: torch.relu, ops.tanh: torch.tanh, ops.sigmoid: torch.sigmoid}


def converts(*kinds: type) -> Callable[[Any], Any]:
    """Register a maker of twins for these types."""

    def register(make: Any) -> Any:
        CONVERTERS.update(dict.fromkeys(kinds, make))
        return make

    return register


class Positionwise(torch.nn.Module):
    """A module or function that treats every position by itself."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, xs: Any) -> Any:
        return positionwise(self.function, xs)


@converts(Linear)
def linear(ours: Linear, twins: Twins) -> Positionwise:
    made = torch.nn.Linear(ours.input_size, ours.output_size, bias=ours.bias is not None)
    twins.link(ours.weight, made.weight, turned=True)
    if ours.bias is not None:
        twins.link(ours.bias, made.bias)
    return Positionwise(made)


@converts(Embedding)
def embedding(ours: Embedding, twins: Twins) -> Positionwise:
    made = torch.nn.Embedding(ours.num_embeddings, ours.embedding_size)
    twins.link(ours.weight, made.weight)
    return Positionwise(made)


@converts(Dropout)
def dropout(ours: Dropout, twins: Twins) -> Positionwise:
    return Positionwise(torch.nn.Dropout(ours.p))


@converts(Sequential)
def sequential(ours: Sequential, twins: Twins) -> torch.nn.Sequential:
    return torch.nn.Sequential(*map(twins, ours.layers))


@converts(Residual)
class TorchResidual(torch.nn.Module):
    def __init__(self, ours: Residual, twins: Twins) -> None:
        super().__init__()
        self.layer = twins(ours.layer)

    def forward(self, xs: Any) -> Any:
        return positionwise(lambda x: x + getattr(self.layer(xs), "data", self.layer(xs)), xs)


@converts(TokenFeatures)
class TorchTokenFeatures(torch.nn.Module):
    def __init__(self, ours: TokenFeatures, twins: Twins) -> None:
        super().__init__()
        self.word, self.case, self.character = map(twins, (ours.word, ours.case, ours.character))
        self.spelling = twins(ours.spelling)
        self.pooling = ours.pooling

    def forward(self, ids: Ragged) -> Ragged:
        rows = ids.rows()
        places = torch.arange(1, rows.shape[1] - 1)
        lengths = (places * (rows[:, 2:] != 0)).amax(1).clamp(min=1)
        spelled = self.spelling(self.character(Ragged(rows[:, 2 : 2 + int(lengths.max())], lengths)))
        pooled = getattr(spelled, self.pooling)()
        features = torch.cat([self.word(rows[:, 0]), self.case(rows[:, 1]), pooled], -1)
        padded = features.new_zeros(*ids.data.shape[:2], features.shape[1])
        return Ragged(padded.masked_scatter(ids.mask[..., None], features), ids.lengths)


class TorchRecurrent(torch.nn.Module):
    """torch.nn's RNN, GRU or LSTM in one direction or both.

    torch adds two biases where tinyseq has one. The second stays 0, so that there are as many parameters;
    of the GRU, whose candidate has two, that part is trained.
    """

    def __init__(self, cells: list[Any], twins: Twins) -> None:
        super().__init__()
        cell, width = cells[0], cells[0].hidden_size
        options: dict[str, Any] = {"batch_first": True, "bidirectional": len(cells) == 2}
        if any(_kind(other) != _kind(cell) or other.hidden_size != width for other in cells):
            raise TypeError("torch reads in both directions with cells of one kind and size only.")
        if isinstance(cell, RNN):
            options["nonlinearity"] = "relu" if cell.activation is ops.relu else "tanh"
        self.recurrence = getattr(torch.nn, type(cell).__name__)(cell.input_size, width, **options)
        # torch's update gate z is 1 - z here, and 1 - sigmoid(u) = sigmoid(-u)
        signs = np.repeat([1, -1, 1], width) if isinstance(cell, GRU) else 1
        for own, suffix in zip(cells, ("l0", "l0_reverse"), strict=False):
            weight_ih, weight_hh, bias_ih, bias_hh = (
                getattr(self.recurrence, f"{name}_{suffix}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            twins.link(own.w_x, weight_ih, turned=True, signs=signs)
            twins.link(own.w_h, weight_hh, turned=True, signs=signs)
            twins.link(own.b, bias_ih, signs=signs)
            torch.nn.init.zeros_(bias_hh)
            if isinstance(own, GRU):
                trained = torch.arange(3 * width) >= 2 * width
                bias_hh.register_hook(lambda g, trained=trained: g * trained)
                twins.link(own.b_h, bias_hh, rows=slice(2 * width, None))
            else:
                bias_hh.requires_grad_(False)

    def scan(self, xs: Ragged, state: Any = None) -> tuple[Ragged, Any]:
        """The outputs at every step, and torch's final state."""
        if xs.dense:
            ys, state = self.recurrence(xs.data, state)
            return Ragged(ys, xs.lengths), state
        packed = pack_padded_sequence(xs.data, xs.lengths, batch_first=True, enforce_sorted=False)
        ys, state = self.recurrence(packed, state)
        return Ragged(pad_packed_sequence(ys, batch_first=True)[0], xs.lengths), state

    def forward(self, xs: Ragged) -> Ragged:
        return self.scan(xs)[0]


def _kind(cell: Any) -> Any:
    """What torch has of a cell: its type and activation. Raises TypeError for what it has not."""
    activations = [getattr(cell, name, None) for name in ("gate", "candidate", "cell_output")]
    if type(cell) is GRU and cell.reset == "after":
        return GRU
    if type(cell) is LSTM and not cell.peepholes and activations == [ops.sigmoid, ops.tanh, ops.tanh]:
        return LSTM
    if type(cell) is RNN and cell.activation in (ops.tanh, ops.relu):
        return RNN, cell.activation
    raise TypeError(f"torch has no {cell!r}.")


@converts(Recurrent)
def recurrent(ours: Recurrent, twins: Twins) -> TorchRecurrent:
    if ours.reverse:
        raise TypeError("torch reads backwards only beside reading forwards.")
    return TorchRecurrent([ours.cell], twins)


@converts(Bidirectional)
def bidirectional(ours: Bidirectional, twins: Twins) -> TorchRecurrent:
    return TorchRecurrent([ours.forward_layer.cell, ours.backward_layer.cell], twins)


@converts(Deep)
class TorchDeep(torch.nn.Module):
    def __init__(self, ours: Deep, twins: Twins) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(map(twins, ours.layers))
        self.residual = ours.residual

    def scan(self, xs: Ragged, state: Any = None) -> tuple[Ragged, Any]:
        """The last layer's outputs, and the state of every layer."""
        final = []
        for i, layer in enumerate(self.layers):
            before = None if state is None else state[i]
            ys, after = layer.scan(xs, before) if hasattr(layer, "scan") else (layer(xs), None)
            xs = Ragged(ys.data + xs.data, xs.lengths) if self.residual and i else ys
            final.append(after)
        return xs, tuple(final)

    def forward(self, xs: Ragged) -> Ragged:
        return self.scan(xs)[0]
