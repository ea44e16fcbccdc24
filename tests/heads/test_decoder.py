"""The decoder: what it computes, that training and writing agree, what it learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_heads.decoder import Decoder
from tinyseq_heads.targets import shifted

import tinyseq
from tinyseq import Sequences, Tensor, ops
from tinyseq.errors import ConfigError, DataError
from tinyseq.nn import Embedding, Linear, SequenceModel
from tinyseq.optim import Adam
from tinyseq.testing.gradients import check_gradients

Array = np.ndarray[Any, Any]
WIDTH, SYMBOLS, UNITS, END = 3, 5, 3, 2  # of features, to write, of the cell, the last symbol

COMBINATIONS = [
    {},
    {"condition": "input"},
    {"condition": "both", "pooling": "mean"},
    {"attention": "dot"},
    {"attention": "general", "condition": "both"},
    {"attention": "additive", "pooling": "max"},
    {"attention": "dot", "attend": "before", "condition": "both"},
    {"attention": "general", "attend": "before"},
    {"attention": "additive", "attend": "before", "condition": "input"},
]


def cell_input(options: dict[str, Any], embedding: int = 2) -> int:
    """What the cell takes: the vector of a symbol, and what was read as often as it comes in."""
    return embedding + WIDTH * (
        (options.get("condition", "state") != "state") + (options.get("attend") == "before")
    )


def make(options: dict[str, Any], cell: Any = LSTM, seed: int = 0) -> Decoder:
    tinyseq.seed(seed)
    head = Decoder(WIDTH, SYMBOLS, cell(cell_input(options), UNITS), end=END, max_length=6, **options)
    head.to("float64")
    rng = np.random.default_rng(seed)
    for parameter in head.parameters():
        parameter.data[...] = parameter.data + tinyseq.backend.backend().asarray(
            rng.normal(size=parameter.shape)
        )
    return head.eval()


def batch(rng: Any, lengths: list[int]) -> tuple[Sequences, Sequences]:
    """Features of these lengths, and targets of others."""
    features = Sequences.from_list([rng.normal(size=(n, WIDTH)) for n in lengths])
    others = [symbol for symbol in range(SYMBOLS) if symbol != END]
    targets = [np.append(rng.choice(others, rng.integers(0, 5)), END) for _ in lengths]
    return features, Sequences.from_list(targets)


def by_hand(head: Decoder, options: dict[str, Any], source: Array, target: list[int]) -> Array:
    """Log-probabilities of the next symbol at every step, for one sequence and one symbol at a time."""
    w = head.state_dict()
    pooled = {"last": source[-1], "mean": source.mean(0), "max": source.max(0)}
    summary = pooled[options.get("pooling", "last")]
    condition, attention = options.get("condition", "state"), options.get("attention")
    before = attention is not None and options.get("attend") == "before"
    cell: Any = head.recurrence.cell
    h, c = np.zeros((2, UNITS))
    query = np.zeros(UNITS)
    if condition != "input":
        first = np.tanh(summary @ w["bridge.weight"] + w["bridge.bias"])
        h, c = first[:UNITS], first[UNITS : 2 * UNITS]
        query = first[2 * UNITS :] if before else query

    def context(q: Array) -> Array:
        keys = source if attention == "dot" else source @ w["attention.key.weight"]
        if attention == "additive":
            scores = np.tanh(q @ w["attention.query.weight"] + keys) @ w["attention.match"][:, 0]
        else:
            scores = keys @ q
        return np.array(np.exp(scores) / np.exp(scores).sum() @ source)

    rows = []
    state = type(cell.initial_state(1))(Tensor(h[None]), Tensor(c[None]))
    for symbol in [END, *target[:-1]]:
        x = w["embed.weight"][symbol]
        x = x if condition == "state" else np.concatenate([x, summary])
        read = context(query) if before else None
        x = x if read is None else np.concatenate([x, read])
        output, state = cell.step(Tensor(x[None]), state)
        y = query = output.numpy()[0]
        if attention is not None:
            read = context(y) if read is None else read
            y = np.tanh(np.concatenate([y, read]) @ w["combine.weight"] + w["combine.bias"])
        scores = y @ w["projection.weight"] + w["projection.bias"]
        rows.append(scores - np.log(np.exp(scores).sum()))
    return np.array(rows)


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_its_scores_are_those_of_one_symbol_at_a_time(
    backend: str, options: dict[str, Any], lengths: list[int], seed: int
) -> None:
    head = make(options, seed=seed % 1000)
    features, targets = batch(np.random.default_rng(seed), lengths)
    scores = ops.log_softmax(head.scores(features, targets).data)
    nats = []
    for xs, ys, found in zip(
        features.to_list(), targets.to_list(), targets.with_data(scores).to_list(), strict=True
    ):
        expected = by_hand(head, options, xs.numpy(), ys.numpy().tolist())
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)
        nats += [-row[y] for row, y in zip(expected, ys.numpy(), strict=True)]
    assert head.loss(features, targets).item() == pytest.approx(np.mean(nats), rel=1e-9)


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_what_it_writes_scores_as_in_training(backend: str, options: dict[str, Any]) -> None:
    head = make(options, seed=1)
    features, _ = batch(np.random.default_rng(1), [3, 1, 4])
    greedy = head.predict(features)
    for i, hypotheses in enumerate(head.beam(features, 3, length_penalty=0.8)):
        alone = Sequences.from_list([features.to_list()[i]])
        for ids, score in hypotheses:
            with_end = np.append(ids, END)
            whole = ids if len(ids) == head.max_length else with_end  # cut off, it has no end
            log_p = ops.log_softmax(head.scores(alone, Sequences.from_list([with_end])).data).numpy()
            total = sum(log_p[t, y] for t, y in enumerate(whole))
            assert score == pytest.approx(total / ((5 + len(whole)) / 6) ** 0.8, rel=1e-9)
        assert head.predict(alone)[0].tolist() == greedy[i].tolist()
        assert greedy[i].tolist() == likeliest(head, alone)


def likeliest(head: Decoder, features: Sequences) -> list[int]:
    """Greedy writing by scoring all that was written, anew for every symbol."""
    written: list[int] = []
    while len(written) < head.max_length:
        scores = head.scores(features, Sequences.from_list([np.array([*written, END])])).data.numpy()
        symbol = int(scores[-1].argmax())
        if symbol == END:
            break
        written.append(symbol)
    return written


@pytest.mark.parametrize("options", COMBINATIONS[4:9:2], ids=str)
def test_gradients_to_second_order(options: dict[str, Any]) -> None:
    head = make(options, cell=GRU)
    features, targets = batch(np.random.default_rng(0), [2, 3])
    rows = Tensor(features.data.numpy(), requires_grad=True)
    check_gradients(lambda: head.loss(features.with_data(rows), targets), [rows, *head.parameters()])


def test_layers_on_top_of_each_other_can_decode() -> None:
    for options in ({}, {"attention": "dot", "attend": "before"}):
        tinyseq.seed(0)
        cell = Deep(LSTM(cell_input(options), UNITS), GRU(UNITS, UNITS))
        head = Decoder(WIDTH, SYMBOLS, cell, end=END, max_length=6, **options).to("float64").eval()
        features, targets = batch(np.random.default_rng(2), [2, 4, 1])
        check_gradients(lambda head=head: head.loss(features, targets), list(head.parameters()), order=1)
        whole = head.predict(features)
        for i, xs in enumerate(features.to_list()):
            alone = Sequences.from_list([xs])
            assert whole[i].tolist() == head.predict(alone)[0].tolist() == likeliest(head, alone)


@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_every_symbol_follows_the_one_before_it(backend: str, lengths: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = [rng.integers(0, 9, n) for n in lengths]
    found = shifted(Sequences.from_list(targets), 7).to_list()
    assert [ids.numpy().tolist() for ids in found] == [[7, *ids[:-1].tolist()] for ids in targets]


def model_for(attention: str | None, attend: Any) -> SequenceModel:
    tinyseq.seed(0)
    options = {"attention": attention, "attend": attend, "pooling": "mean"}
    head = Decoder(32, 6, GRU(16 + 32 * (attend == "before"), 32), end=0, max_length=8, **options)
    return SequenceModel(Embedding(6, 16), Bidirectional(GRU(16, 16), GRU(16, 16)), head)


@pytest.mark.parametrize(("attention", "attend"), [("dot", "after"), ("additive", "before")])
def test_it_learns_to_reverse_and_looks_at_the_right_steps(attention: str, attend: str) -> None:
    rng = np.random.default_rng(0)
    sources = [rng.integers(1, 6, rng.integers(2, 6)) for _ in range(400)]
    targets = [np.append(ids[::-1], 0) for ids in sources]
    model = model_for(attention, attend)
    optimizer = Adam(model, lr=0.005)
    for _ in range(12):
        for i in range(0, 400, 25):
            optimizer.zero_grad()
            model.loss(
                Sequences.from_list(sources[i : i + 25]), Sequences.from_list(targets[i : i + 25])
            ).backward()
            optimizer.step()
    xs, ys = Sequences.from_list(sources[:100]), Sequences.from_list(targets[:100])
    with tinyseq.no_grad():
        features = model(xs)
        metrics = model.head.metrics()
        for metric in metrics.values():
            metric.update(model.predict(xs), ys)
            metric.update([best[0].ids for best in model.head.beam(features, 3)], ys)
    assert metrics["exact_match"].value() > 0.9
    assert metrics["error_rate"].value() < 0.05
    alignments = model.head.alignments(features, ys)
    assert [a.shape for a in alignments] == list(zip(ys.lengths, xs.lengths, strict=True))
    np.testing.assert_allclose(np.concatenate([a.sum(1) for a in alignments]), 1, rtol=1e-5)
    near = [abs(int(a[t].argmax()) - (len(a) - 2 - t)) <= 1 for a in alignments for t in range(len(a) - 1)]
    assert np.mean(near) > 0.8


def test_dropout_is_for_training_only() -> None:
    tinyseq.seed(0)
    head = Decoder(WIDTH, SYMBOLS, GRU(4, 4), end=END, dropout=0.5, max_length=4)
    features, targets = batch(np.random.default_rng(0), [3, 2])
    features = features.map(lambda x: x.astype("float32"))
    assert head.loss(features, targets).item() != head.loss(features, targets).item()
    assert [a.tolist() for a in head.predict(features)] == [a.tolist() for a in head.predict(features)]
    assert head.training
    head.eval()
    assert head.loss(features, targets).item() == head.loss(features, targets).item()


def test_metrics_leave_the_end_out() -> None:
    metrics = make({}).metrics()
    targets = Sequences.from_list([np.array([0, 1, END]), np.array([END])])
    for metric in metrics.values():
        metric.update([np.array([0, 3]), np.array([], int)], targets)
    assert metrics["error_rate"].value() == 0.5
    assert metrics["exact_match"].value() == 0.5
    metrics["error_rate"].merge(metrics["error_rate"])
    assert metrics["error_rate"].value() == 0.5


def test_it_survives_saving(tmp_path: Path) -> None:
    for attention, attend in ((None, "after"), ("additive", "before")):
        model = model_for(attention, attend).eval()
        tinyseq.save(tmp_path / "model.safetensors", model)
        other = tinyseq.load(tmp_path / "model.safetensors").eval()
        xs = Sequences.from_list([np.array([1, 2, 3]), np.array([4])])
        ys = Sequences.from_list([np.array([1, 0]), np.array([5, 0])])
        assert model.loss(xs, ys).item() == other.loss(xs, ys).item()
        assert [a.tolist() for a in model.predict(xs)] == [a.tolist() for a in other.predict(xs)]


def test_requests_that_make_no_sense() -> None:
    cell = GRU(4, 3)
    with pytest.raises(ConfigError, match="Decoder takes a Cell or a layer with a state, not Linear"):
        Decoder(3, 5, Linear(4, 3), end=0)
    with pytest.raises(ConfigError, match="end is the number of a symbol, 0 to 4, not 5"):
        Decoder(3, 5, cell, end=5)
    with pytest.raises(ConfigError, match="attend is 'after' or 'before', not 'during'"):
        Decoder(3, 5, cell, end=0, attend="during")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="condition is 'state' or 'input' or 'both', not 'none'"):
        Decoder(3, 5, cell, end=0, condition="none")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the cell takes 4 features, of which 6 are of what was read"):
        Decoder(3, 5, cell, end=0, condition="both", attention="dot", attend="before")
    with pytest.raises(ConfigError, match="most symbols to write, 1 or more, not 0"):
        Decoder(3, 5, cell, end=0, max_length=0)
    with pytest.raises(ConfigError, match="queries as wide as the source, not 3 and 2"):
        Decoder(2, 5, cell, end=0, attention="dot")
    head = Decoder(3, 5, cell, end=0)
    features, _ = batch(np.random.default_rng(0), [2, 3])
    features = features.map(lambda x: x.astype("float32"))
    with pytest.raises(DataError, match="target 1 ends with 3, not with the end symbol 0: append it"):
        head.loss(features, Sequences.from_list([np.array([1, 0]), np.array([1, 2, 3])]))
    with pytest.raises(DataError, match="Decoder goes by 2 sequences, but there are 1 targets"):
        head.loss(features, Sequences.from_list([np.array([1, 0])]))
    with pytest.raises(DataError, match=r"writes integer ids.*float32 of shape"):
        head.loss(features, features)
    with pytest.raises(ConfigError, match="This Decoder has no attention"):
        head.alignments(features, Sequences.from_list([np.array([1, 0]), np.array([0])]))


def test_it_is_found_by_name() -> None:
    assert tinyseq.heads["decoder"] is Decoder


@pytest.mark.parametrize("options", [{}, {"attention": "dot"}, {"attention": "dot", "attend": "before"}])
def test_scheduled_sampling_goes_on_from_what_the_decoder_took_for_likeliest(
    options: dict[str, Any], rng: np.random.Generator
) -> None:
    head = make({**options, "scheduled_sampling": 1.0})
    features, targets = batch(rng, [3, 5, 2])
    forced = head.scores(features, targets)
    own = [scores.numpy().argmax(1) for scores in forced.to_list()]
    assert any((a != t.numpy()).any() for a, t in zip(own, targets.to_list(), strict=True))
    head.train()
    sampled = head.scores(features, targets)
    # By hand: each symbol of the decoder's own, written as if it were right, and read up to the last step.
    for k, (scores, mine) in enumerate(zip(sampled.to_list(), own, strict=True)):
        source = Sequences.from_list([features.to_list()[k].numpy()])
        read = Sequences.from_list([np.append(mine[:-1], END)])
        want = head.eval().scores(source, read).data.numpy()
        np.testing.assert_allclose(scores.numpy(), want, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(head.eval().scores(features, targets).data.numpy(), forced.data.numpy())


def test_scheduled_sampling_replaces_as_many_symbols_as_it_says(rng: np.random.Generator) -> None:
    head = make({"scheduled_sampling": 0.3}).train()
    given_to: list[Any] = []
    forced = head._forced
    head._forced = lambda source, targets, before=None: (  # type: ignore[method-assign]
        given_to.append(before) or forced(source, targets, before)  # type: ignore[func-returns-value]
    )
    features = Sequences.from_list([rng.normal(size=(2, WIDTH)) for _ in range(400)])
    # the right symbol is one that the decoder never takes
    scores = head.eval().scores(features, Sequences.from_list([[END]] * 400)).data.numpy()
    head.train()
    target = [int(np.bincount(scores.argmax(1), minlength=SYMBOLS).argmin())] * 9
    targets = Sequences.from_list([[*target, END]] * 400)
    given_to.clear()
    tinyseq.seed(0)
    head.loss(features, targets).backward()
    first, second = given_to
    assert first is None
    right = shifted(targets, END).to_padded().numpy()
    mixed = second.to_padded().numpy()
    assert (mixed[:, 0] == END).all()
    own = forced_choices(head, features, targets)
    wrong = own[:, :-1] != right[:, 1:]
    share = (mixed[:, 1:] != right[:, 1:])[wrong].mean()
    assert abs(share - 0.3) < 4.5 * np.sqrt(0.21 / wrong.sum())
    assert head.embed.weight.grad is not None


def forced_choices(head: Decoder, features: Sequences, targets: Sequences) -> Array:
    head.eval()
    found = head.scores(features, targets).to_padded().numpy().argmax(-1)
    head.train()
    return found  # type: ignore[no-any-return]


def test_a_probability_of_sampling_is_one() -> None:
    with pytest.raises(ConfigError, match="it is a probability"):
        Decoder(3, 5, GRU(4, 3), end=2, scheduled_sampling=1.5)
