"""What each part of a model does to the rows of a batch, as functions of a program."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinyseq import ops
from tinyseq.contracts import Cell
from tinyseq.engine import Tensor, make_tensor
from tinyseq.errors import ConfigError, TinyseqError
from tinyseq.interop.formulas import formulas
from tinyseq.nn import Dropout, Embedding, Residual, Sequential, TokenFeatures
from tinyseq.registry import entry_of
from tinyseq.registry.configuration import arguments
from tinyseq.scan import Recurrent
from tinyseq.scan.state import flatten, names
from tinyseq.scan.tracing.trace import parameters_of, trace

Example = Any  # an array (1, ...), like a row of what goes in


class Part(NamedTuple):
    """A function of a program.

    With `start`, the source of its first state with a place for {batch}, it is called as name(rows, sizes,
    state) and gives rows and a state; without, it is called as name(rows) and gives rows.
    """

    name: str
    gives: Example
    start: str = ""
    streams: bool = True  # whether no step waits for a later one

    def call(self, rows: str, state: str = "state") -> str:
        """The source of rows and state."""
        return f"{self.name}({rows}, sizes, {state})" if self.start else f"{self.name}({rows}), ()"


class Answer(NamedTuple):
    """The lines that set `answers` from `rows` and `sizes`, and what predict() gives back then."""

    lines: list[str]
    answer: str
    streams: bool = True


class Program(Protocol):
    """Where functions and weights are written down."""

    def weight(self, tensor: Any) -> str: ...
    def function(self, wish: str, arguments: str, lines: list[str], text: str) -> str: ...


class Parts:
    """Writes the parts of a model into a program, each after those that it is made of."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def part(self, module: Any, path: str, like: Example) -> Part:
        """Write down what `module` does to rows like `like`."""
        entry = entry_of(type(module))
        name = "" if entry is None else entry.name
        writers: dict[type, Callable[[Any, str, Example], Part]] = {
            Embedding: self._embedding, TokenFeatures: self._token_features, Recurrent: self._recurrent,
            Sequential: self._chain, Residual: self._residual,
        }  # fmt: skip
        named = {"deep": self._chain, "bidirectional": self._bidirectional}
        if isinstance(module, Cell):
            return self._recurrent(Recurrent(module), path, like)
        if isinstance(module, Dropout):
            return self._chain(Sequential(), path, like)
        write = writers.get(type(module)) or named.get(name)
        if write is not None:
            return write(module, path, like)
        if hasattr(module, "scan"):
            raise ConfigError(
                f"{path}, a {type(module).__name__}, has a state and a scan() of its own, which cannot be "
                "written down: build it from Recurrent, Deep, Bidirectional, Sequential and Residual."
            )
        return self._rows(module, path, like)

    def head(self, head: Any, like: Example) -> Answer:
        """Write down what `head` predicts from features like `like`."""
        entry = entry_of(type(head))
        name = "" if entry is None else entry.name
        given = arguments(head) if entry is not None else {}
        if given.get("pooling") is not None:
            return self._pooled(head, name, given["pooling"], like)
        decode = getattr(getattr(head, "criterion", None), "decode", None)
        unpacked = "unpack(answers, sizes, order)"
        if decode is None:
            predict = self._rows(head.predict, "head", like)
            return Answer([f"answers = {predict.name}(rows)"], unpacked)
        criterion = entry_of(type(head.criterion))
        scores = self._rows(head.projection, "head", like)
        if criterion is not None and criterion.name == "crf":
            weights = [
                self.program.weight(getattr(head.criterion, n) if head.criterion.legal is None else values)
                for n, values in head.criterion.path_scores().items()
            ]
            lines = [f"answers = viterbi({scores.name}(rows), sizes, {', '.join(weights)})"]
            return Answer(lines, unpacked, streams=False)
        if criterion is not None and criterion.name == "ctc":
            lines = [f"answers = unpack({scores.name}(rows), sizes, order)"]
            return Answer(lines, f"[best_path(a, {head.criterion.blank}) for a in answers]", streams=False)
        raise ConfigError(
            f"The decoding of {type(head.criterion).__name__} cannot be written down: only that of crf and "
            "ctc can."
        )

    def _pooled(self, head: Any, name: str, pooling: Any, like: Example) -> Answer:
        """A head that says one thing of each sequence."""
        if pooling == "attention":
            scores = self._rows(
                lambda x: ops.tanh(head.pooling.hidden(x)) @ head.pooling.context, "attention", like
            )
            pooled = f"pool_weighed(rows, {scores.name}(rows), sizes)"
        elif pooling == "ends":
            pooled = f"pool_ends(rows, sizes, {head.pooling.ends!r})"
        elif pooling in ("last", "mean", "max"):
            pooled = f"pool_{pooling}(rows, sizes)"
        else:
            raise ConfigError(
                f"The pooling {pooling!r} cannot be written down: choose last, ends, mean, max or attention."
            )
        answers = {
            "classifier": lambda x: ops.log_softmax(head.projection(x)),
            "regressor": lambda x: head.projection(x),
            "siamese": lambda x: ops.l2_normalize(x if head.projection is None else head.projection(x)),
        }
        if name not in answers:
            raise ConfigError(
                f"head, a {type(head).__name__}, cannot be written down: only heads that treat each step by "
                "itself, classifier, regressor, siamese, ctc, and a tagger with its CRF can."
            )
        answer = self._rows(answers[name], "head", like)
        return Answer([f"answers = {answer.name}({pooled})"], "answers[np.argsort(order)]", streams=False)

    def _rows(self, function: Callable[[Any], Any], path: str, like: Example) -> Part:
        """What treats every row by itself, from its trace."""
        lines, values, example = self._traced(lambda x, state: (function(x), state), path, like, ())
        text = f"{path}: each row by itself."
        name = self.program.function(_word(path), "x", [*lines, f"return {values[0]}"], text)
        return Part(name, example)

    def _recurrent(self, layer: Recurrent, path: str, like: Example) -> Part:
        cell = layer.cell
        state = cell.initial_state(1)
        states = _state_names(state)
        lines, values, example = self._traced(cell.step, path, like, state, states)
        after = "".join(f"{value}, " for value in values[1:])
        step = self.program.function(
            f"{_word(path)}_step", ", ".join(["x", *states]), [*lines, f"return {values[0]}, ({after})"],
            f"One step of {path}, a {type(cell).__name__}: its output and its next state.",
        )  # fmt: skip
        reverse = ", reverse=True" if layer.reverse else ""
        name = self.program.function(
            _word(path), "rows, sizes, state", [f"return scan({step}, rows, sizes, state{reverse})"],
            f"{path} at every step{', from the last to the first' if layer.reverse else ''}.",
        )  # fmt: skip
        first = "".join(f"{self._initial_state(leaf)}, " for leaf in flatten(state))
        return Part(name, example, f"({first})", not layer.reverse)

    def _initial_state(self, leaf: Tensor) -> str:
        """A state before the first step: zeros, or the row that the cell begins with."""
        values = leaf.numpy()
        if values.any():
            return f"np.repeat({self.program.weight(leaf)}, {{batch}}, 0)"
        return f"np.zeros(({{batch}}, {', '.join(map(str, values.shape[1:]))}), np.{values.dtype})"

    def _chain(self, module: Any, path: str, like: Example) -> Part:
        """Layers one after the other; those after the first may add their input to their output."""
        residual = bool(getattr(module, "residual", False))
        parts: list[Part] = []
        for k, layer in enumerate(module.layers):
            parts.append(self.part(layer, f"{path}_{k}", like))
            like = parts[-1].gives
        text = f"{path}: one layer after the other."
        lines = []
        for k, part in enumerate(parts):
            out = "out" if residual and k else "rows"
            state = f"state_{k}" if part.start else ""
            call = f"{part.name}(rows, sizes, state[{k}])" if state else f"{part.name}(rows)"
            lines.append(f"{out}{', ' if state else ''}{state} = {call}")
            if residual and k:
                lines.append("rows = rows + out")
        if not any(part.start for part in parts):
            return Part(self.program.function(_word(path), "rows", [*lines, "return rows"], text), like)
        states = "".join(f"{f'state_{k}' if part.start else '()'}, " for k, part in enumerate(parts))
        lines.append(f"return rows, ({states})")
        start = "".join(f"{part.start or '()'}, " for part in parts)
        name = self.program.function(_word(path), "rows, sizes, state", lines, text)
        return Part(name, like, f"({start})", all(part.streams for part in parts))

    def _residual(self, module: Residual, path: str, like: Example) -> Part:
        inner = self.part(module.layer, f"{path}_layer", like)
        text = f"{path}: what goes in is added to what the layer makes of it."
        if not inner.start:
            return inner._replace(
                name=self.program.function(_word(path), "rows", [f"return rows + {inner.name}(rows)"], text)
            )
        lines = [f"out, state = {inner.call('rows')}", "return rows + out, state"]
        return inner._replace(name=self.program.function(_word(path), "rows, sizes, state", lines, text))

    def _bidirectional(self, module: Any, path: str, like: Example) -> Part:
        ahead = self.part(module.forward_layer, f"{path}_forward", like)
        back = self.part(module.backward_layer, f"{path}_backward", like)
        turned = not isinstance(module.backward_layer, Recurrent)  # which walks from the end itself
        lines = [
            f"ahead, first = {ahead.call('rows', 'state[0]')}",
            f"back, last = {back.call('reverse(rows, sizes)' if turned else 'rows', 'state[1]')}",
            f"both = [ahead, {'reverse(back, sizes)' if turned else 'back'}]",
            "return np.concatenate(both, axis=1), (first, last)",
        ]
        name = self.program.function(
            _word(path), "rows, sizes, state", lines, f"{path}: both readings side by side."
        )
        gives = np.concatenate([ahead.gives, back.gives], axis=1)
        return Part(name, gives, f"({ahead.start or '()'}, {back.start or '()'})", streams=False)

    def _embedding(self, module: Embedding, path: str, like: Example) -> Part:
        lines = [f"return table({self.program.weight(module.weight)}, ids)"]
        name = self.program.function(_word(path), "ids", lines, f"{path}: a vector for each id.")
        return Part(name, module.weight.numpy()[:1])

    def _token_features(self, module: TokenFeatures, path: str, like: Example) -> Part:
        word = self.part(module.word, f"{path}_word", like[:, 0])
        case = self.part(module.case, f"{path}_case", like[:, 1])
        if module.character is None:
            line = f"return np.concatenate([{word.name}(ids[:, 0]), {case.name}(ids[:, 1])], axis=1)"
            text = f"{path}: what a token is, and how it is capitalised."
            name = self.program.function(_word(path), "ids", [line], text)
            return Part(name, np.concatenate([word.gives, case.gives], axis=1))
        character = self.part(module.character, f"{path}_character", like[:, 2])
        spelling = self.part(module.spelling, f"{path}_spelling", character.gives)
        start = spelling.start.format(batch="sizes[0]") or "()"
        ends = f", {module.spelling.ends!r}" if module.pooling == "ends" else ""
        lines = [
            "letters, sizes, order = pack(character_words(ids[:, 2:]), (), ids=True)",
            f"state = {start}",
            f"spelled, _ = {spelling.call(f'{character.name}(letters)')}",
            f"spelled = pool_{module.pooling}(spelled, sizes{ends})[np.argsort(order)]",
            f"return np.concatenate([{word.name}(ids[:, 0]), {case.name}(ids[:, 1]), spelled], axis=1)",
        ]
        text = f"{path}: what a token is, how it is capitalised, and how it is spelled."
        name = self.program.function(_word(path), "ids", lines, text)
        return Part(name, np.concatenate([word.gives, case.gives, spelling.gives], axis=1))

    def _traced(
        self, step: Any, path: str, like: Example, state: Any, called: Sequence[str] = ()
    ) -> tuple[list[str], list[str], Example]:
        """Lines for what a step computes, expressions for its output and next states, and an output."""
        x = make_tensor(like, None)
        try:
            traced, _ = trace(step, x, state)
        except TinyseqError as error:
            raise ConfigError(f"{path} cannot be written down: {error}") from error
        if len(traced.outputs) != 1:
            raise ConfigError(f"{path} gives {len(traced.outputs)} outputs at each step: it must give one.")
        leaves = {symbol.id: "x" for symbol in traced.inputs}
        leaves |= {s.id: n for s, n in zip(traced.states, called, strict=True)}
        wanted = {symbol.id for symbol in traced.forward()}
        for symbol, tensor in zip(traced.parameters, parameters_of(step), strict=True):
            if symbol.id in wanted:
                leaves[symbol.id] = self.program.weight(tensor)
        lines, values = formulas([*traced.outputs, *traced.new_states], leaves, {"np", "place", "table"})
        output = traced.outputs[0]
        return lines, values, np.zeros((1, *output.shape[1:]), output.dtype)


def _word(path: str) -> str:
    return path.replace(".", "_")


def _state_names(state: Any) -> list[str]:
    """What a step calls its states: fields of the NamedTuple, or numbers."""
    last = [name.rsplit(".", 1)[-1] for name in names(state, "state")]
    usable = len(set(last)) == len(last) and all(n.isidentifier() and n != "x" for n in last)
    return last if usable else [f"state_{k}" for k in range(len(last))]
