"""The page: sections one after the other, with styles and script inside, and no way out to a network."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from tinyseq.contracts import Cell
from tinyseq.errors import DataError
from tinyseq.lens.pictures.paper import visible
from tinyseq.lens.pictures.steps import gate_names, limits
from tinyseq.lens.report.examples import examples
from tinyseq.lens.trace import Trace
from tinyseq.nn import Module
from tinyseq.nn.summary import tree
from tinyseq.tasks import Predictor
from tinyseq.tasks.evaluation import MATRIX
from tinyseq.training.curves import curves
from tinyseq.training.records import Epoch, History

UNITS = 64  # of a value that are shown
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(
    title: str,
    found: Any,
    *,
    receipt: Mapping[str, Any] | None = None,
    data: Sequence[Any] | None = None,
    trace: Trace | None = None,
    tokens: Sequence[str] = (),
) -> str:
    """HTML about a model or a Predictor, all texts escaped.

    receipt: of its run. data: examples of its task to judge it by. trace, tokens: of one sentence, to hover
    over. What is not given is said to be missing, each in one sentence.
    """
    model = found.model if isinstance(found, Predictor) else found
    sections = [
        ("Model", f'<div class="wide">{tree(model)}</div>'),
        ("Training", _training(receipt)),
        *_judged(found, data),
        ("Inside", _inside(found, trace, tokens)),
        ("Receipt", _receipt(receipt)),
    ]
    body = "".join(f"<section><h2>{escape(name)}</h2>{html}</section>" for name, html in sections)
    script = f"<script>{_file('hover.js')}</script>" if trace is not None else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_file('style.css')}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}{script}</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An HTML table, its texts escaped."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    top = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    lines = ("".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{top}<tbody>{body}</tbody></table></div>'


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _note(sentence: str) -> str:
    return f'<p class="note">{escape(sentence)}</p>'


def _training(receipt: Mapping[str, Any] | None) -> str:
    if receipt is None:
        return _note("This run has no receipt.json, which a Trainer with a directory writes: no curves.")
    try:
        history = History(Epoch(**epoch) for epoch in receipt["history"])
    except TypeError as error:
        raise DataError(f"The receipt's history is of another tinyseq: {error}.") from None
    metrics = list(dict.fromkeys(name for epoch in history for name in epoch.metrics))
    best = next((epoch for epoch in reversed(history) if epoch.best), None)  # whose model is kept
    rows = [
        [
            f"{epoch.number} (best)" if epoch is best else epoch.number,
            f"{epoch.train_loss:.4f}",
            "" if epoch.valid_loss is None else f"{epoch.valid_loss:.4f}",
            *(f"{epoch.metrics[name]:.4f}" if name in epoch.metrics else "" for name in metrics),
        ]
        for epoch in history
    ]
    drawn = f'<div class="wide">{curves(history)}</div>'
    return drawn + table(["epoch", "train loss", "valid loss", *metrics], rows)


def _judged(found: Any, data: Sequence[Any] | None) -> list[tuple[str, str]]:
    """Figures, scores by class and examples."""
    if not isinstance(found, Predictor):
        said = "The model was saved without a task, so there are no classes to count and no examples to show."
        return [("Examples", _note(said))]
    if not data:
        return [("Examples", _note("No examples were given to judge the model by: add --data FILE."))]
    judged = found.task.judge(found.model, list(data))
    html = table(["figure", "value"], [(name, f"{value:.4f}") for name, value in judged.figures.items()])
    for title, scores in judged.scores.items():
        rows = [
            (name, f"{s.precision:.3f}", f"{s.recall:.3f}", f"{s.f1:.3f}", f"{s.support:,}")
            for name, s in scores.items()
        ]
        html += table([title, "precision", "recall", "F1", "support"], rows)
    return [("Figures", html + confusions(judged.confused)), ("Examples", examples(found, data, judged))]


def confusions(confused: Counter[tuple[str, str]]) -> str:
    """What was taken for what: all counts of a few classes, of many the most frequent mistakes."""
    names = sorted({name for pair in confused for name in pair})
    mistakes = [(a, b, f"{n:,}") for (a, b), n in confused.most_common() if a != b]
    if not mistakes:
        return ""
    if len(names) > MATRIX:
        return table(["right", "answer", "times"], mistakes[:MATRIX])
    counts = [(a, *(f"{confused[a, b]:,}" if confused[a, b] else "·" for b in names)) for a in names]
    return table(["right ↓ answer →", *names], counts)


def recurs(model: Module) -> bool:
    """Whether there is a cell in it."""
    return any(isinstance(part, Cell) for part in model.modules())


def _inside(found: Any, trace: Trace | None, tokens: Sequence[str]) -> str:
    """A sentence to hover over."""
    if trace is None:
        if not recurs(found.model if isinstance(found, Predictor) else found):
            return _note("The model has no cell that could be looked into.")
        if isinstance(found, Predictor):
            return _note("There was no sentence to look into: add --text TEXT.")
        return _note("There was no sentence to look into, and no vocabulary to read one with.")
    chosen = []
    for name in gate_names(trace):
        values = trace[name].to_list()[0].numpy()
        rows = values.reshape(len(values), -1)
        if len(rows) == len(tokens):
            low, high = limits(rows)
            shown, units = [[round(float(v), 3) for v in row[:UNITS]] for row in rows], rows.shape[1]
            label = name if units <= UNITS else f"{name}, {UNITS} of {units} units"
            means = [float(mean) for mean in rows.mean(axis=1, dtype=np.float64)]
            chosen.append({"name": label, "from": low, "to": high, "means": means, "rows": shown})
    data = json.dumps(chosen).replace("<", "\\u003c")
    glue = "" if all(len(token) == 1 for token in tokens) else " "
    spans = glue.join(
        f'<span tabindex="0" data-at="{k}" data-token="{escape(token)}">'
        f"{escape(visible(token) if token.isspace() else token)}</span>"
        for k, token in enumerate(tokens)
    )
    return (
        f'<p id="sentence">{spans}</p><div id="values" aria-live="polite">'
        f"{_note('Hover over the sentence, or walk through it by Tab: here are the gates at each position.')}"
        f'</div><script type="application/json" id="inside">{data}</script>'
    )


def _receipt(receipt: Mapping[str, Any] | None) -> str:
    if receipt is None:
        return _note("There is none.")
    rows = [(key, receipt.get(key, "")) for key in ("epochs", "steps", "weights")]
    rows += [
        (key, ", ".join(f"{a} {b}" for a, b in value.items()) if isinstance(value, Mapping) else value)
        for key, value in receipt["environment"].items()
    ]
    return table(["", ""], [row for row in rows if row[1] not in ("", None)]).replace(
        "<td>", '<td class="text">'
    )
