"""The head that writes one sequence for each sequence that was read."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from tinyseq import ops, random
from tinyseq.contracts import Cell, Head, Loss, Metric
from tinyseq.contracts.pairing import beside, check_id
from tinyseq.decoding import Hypothesis, beam_search, write
from tinyseq.decoding.search import Array, check_length
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import ConfigError
from tinyseq.evaluation import ErrorRate, ExactMatch
from tinyseq.nn import Dropout, Embedding, Linear, Module
from tinyseq.registry import losses
from tinyseq.scan import Recurrent, scan
from tinyseq.scan.state import flatten, rebuild
from tinyseq.sequences import Sequences, packed
from tinyseq_heads.attention import Memory, attention_of
from tinyseq_heads.pooling import Pooling, meet_pooling, pooling_of
from tinyseq_heads.targets import WithoutEnd, check_targets, shifted

Condition = Literal["state", "input", "both"]


class Source(NamedTuple):
    """What was read: one vector for each sequence, and its steps if they are attended to."""

    summary: Tensor  # (batch, input_size)
    memory: Memory | None


class Carried(NamedTuple):
    """What goes from symbol to symbol: the recurrence's state, and its last output if that asks for more."""

    state: Any
    query: Any  # (rows, width), or ()


class Written(NamedTuple):
    """The recurrence's outputs; with attention, also the contexts, and the weights of the steps read."""

    outputs: Tensor  # (rows, width)
    contexts: Tensor | None  # (rows, input_size)
    weights: Tensor | None  # (rows, steps)


class Decoder(Head):
    """A recurrence that writes a sequence of symbols for each sequence that an encoder read.

    features: (steps, input_size) for each sequence; targets: the ids of each sequence to write, the last of
    which is `end`. In training every symbol follows the right one before it (teacher forcing), and the first
    follows `end`.

    cell: a Cell, or a layer with a state such as Deep. What was read, pooled as in Classifier, makes its
    first state (through a linear layer and tanh), is an input of every step, or both, as `condition` says.
    With attention="dot", "general" or "additive" every symbol looks at all steps again: attend="after" the
    cell, whose output is the query (Luong et al., 2015), or "before" it, when its last output is the query
    and the context enters the cell (Bahdanau et al., 2015). Outputs and contexts are joined as
    tanh([output, context] W + b) (Luong et al., equation 5).

    The cell takes the vector of a symbol, then the pooled vector if that is an input, then the context if it
    comes before: of its `input_size`, symbols have what these leave. Raises ConfigError if that is nothing.

    In training the symbol before is, with the probability `scheduled_sampling`, not the right one but the one
    that the decoder itself takes for the likeliest, so that it learns to go on from its own mistakes (Bengio
    et al., 2015); these come from one pass over right symbols (Duckworth et al., 2019). Change the attribute
    of that name as training goes on.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary_size: int,
        cell: Module,
        *,
        end: int,
        attention: str | None = None,
        attend: Literal["after", "before"] = "after",
        condition: Condition = "state",
        pooling: str | Pooling = "last",
        dropout: float = 0.0,
        loss: Loss | None = None,
        max_length: int = 100,
        scheduled_sampling: float = 0.0,
    ) -> None:
        if not 0 <= scheduled_sampling <= 1:
            raise ConfigError(
                f"{type(self).__name__}(scheduled_sampling={scheduled_sampling!r}): it is a probability."
            )
        self.scheduled_sampling = scheduled_sampling
        self.input_size, self.vocabulary_size = input_size, vocabulary_size
        self.end, self.max_length = end, max_length
        self.asks_before = attention is not None and attend == "before"
        self.repeats_summary = condition != "state"
        self.recurrence = recurrence = self._checked(cell, attend, condition)
        width = recurrence.output_size
        self.embed = Embedding(vocabulary_size, recurrence.input_size - self._taken(), init="normal")
        sizes = [leaf.shape[1] for leaf in flatten(recurrence.initial_state(1))]
        sizes += [width] if self.asks_before else []
        self.bridge = None if condition == "input" else Linear(input_size, sum(sizes))
        self.pooling: Any = pooling_of(pooling, input_size)
        self.attention: Any = attention_of(attention, width, input_size)
        self.combine = None if attention is None else Linear(width + input_size, width)
        self.dropout = Dropout(dropout)
        self.projection = Linear(width, vocabulary_size)
        self.criterion: Any = loss if loss is not None else losses["cross-entropy"]()

    def read(self, features: Any) -> Source:
        """What is needed of features, computed once for all symbols."""
        xs = packed(features)
        return Source(self.pooling(xs), None if self.attention is None else self.attention.remember(xs))

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of every symbol of `targets`. Raises DataError for a target without `end` at its end."""
        loss: Tensor = self.criterion(self.scores(features, targets), packed(targets))
        return loss

    def scores(self, features: Any, targets: Any) -> Sequences:
        """Unnormalised scores (steps, vocabulary_size) of what follows the symbols before each target."""
        steps: Sequences = packed(targets)
        source = self.read(features)
        if not self.training or self.scheduled_sampling == 0:
            return steps.with_data(self._scored(self._forced(source, steps)))
        with no_grad():
            own = ops.argmax(self._scored(self._forced(source, steps)), axis=-1)
        taken = random.generator().random(steps.layout.total) < self.scheduled_sampling
        right, mine = (shifted(ids, self.end).data for ids in (steps, steps.with_data(own)))
        before = ops.where(beside(right, taken), mine.astype(right.dtype), right)
        return steps.with_data(self._scored(self._forced(source, steps, steps.with_data(before))))

    def alignments(self, features: Any, targets: Any) -> list[Array]:
        """How much each symbol of `targets` looked at each step that was read: (symbols, steps) for each.

        Raises ConfigError without attention.
        """
        features, targets = packed(features), packed(targets)
        with no_grad(), self.evaluating():
            weights = self._forced(self.read(features), targets).weights
        if weights is None:
            raise ConfigError(f"This {type(self).__name__} has no attention, such as attention='general'.")
        rows = targets.with_data(weights).to_list()
        return [row.numpy()[:, :steps] for row, steps in zip(rows, features.lengths, strict=True)]

    def predict(self, features: Any) -> list[Array]:
        """The ids of each sequence, written greedily: without `end`, and `max_length` at most."""
        return self.sample(features, temperature=0.0)

    def sample(
        self,
        features: Any,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        max_length: int | None = None,
        exclude: Sequence[int] = (),
        seed: int | None = None,
    ) -> list[Array]:
        """The ids of each sequence, drawn at random; see `tinyseq.decoding.sampling.choose`."""
        with no_grad(), self.evaluating():
            source = self.read(features)
            return write(
                lambda ids, carried: self._next(source, ids, carried),
                self._before_first(source.summary),
                len(source.summary),
                end=self.end,
                max_length=self.max_length if max_length is None else max_length,
                temperature=temperature,
                top_k=top_k,
                exclude=exclude,
                seed=seed,
            )

    def beam(
        self,
        features: Any,
        width: int,
        *,
        length_penalty: float = 0.0,
        max_length: int | None = None,
        exclude: Sequence[int] = (),
    ) -> list[list[Hypothesis]]:
        """The hypotheses of a beam search for each sequence, best first; see `beam_search`."""
        with no_grad(), self.evaluating():
            source = self.read(features)
            summary = ops.expand_dims(source.summary, 1)
            sources, size = source.summary.shape
            repeated = ops.broadcast_to(summary, (sources, width, size)).reshape(sources * width, size)
            source = source._replace(summary=repeated)
            return beam_search(
                lambda ids, carried: self._next(source, ids, carried),
                self._before_first(repeated),
                sources,
                end=self.end,
                max_length=self.max_length if max_length is None else max_length,
                width=width,
                length_penalty=length_penalty,
                exclude=exclude,
            )

    def meet(self, encoder: Any) -> None:
        """Let the pooling know what it pools."""
        meet_pooling(self.pooling, encoder)

    def metrics(self) -> dict[str, Metric]:
        """The error rate, edits per symbol, and the share of sequences without any; ends do not count."""
        return {
            "error_rate": WithoutEnd(ErrorRate(), self.end),
            "exact_match": WithoutEnd(ExactMatch(), self.end),
        }

    def _before_first(self, summary: Tensor) -> Carried:
        """What is carried to the first symbol."""
        carried = Carried(self.recurrence.initial_state(len(summary)), ())
        if self.asks_before:
            zeros = np.zeros((len(summary), self.recurrence.output_size))
            carried = carried._replace(query=beside(summary, zeros, summary.dtype))
        if self.bridge is None:
            return carried
        cuts, at = [], 0
        for leaf in flatten(carried)[:-1]:
            at += leaf.shape[1]
            cuts.append(at)
        made: Carried = rebuild(carried, iter(ops.split(ops.tanh(self.bridge(summary)), cuts, axis=-1)))
        return made

    def _forced(self, source: Source, targets: Sequences, before: Sequences | None = None) -> Written:
        """What is written at every step where the right symbols, or others, came before."""
        check_targets(type(self).__name__, targets, len(source.summary), self.vocabulary_size, self.end)
        xs = self.dropout(self.embed(shifted(targets, self.end) if before is None else before))
        if self.repeats_summary:
            xs = xs.map(lambda x: ops.concatenate([x, xs.spread(source.summary)], axis=-1))
        carried = self._before_first(source.summary)
        if source.memory is None:
            return Written(self.recurrence.scan(xs, carried.state)[0].data, None, None)
        if not self.asks_before:
            ys = self.recurrence.scan(xs, carried.state)[0]
            both = self.attention(ys.to_padded(), source.memory)
            contexts, weights = (Sequences.from_padded(x, xs.lengths).data for x in both)
            return Written(ys.data, contexts, weights)

        def step(x: Tensor, before: tuple[Carried, Memory]) -> tuple[Written, tuple[Carried, Memory]]:
            written, carried = self._step(x, *before)
            return written, (carried, before[1])

        # on the tape: compiled, there would be a program for every number of steps read
        written, _ = scan(step, xs, (carried, source.memory), compiled=False)
        return Written(*[ys.data for ys in written])

    def _step(self, x: Tensor, carried: Carried, memory: Memory | None) -> tuple[Written, Carried]:
        """One symbol later; x: (rows, ...), as many rows for each source of `memory`."""
        contexts = weights = None
        if memory is not None and self.asks_before:
            contexts, weights = self._attended(carried.query, memory)
            x = ops.concatenate([x, contexts], axis=-1)
        ys, state = self.recurrence.scan(ops.expand_dims(x, 1), carried.state)
        y = ops.squeeze(ys, 1)
        if memory is not None and not self.asks_before:
            contexts, weights = self._attended(y, memory)
        return Written(y, contexts, weights), Carried(state, y if self.asks_before else ())

    def _attended(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Contexts and weights of queries (rows, width), as many for each source."""
        sources = len(memory.values)
        grid = queries.reshape(sources, len(queries) // sources, queries.shape[1])
        contexts, weights = self.attention(grid, memory)
        return contexts.reshape(len(queries), -1), weights.reshape(len(queries), -1)

    def _scored(self, written: Written) -> Tensor:
        """Scores of the next symbol: (rows, vocabulary_size)."""
        features = written.outputs
        if self.combine is not None:
            features = ops.tanh(self.combine(ops.concatenate([features, written.contexts], axis=-1)))
        scores: Tensor = self.projection(self.dropout(features))
        return scores

    def _next(self, source: Source, ids: Array, carried: Carried) -> tuple[Array, Carried]:
        """Log-probabilities of what follows the last symbols `ids`, for the searches."""
        x = self.embed(beside(source.summary, ids))
        if self.repeats_summary:
            x = ops.concatenate([x, source.summary], axis=-1)
        written, carried = self._step(x, carried, source.memory)
        return ops.log_softmax(self._scored(written)).numpy().astype("float64"), carried

    def _taken(self) -> int:
        """How many of the cell's inputs are not of symbols."""
        return self.input_size * (self.asks_before + self.repeats_summary)

    def _checked(self, cell: Module, attend: str, condition: str) -> Any:
        """The recurrence, if the arguments make sense."""
        name = type(self).__name__
        recurrence: Any = Recurrent(cell) if isinstance(cell, Cell) else cell
        if not all(hasattr(recurrence, part) for part in ("scan", "initial_state", "output_size")):
            raise ConfigError(f"{name} takes a Cell or a layer with a state, not {type(cell).__name__}.")
        for option, value, choices in (
            ("attend", attend, ("after", "before")),
            ("condition", condition, get_args(Condition)),
        ):
            if value not in choices:
                raise ConfigError(f"{name}: {option} is {' or '.join(map(repr, choices))}, not {value!r}.")
        check_id(name, "end", self.end, self.vocabulary_size, of="symbol")
        check_length(self.max_length)
        if recurrence.input_size <= self._taken():
            raise ConfigError(
                f"{name}: the cell takes {recurrence.input_size} features, of which {self._taken()} are of "
                "what was read: it needs more, for the vectors of symbols."
            )
        return recurrence
