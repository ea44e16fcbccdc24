"""Gradients through time, beside powers of a matrix and finite differences in float64."""

import numpy as np
import pytest
from tinyseq_cells.bidirectional import Bidirectional
from tinyseq_cells.deep import Deep
from tinyseq_cells.gru import GRU
from tinyseq_cells.lstm import LSTM
from tinyseq_cells.rnn import RNN
from tinyseq_heads.classifier import Classifier
from tinyseq_heads.tagger import Tagger

import tinyseq
from tinyseq import Sequences, Tensor, lens
from tinyseq.errors import ConfigError, ShapeError
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.scan.state import flatten, rebuild

LENGTHS = (3, 6, 2)


def numbers(values):
    return [part.numpy() for part in values.to_list()]


def ragged(rng, width=3, lengths=LENGTHS):
    return Sequences.from_list([rng.normal(size=(n, width)) for n in lengths])


@pytest.mark.parametrize("at", [-1, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_linear_network_multiplies_by_powers_of_its_matrix(at, reverse, backend, rng):
    cell = RNN(3, 4, activation="linear").to("float64")
    w = rng.normal(size=(4, 4)) * 0.6
    cell.w_h.data[...] = tinyseq.Tensor(w).data
    layer = tinyseq.Recurrent(cell, reverse=reverse)
    found = lens.gradient_through_time(layer, ragged(rng), at=at, jacobian=True)
    for k, length in enumerate(LENGTHS):
        t = at % length
        for s in range(length):
            distance = s - t if reverse else t - s
            power = np.linalg.matrix_power(w, max(distance, 0))  # d h_t = d h_s w^(t - s), in rows
            reached = distance >= 0
            norm, value = (numbers(v[""])[k][s] for v in found[:2])
            np.testing.assert_allclose(norm, reached * np.linalg.norm(power @ np.ones(4)), rtol=1e-9)
            np.testing.assert_allclose(value, reached * np.linalg.norm(power, 2), rtol=1e-9)


def walk(cell, xs, change, at, state=None):
    """The state after each step of one sequence, in float64, with a change to that after the step `at`."""
    state = cell.initial_state(1) if state is None else state
    outputs, states = [], []
    for t, x in enumerate(xs):
        y, state = cell.step(Tensor(x[None]), state)
        if t == at:
            leaves = flatten(state)
            cuts = np.cumsum([leaf.size for leaf in leaves])[:-1]
            parts = [p.reshape(leaf.shape) for p, leaf in zip(np.split(change, cuts), leaves, strict=True)]
            changed = rebuild(state, iter([a + Tensor(b) for a, b in zip(leaves, parts, strict=True)]))
            y = next((c for a, c in zip(leaves, flatten(changed), strict=True) if a is y), y)
            state = changed
        outputs.append(y.numpy()[0])
        states.append(np.concatenate([leaf.numpy().reshape(-1) for leaf in flatten(state)]))
    return np.array(outputs), np.array(states)


def differences(function, size, eps=1e-6):
    """The Jacobian of a function of a change: (values, changes)."""
    rows = [(function(eps * e) - function(-eps * e)) / (2 * eps) for e in np.eye(size)]
    return np.array(rows).T


@pytest.mark.parametrize("name", list(tinyseq.cells))
def test_every_cell_agrees_with_finite_differences(name, rng):
    cell = tinyseq.cells[name](3, 3).to("float64")
    xs = Sequences.from_list([rng.normal(size=(5, 3))])
    found = lens.gradient_through_time(cell, xs, at=3, jacobian=True)
    sequence = xs.to_list()[0].numpy()
    size = sum(leaf.size for leaf in flatten(cell.initial_state(1)))
    for s in range(4):
        of_sum = differences(lambda d, s=s: walk(cell, sequence, d, s)[0][3].sum(keepdims=True), size)
        np.testing.assert_allclose(numbers(found.norms[""])[0][s], np.linalg.norm(of_sum), atol=1e-7)
        of_state = differences(lambda d, s=s: walk(cell, sequence, d, s)[1][3], size)
        np.testing.assert_allclose(
            numbers(found.singular_values[""])[0][s], np.linalg.norm(of_state, 2), rtol=1e-5, atol=1e-8
        )
    assert numbers(found.norms[""])[0][4] == 0


def test_a_gradient_comes_through_the_layers_above(rng):
    lower, upper = LSTM(3, 4).to("float64"), GRU(4, 2).to("float64")
    xs = Sequences.from_list([rng.normal(size=(6, 3))])
    found = lens.gradient_through_time(Deep(lower, upper), xs)
    sequence = xs.to_list()[0].numpy()

    def last(change, s):
        ys, _ = walk(lower, sequence, change, s)
        return walk(upper, ys, None, None)[0][-1].sum(keepdims=True)

    for s in range(6):
        expected = np.linalg.norm(differences(lambda d, s=s: last(d, s), 8))
        np.testing.assert_allclose(numbers(found.norms["layers.0"])[0][s], expected, atol=1e-7)
    assert list(found.norms) == ["layers.0", "layers.1"]
    assert found.singular_values == {}


def test_a_backward_layer_is_reached_from_its_end(rng):
    model = Bidirectional(GRU(3, 2), GRU(3, 2))
    found = lens.gradient_through_time(model, ragged(rng), at=1)
    ahead, back = (numbers(found.norms[name])[1] > 0 for name in ("forward_layer", "backward_layer"))
    assert ahead.tolist() == [True, True, False, False, False, False]
    assert back.tolist() == [False, True, True, True, True, True]


def test_with_targets_it_is_the_loss_through_one_step(rng):
    """Of a tagger, whose loss is a mean over six positions: that of the one position, divided by six."""
    model = SequenceModel(Embedding(5, 3), GRU(3, 4), Tagger(4, 3)).to("float64")
    xs, targets = (Sequences.from_list([ids]) for ids in ([1, 2, 3, 4, 0, 1], [0, 1, 2, 0, 1, 2]))
    found = lens.gradient_through_time(model, xs, at=3, targets=targets)
    cell, sequence = model.encoder.cell, model.embed(xs).to_list()[0].numpy()
    w, b = model.head.projection.weight.numpy(), model.head.projection.bias.numpy()

    def loss(change, s):
        scores = walk(cell, sequence, change, s)[0][3] @ w + b
        return np.atleast_1d((np.log(np.exp(scores).sum()) - scores[0]) / 6)

    for s in range(4):
        expected = np.linalg.norm(differences(lambda d, s=s: loss(d, s), 4))
        np.testing.assert_allclose(numbers(found.norms["encoder"])[0][s], expected, atol=1e-8)
    with pytest.raises(ConfigError, match="has no head"):
        lens.gradient_through_time(model.encoder, model.embed(xs), targets=targets)


def test_a_frozen_model_has_gradients_too(rng):
    cell, xs = LSTM(3, 4), ragged(rng)
    before = lens.gradient_through_time(cell, xs)
    frozen = lens.gradient_through_time(cell.freeze(), xs)
    np.testing.assert_array_equal(frozen.norms[""].data.numpy(), before.norms[""].data.numpy())


def test_training_and_gradients_are_left_alone(rng):
    model = SequenceModel(Embedding(5, 3), GRU(3, 4), Classifier(4, 2)).train()
    lens.gradient_through_time(model, Sequences.from_list([[1, 2, 3]]), jacobian=True)
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bad_requests_are_refused(rng):
    with pytest.raises(ShapeError, match="Sequence 2 has 2 steps, and no step 2"):
        lens.gradient_through_time(GRU(3, 2), ragged(rng), at=2)
    with pytest.raises(ConfigError, match="has 4,161 values, too many"):
        lens.gradient_through_time(tinyseq.cells["m-lstm"](3, 64), ragged(rng), jacobian=True)
