"""The figures of a run are those of all its data, however these are cut, and of nothing but its data."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyseq
from tinyseq import Sequences, no_grad
from tinyseq.contracts import Metric
from tinyseq.data import ContiguousWindows
from tinyseq.errors import ConfigError, DataError
from tinyseq.evaluation import SpanF1
from tinyseq.nn import Embedding, Linear, Module, SequenceModel
from tinyseq.optim import SGD, Adam, ReduceOnPlateau
from tinyseq.training import BatchLoss, Epoch, Trainer, carried_state

SYMBOLS, CLASSES, IGNORED = 7, 3, -1
WEIGHTS = [1.0, 0.0, 5.0]
CrossEntropy = tinyseq.losses["cross-entropy"]


def tagger(loss: Any = None, names: Any = None) -> SequenceModel:
    head = tinyseq.heads["tagger"](4, CLASSES, loss=loss, names=names, scheme=names and "IOB2")
    return SequenceModel(Embedding(SYMBOLS, 4), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)


def drawn(seed: int, lengths: list[int], ignored: float = 0.4) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(seed)
    xs = [rng.integers(0, SYMBOLS, n) for n in lengths]
    ys = [np.where(rng.random(n) < ignored, IGNORED, rng.integers(0, CLASSES, n)) for n in lengths]
    return xs, ys


def cut(xs: list[Any], ys: list[Any], size: int) -> list[Any]:
    starts = range(0, len(xs), size)
    return [(Sequences.from_list(xs[i : i + size]), Sequences.from_list(ys[i : i + size])) for i in starts]


def by_hand(model: SequenceModel, xs: list[Any], ys: list[Any], weights: list[float]) -> float:
    """The weighted mean of -log p over all targets that count, one by one."""
    total = counted = 0.0
    for x, y in zip(xs, ys, strict=True):
        with no_grad():
            scores = model.head.projection(model(Sequences.from_list([x]))).data.numpy().astype(float)
        for row, target in zip(scores, y, strict=True):
            if target != IGNORED:
                total += weights[target] * (math.log(np.exp(row).sum()) - row[target])
                counted += weights[target]
    return total / counted if counted else math.nan


lengths_drawn = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@given(lengths=lengths_drawn, size=st.integers(1, 6), seed=st.integers(0, 2**32 - 1), weighted=st.booleans())
def test_validation_loss_is_the_mean_over_what_counts(lengths, size, seed, weighted):
    model = tagger(CrossEntropy(ignore_index=IGNORED, class_weights=WEIGHTS if weighted else None)).to(
        "float64"
    )
    xs, ys = drawn(seed, lengths)
    want = by_hand(model, xs, ys, WEIGHTS if weighted else [1.0] * CLASSES)
    trainer = Trainer(model, SGD(model, lr=0.1))
    if math.isnan(want):
        with pytest.raises(DataError, match="No target of the validation data counts"):
            trainer.evaluate(cut(xs, ys, size))
    else:
        assert trainer.evaluate(cut(xs, ys, size)) == pytest.approx(want, rel=1e-10)


@given(
    lengths=lengths_drawn,
    size=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    way=st.sampled_from(["plain", "weighted", "sum"]),
)
def test_accumulated_batches_are_their_union(lengths, size, seed, way):
    options = {"weighted": {"class_weights": WEIGHTS}, "sum": {"reduction": "sum"}}.get(way, {})
    xs, ys = drawn(seed, lengths)
    ends = []
    for batch, accumulate in ((len(xs), 1), (size, len(xs))):
        tinyseq.seed(1)
        model = tagger(CrossEntropy(ignore_index=IGNORED, **options)).to("float64")
        trainer = Trainer(model, SGD(model, lr=0.1), accumulate=accumulate)
        (epoch,) = trainer.fit(cut(xs, ys, batch), epochs=1)
        assert trainer.progress.step == 1
        ends.append((model.state_dict(), epoch))
    for name, values in ends[0][0].items():
        np.testing.assert_allclose(ends[1][0][name], values, rtol=1e-12, atol=1e-14)
    assert ends[1][1].targets == ends[0][1].targets
    np.testing.assert_allclose(ends[1][1].train_loss, ends[0][1].train_loss, rtol=1e-12)


def test_the_last_group_of_an_epoch_may_be_short():
    xs, ys = drawn(0, [3] * 5)
    model = tagger(CrossEntropy(ignore_index=IGNORED))
    trainer = Trainer(model, SGD(model, lr=0.1), accumulate=2)
    trainer.fit(cut(xs, ys, 1), epochs=2)
    assert trainer.progress.step == 6
    with pytest.raises(ConfigError, match="1 batch or more"):
        Trainer(model, SGD(model, lr=0.1), accumulate=0)


def test_the_summed_loss_of_windows_trains_alike_and_is_shown_as_a_mean():
    """Zaremba et al.: the gradient has the factor, no figure has."""
    ids = np.cumsum(np.random.default_rng(1).integers(0, 3, 200)) % SYMBOLS

    def summed(model: Any, batch: Any, state: Any) -> BatchLoss:
        return carried_state(model, batch, state)._replace(scale=float(batch[0].layout.steps))

    found = []
    for objective, lr in ((carried_state, 0.6), (summed, 0.1)):
        tinyseq.seed(0)
        head = tinyseq.heads["language-model"](4, SYMBOLS)
        model = SequenceModel(Embedding(SYMBOLS, 4), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)
        trainer = Trainer(model, SGD(model, lr=lr), objective)
        found.append(
            trainer.fit(ContiguousWindows(ids[:121], 4, 6), ContiguousWindows(ids, 4, 6), epochs=2)[-1]
        )
    assert found[0].train_loss == pytest.approx(found[1].train_loss, rel=1e-5)
    assert found[0].perplexity == pytest.approx(found[1].perplexity, rel=1e-5)


@pytest.mark.parametrize("loss", [{"label_smoothing": 0.3}, {"class_weights": [9.0] + [1.0] * 6}])
def test_perplexity_is_that_of_the_predictions_whatever_the_loss(loss):
    ids = np.cumsum(np.random.default_rng(1).integers(0, 2, 300)) % SYMBOLS
    head = tinyseq.heads["language-model"](4, SYMBOLS, loss=CrossEntropy(**loss))
    model = SequenceModel(Embedding(SYMBOLS, 4), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)
    trainer = Trainer(model, Adam(model, lr=0.02), carried_state)
    epoch = trainer.fit(ContiguousWindows(ids, 4, 8), ContiguousWindows(ids, 4, 8), epochs=2)[-1]
    with no_grad():
        log_p = model.predict(Sequences.from_list([ids[:-1]])).data.numpy()
    nats = -log_p[np.arange(len(log_p)), ids[1:]].mean()
    assert epoch.perplexity == pytest.approx(math.exp(nats), rel=1e-4)
    assert abs(math.exp(epoch.loss) - epoch.perplexity) > 0.1
    without = Trainer(model, Adam(model), carried_state).fit(ContiguousWindows(ids, 4, 8), epochs=1)[-1]
    assert math.isnan(without.perplexity), "nothing has measured it"


@pytest.mark.parametrize("streams", [1, 3, 8, 50])
def test_perplexity_does_not_depend_on_the_number_of_streams(streams):
    ids = np.cumsum(np.random.default_rng(1).integers(0, 2, 200)) % SYMBOLS
    head = tinyseq.heads["language-model"](4, SYMBOLS)
    model = SequenceModel(Embedding(SYMBOLS, 4), tinyseq.Recurrent(tinyseq.cells["gru"](4, 4)), head)
    with no_grad():
        right = float(model.loss(Sequences.from_list([ids[:-1]]), Sequences.from_list([ids[1:]])).item())
    trainer = Trainer(model, Adam(model), carried_state)
    assert trainer.evaluate(ContiguousWindows(ids, streams, 2)) == pytest.approx(right, rel=1e-5)


def looking_ahead() -> list[Any]:
    GRU = tinyseq.cells["gru"]

    class Looks(Module):
        """A layer of a stranger's, which says nothing of what it reads."""

        input_size = output_size = 4

        def __init__(self) -> None:
            self.linear = Linear(4, 4)

        def forward(self, xs: Any) -> Any:
            return xs.with_data(self.linear(xs.data + xs.spread(xs.mean())))

    both = tinyseq.layers["bidirectional"](GRU(4, 2), GRU(4, 2))
    return [both, tinyseq.layers["deep"](both), tinyseq.Recurrent(GRU(4, 4), reverse=True), Looks()]


@pytest.mark.parametrize("which", range(4))
def test_a_language_model_that_reads_ahead_is_refused(which):
    encoder = looking_ahead()[which]
    ids = np.cumsum(np.random.default_rng(1).integers(0, 2, 60)) % SYMBOLS
    batch = (Sequences.from_list([ids[:-1]]), Sequences.from_list([ids[1:]]))
    with pytest.raises(ConfigError, match="predicts what comes next"):  # noqa: PT012 - some are only found by trying
        model = SequenceModel(Embedding(SYMBOLS, 4), encoder, tinyseq.heads["language-model"](4, SYMBOLS))
        Trainer(model, Adam(model)).fit([batch], epochs=1)
    SequenceModel(Embedding(SYMBOLS, 4), encoder, tinyseq.heads["tagger"](4, CLASSES)).loss(
        batch[0], batch[1].map(lambda y: y * 0)
    )


def test_the_best_epoch_is_that_of_the_monitored_metric():
    names = ["O", "B-X", "I-X"]
    xs, ys = drawn(0, [5] * 12, ignored=0.0)
    model = tagger(names=names)
    trainer = Trainer(model, Adam(model, lr=0.1), monitor="span_f1", patience=3)
    history = trainer.fit(cut(xs, ys, 4), cut(xs, ys, 3), epochs=12)
    figures = [epoch.metrics["span_f1"] for epoch in history]
    best = [i for i, epoch in enumerate(history) if epoch.best][-1]
    assert best == int(np.argmax(figures))
    trainer.restore_best()
    metric = SpanF1(names)
    for inputs, targets in cut(xs, ys, 5):
        metric.update(model.predict(inputs), targets)
    assert metric.value() == pytest.approx(max(figures))
    assert str(history).splitlines()[0].split() == [
        "epoch",
        "train",
        "loss",
        "valid",
        "loss",
        "accuracy",
        "span_f1",
        "seconds",
    ]


def test_a_plateau_hears_of_the_monitored_metric():
    xs, ys = drawn(0, [5] * 4, ignored=0.0)
    for mode in ("min", "max"):
        model = tagger(names=["O", "B-X", "I-X"])
        optimizer = SGD(model, lr=1e-12)  # nothing changes
        plateau = ReduceOnPlateau(optimizer, patience=0, factor=0.5, mode=mode)
        Trainer(model, optimizer, schedule=plateau, monitor="accuracy").fit(
            cut(xs, ys, 2), cut(xs, ys, 2), epochs=3
        )
        assert optimizer.lr == pytest.approx(0.25e-12)


@pytest.mark.parametrize(
    ("figures", "best"),
    [
        ([math.inf, 0.5, 0.7], [True, True, True]),  # not the first for ever; of no figures the loss decides
        ([0.5, math.inf, 0.7], [True, False, True]),
        ([0.5, math.nan, 0.7], [True, False, True]),
        ([-math.inf, math.nan, 0.1], [True, False, True]),
    ],
)
def test_what_is_no_figure_is_not_the_best(figures, best):
    told = iter(figures)

    class Told(Metric):
        higher_is_better = True

        def update(self, predictions: Any, targets: Any) -> None:
            pass

        def merge(self, other: Metric) -> None:
            pass

        def value(self) -> float:
            return next(told)

    xs, ys = drawn(0, [5] * 4, ignored=0.0)
    model = tagger()
    model.head.metrics = lambda: {"told": Told()}
    trainer = Trainer(model, SGD(model, lr=1e-12), monitor="told")
    history = trainer.fit(cut(xs, ys, 2), cut(xs, ys, 2), epochs=3)
    assert [epoch.best for epoch in history] == best


def test_a_rate_below_the_least_is_not_raised():
    model = Linear(1, 1)
    optimizer = SGD(model, lr=1e-6)
    plateau = ReduceOnPlateau(optimizer, patience=0, min_lr=1e-5)
    for _ in range(3):
        plateau.step(1.0)
    assert optimizer.lr == 1e-6


def test_what_cannot_be_monitored_or_validated_is_refused_before_the_first_epoch():
    xs, ys = drawn(0, [3] * 2, ignored=0.0)
    batches, model = cut(xs, ys, 1), tagger()
    with pytest.raises(ConfigError, match="no such metric; choose from loss, accuracy"):
        Trainer(model, Adam(model), monitor="f1")
    with pytest.raises(ConfigError, match="pass them to fit"):
        Trainer(model, Adam(model), monitor="accuracy").fit(batches, epochs=1)
    trainer = Trainer(model, Adam(model))
    for valid in ([], iter(batches)):
        with pytest.raises(DataError, match="bring no batch"):
            trainer.fit(batches, valid, epochs=2)
    assert trainer.progress.step == 0


def test_epochs_are_handed_out_as_they_finish():
    xs, ys = drawn(0, [3] * 2, ignored=0.0)
    model = tagger()
    trainer = Trainer(model, Adam(model))
    seen = [(epoch.number, trainer.progress.step) for epoch in trainer.epochs(cut(xs, ys, 1), epochs=3)]
    assert seen == [(1, 2), (2, 4), (3, 6)]


def test_metrics_are_in_the_checkpoint_and_older_ones_are_read(tmp_path):
    xs, ys = drawn(0, [3] * 2, ignored=0.0)
    model = tagger()
    trainer = Trainer(model, Adam(model), directory=tmp_path, monitor="accuracy")
    trainer.fit(cut(xs, ys, 1), cut(xs, ys, 2), epochs=2)
    again = Trainer(model, Adam(model), directory=tmp_path, monitor="accuracy")
    again.resume()
    assert again.history == trainer.history
    record = json.loads(json.dumps(trainer.progress.to_record()))
    for epoch in record["history"]:
        del epoch["metrics"], epoch["judged"]
    assert [e.loss for e in type(trainer.progress).from_record(record).history] == [
        e.loss for e in trainer.history
    ]


@given(seed=st.integers(0, 2**32 - 1), ignored=st.sampled_from([-1, -100, 7]))
def test_spans_are_counted_without_ignored_targets(seed, ignored):
    names = ["O", "B-A", "I-A", "B-B", "I-B"]
    rng = np.random.default_rng(seed)
    said = [rng.integers(0, 5, n) for n in (1, 4, 6)]
    gold = [np.where(rng.random(len(s)) < 0.3, ignored, rng.integers(0, 5, len(s))) for s in said]
    metric, rest = SpanF1(names, ignore_index=ignored), SpanF1(names)
    metric.update(Sequences.from_list(said), Sequences.from_list(gold))
    rest.update(
        [s[g != ignored].tolist() for s, g in zip(said, gold, strict=True)], [g[g != ignored] for g in gold]
    )
    assert metric.report() == rest.report()


@pytest.mark.parametrize("number", [-1, 3, 99])
def test_the_number_of_no_tag_is_named_with_its_place(number):
    metric = SpanF1(["O", "B-X", "I-X"])
    right = [[0, 1], [2]]
    with pytest.raises(DataError, match=rf"target {number} of sequence 1 at step 0 is none of the 3 tags"):
        metric.update(right, [[0, 1], [number]])
    with pytest.raises(DataError, match=rf"prediction {number} of sequence 1 at step 0"):
        metric.update(Sequences.from_list([[0, 1], [number]]), Sequences.from_list(right))
    with pytest.raises(ConfigError, match="tags is a list"):
        SpanF1("OBI")


STOPPED = """
import signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.{handler})
import numpy as np, tinyseq
from tinyseq.nn import Linear
from tinyseq.optim import SGD
from tinyseq.training import BatchLoss, Trainer
model = Linear(1, 1)
def objective(model, batch, state):
    print("step", flush=True)
    time.sleep(0.05)
    return BatchLoss((model.weight * batch).sum(), 1)
try:
    Trainer(model, SGD(model, lr=0.1), objective, directory=sys.argv[1]).fit([1.0] * 1000, epochs=1)
except KeyboardInterrupt as stop:
    print("said:", stop)
"""


@pytest.mark.parametrize("handler", ["SIG_IGN", "default"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_stop_saves_first(tmp_path: Path, number: signal.Signals, handler: str) -> None:
    code = STOPPED.format(handler=handler)
    if handler == "default":
        code = code.replace(
            "signal.signal(number, signal.default)",
            "signal.signal(number, {signal.SIGINT: signal.default_int_handler}.get(number, signal.SIG_DFL))",
        )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=-1, text=True, env=os.environ
    ) as run:
        assert run.stdout is not None
        for _ in range(3):
            run.stdout.readline()
        run.send_signal(number)
        out, _ = run.communicate(timeout=60)
    assert "said: stopped in epoch 1 after" in out
    model = Linear(1, 1)
    trainer = Trainer(model, SGD(model, lr=0.1), directory=tmp_path)
    with pytest.warns(UserWarning, match="objective=whole_sequences, not objective"):
        trainer.resume()
    assert trainer.progress.step >= 2


def test_an_epoch_without_metrics_has_no_perplexity():
    epoch = Epoch(1, 2.0, None, 0.1, 1.0, 3, 0.5, True)
    assert math.isnan(epoch.perplexity)
