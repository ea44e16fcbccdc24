"""The loop: what it counts, when it stops, what it leaves alone."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

import tinyseq
from tinyseq.data import ContiguousWindows
from tinyseq.errors import ConfigError, DataError, NonFiniteError
from tinyseq.nn import Dropout, Embedding, Linear, Module, Parameter, SequenceModel, Sequential
from tinyseq.optim import SGD, Adam, ReduceOnPlateau, Schedule, StepDecay
from tinyseq.training import BatchLoss, SaveBest, Trainer, carried_state, count_targets, whole_sequences
from tinyseq.training.records import Progress


class Point(Module):
    """One number, pulled to where the batch says."""

    def __init__(self, at=0.0):
        self.at = Parameter(np.array([at]), np.float64)


def pull(model, batch, state):
    """Half the squared distance to the batch's values, meaned: its gradient is the mean distance."""
    targets = tinyseq.Tensor(np.asarray(batch, np.float64))
    return BatchLoss(((model.at - targets) ** 2).mean() / 2, targets.size)


def point_trainer(at=0.0, lr=0.5, **options):
    model = Point(at)
    return Trainer(model, SGD(model, lr=lr), pull, **options)


def language_model(symbols=9, width=8, dropout=0.0):
    encoder = tinyseq.Recurrent(tinyseq.cells["gru"](width, width))
    embed = Sequential(Embedding(symbols, width), Dropout(dropout))
    return SequenceModel(embed, encoder, tinyseq.heads["language-model"](width, symbols))


def language_data(length=200, batch=4, window=6):
    ids = np.cumsum(np.random.default_rng(1).integers(0, 3, length)) % 9
    return ContiguousWindows(ids, batch, window)


def test_losses_are_summed_with_counts_and_not_means_of_means():
    trainer = point_trainer()
    batches = [[1.0], [3.0, 5.0, 7.0]]
    assert trainer.evaluate(batches) == pytest.approx((1 + 9 + 25 + 49) / 4 / 2)


def test_an_epoch_is_one_sgd_step_per_batch():
    trainer = point_trainer(at=0.0, lr=0.5)
    (epoch,) = trainer.fit([[1.0], [2.0]], epochs=1)
    assert trainer.model.at.item() == 1.25  # 0 -> 0.5 -> 1.25
    assert epoch.train_loss == pytest.approx((0.5 + 1.125) / 2)
    assert epoch.gradient_norm == pytest.approx((1.0 + 1.5) / 2)
    assert (epoch.number, epoch.targets, epoch.best, epoch.valid_loss) == (1, 2, True, None)


def test_clip_bounds_the_gradient_and_the_norm_is_reported_before():
    trainer = point_trainer(lr=1.0, clip=0.25)
    (epoch,) = trainer.fit([[4.0]], epochs=1)
    assert trainer.model.at.item() == pytest.approx(0.25)
    assert epoch.gradient_norm == pytest.approx(4.0)


def test_fit_counts_epochs_that_were_done_before():
    trainer = point_trainer()
    assert len(trainer.fit([[1.0]], epochs=2)) == 2
    assert [epoch.number for epoch in trainer.fit([[1.0]], epochs=3)] == [1, 2, 3]
    assert trainer.progress.step == 3


def test_a_schedule_goes_on_after_every_step():
    model = Point()
    optimizer = SGD(model, lr=1.0)
    seen = []

    def objective(model, batch, state):
        seen.append(optimizer.lr)
        return pull(model, batch, state)

    Trainer(model, optimizer, objective, schedule=Schedule(optimizer, StepDecay(2, 0.5))).fit(
        [[0.0]] * 3, epochs=2
    )
    assert seen == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_a_plateau_is_judged_after_every_epoch_by_the_validation_loss():
    model = Point()
    optimizer = SGD(model, lr=1e-9)  # it stands still, so that no epoch is better
    plateau = ReduceOnPlateau(optimizer, factor=0.5, patience=1)
    history = Trainer(model, optimizer, pull, schedule=plateau).fit([[1.0]] * 5, [[1.0]], epochs=4)
    assert [epoch.learning_rate for epoch in history] == [1e-9, 1e-9, 1e-9, 0.5e-9]


def test_training_stops_when_patience_is_out_and_the_best_parameters_come_back():
    wanted = iter([5.0, 3.0, 1.0, 2.0, 2.5, 9.0])
    trainer = point_trainer(lr=0.0, patience=2)
    places = iter([10.0, 20.0, 30.0, 40.0, 50.0, 60.0])

    def evaluate(batches):
        trainer.model.at.data[...] = next(places)
        trainer.model.at.changed()
        return next(wanted)

    trainer.evaluate = evaluate
    history = trainer.fit([[0.0]], [[0.0]], epochs=6)
    assert [epoch.valid_loss for epoch in history] == [5.0, 3.0, 1.0, 2.0, 2.5]
    assert [epoch.best for epoch in history] == [True, True, True, False, False]
    trainer.restore_best()
    assert trainer.model.at.item() == 30.0
    assert trainer.fit([[0.0]], [[0.0]], epochs=6) == history, "patience stays out"


def test_there_is_no_best_before_the_first_epoch():
    with pytest.raises(DataError, match="no best epoch yet"):
        point_trainer().restore_best()


@pytest.mark.parametrize(("value", "name"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_try(value, name):
    trainer = point_trainer(lr=0.25)
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit([[1.0], [value], [1.0]], epochs=1)
    assert str(caught.value) == (
        f"The loss is {name} in epoch 1 after 1 steps; no update was made from it. Try a learning rate below "
        "0.25, or clip=1.0, or find the op where it is born: with tinyseq.detect_anomaly(): trainer.fit(...)."
        " It is in batch 1 of the epoch, counted from 0."
    )
    assert trainer.model.at.item() == 0.25, "the parameters are those of the last good step"


def test_a_gradient_that_is_no_number_stops_the_run_before_the_update():
    def explode(model, batch, state):
        return BatchLoss(tinyseq.ops.sqrt(model.at).sum(), 1)  # 0 with an infinite slope

    model = Point()
    with np.errstate(divide="ignore"), pytest.raises(NonFiniteError, match="gradient norm is inf"):
        Trainer(model, SGD(model), explode, clip=5.0).fit([[0.0]], epochs=1)
    assert model.at.item() == 0.0


def test_batches_that_can_be_gone_through_only_once_are_refused():
    trainer = point_trainer()
    with pytest.raises(DataError, match="starts anew every epoch"):
        trainer.fit(iter([[1.0]]), epochs=2)
    assert len(trainer.history) == 1


class Shuffled(list):
    """Batches in an order that is drawn from tinyseq's random numbers."""

    def __iter__(self):
        return (self[i] for i in tinyseq.random.generator().permutation(len(self)))


def test_validation_changes_nothing_about_training():
    ends = []
    for valid in (None, Shuffled(language_data(80))):
        tinyseq.seed(3)
        model = language_model(dropout=0.5)
        Trainer(model, Adam(model), carried_state).fit(language_data(), valid, epochs=2)
        ends.append(model.state_dict())
    for name, array in ends[0].items():
        np.testing.assert_array_equal(ends[1][name], array)


def test_evaluation_is_without_dropout_and_without_a_tape():
    model = language_model(dropout=0.9)
    without = language_model(dropout=0.0)
    without.load_state_dict(model.state_dict())
    model.head.eval()
    modes = [module.training for module in model.modules()]
    taped = []

    def objective(model, batch, state):
        outcome = carried_state(model, batch, state)
        taped.append(outcome.mean.requires_grad)
        return outcome

    found = Trainer(model, Adam(model), objective).evaluate(language_data())
    assert found == Trainer(without, Adam(without), carried_state).evaluate(language_data())
    assert not any(taped)
    assert [module.training for module in model.modules()] == modes


def test_windows_with_a_carried_state_are_one_long_sequence():
    tinyseq.seed(0)
    model = language_model()
    trainer = Trainer(model, Adam(model), carried_state)
    long = trainer.evaluate(language_data(window=1000))
    assert trainer.evaluate(language_data(window=6)) == pytest.approx(long, rel=1e-6)
    forgetful = Trainer(model, Adam(model), whole_sequences)
    assert abs(forgetful.evaluate(language_data(window=6)) - long) > 1e-4


def test_gradients_stop_at_the_start_of_a_window():
    model = language_model()
    trainer = Trainer(model, SGD(model, lr=0.0), carried_state)
    first, second = list(language_data())[:2]
    trainer.train_step(first)
    assert not trainer.state.h.requires_grad
    trainer.train_step(second)
    got = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    _, state = model.scan(first[0])
    model.zero_grad()
    carried_state(model, second, tinyseq.detach(state)).mean.backward()
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.grad.numpy(), got[name])


def test_every_epoch_begins_without_a_state():
    states = []

    def objective(model, batch, state):
        states.append(state)
        found = pull(model, batch, state)
        return found._replace(state=model.at * 1)

    model = Point()
    Trainer(model, SGD(model), objective).fit([[1.0]] * 2, [[1.0]] * 2, epochs=2)
    assert [state is None for state in states] == [True, False] * 4


def test_whole_sequences_count_tokens_and_rows():
    ragged = tinyseq.Sequences.from_list([[1, 2, 3], [4]])
    assert count_targets(ragged) == 4
    assert count_targets(np.zeros((2, 3))) == 6
    assert count_targets(tinyseq.Tensor([1, 2])) == 2

    class Regression(Module):
        def __init__(self):
            self.linear = Linear(2, 1)

        def loss(self, inputs, targets):
            return ((self.linear(inputs) - targets) ** 2).mean()

    x = tinyseq.Tensor(np.ones((5, 2), np.float32))
    found = whole_sequences(Regression(), (x, tinyseq.Tensor(np.zeros((5, 1), np.float32))))
    assert found.mean.shape == ()
    assert found.targets == 5
    assert found.state is None


def test_ctrl_c_in_a_session_stops_between_steps_and_fit_goes_on():
    trainer = point_trainer(lr=0.1)
    whole = point_trainer(lr=0.1)
    whole.fit([[1.0]] * 4, epochs=2)
    train_step = trainer.train_step

    def pressed(batch):
        train_step(batch)
        if trainer.progress.step == 2:
            trainer._interrupts.requested = True

    trainer.train_step = pressed
    with pytest.raises(KeyboardInterrupt, match="stopped in epoch 1 after 2 steps"):
        trainer.fit([[1.0]] * 4, epochs=2)
    trainer.fit([[1.0]] * 4, epochs=2)
    assert trainer.model.at.item() == whole.model.at.item()
    assert trainer.progress.step == 8


def test_a_run_in_another_thread_needs_no_signals():
    trainer = point_trainer()
    thread = threading.Thread(target=trainer.fit, args=([[1.0]],), kwargs={"epochs": 1})
    thread.start()
    thread.join()
    assert len(trainer.history) == 1


def test_functions_after_an_epoch_see_it_in_the_history():
    seen = []
    point_trainer(after_epoch=[lambda trainer, epoch: seen.append((epoch, trainer.history[-1]))]).fit(
        [[1.0]], epochs=2
    )
    assert [epoch.number for epoch, _ in seen] == [1, 2]
    assert all(epoch is last for epoch, last in seen)


def test_save_best_writes_a_model_that_load_makes_again(tmp_path):
    model = language_model()
    path = tmp_path / "model.safetensors"
    save_best = SaveBest(path, {"note": "kept"})
    trainer = Trainer(model, Adam(model), carried_state, after_epoch=[save_best])
    (epoch,) = trainer.fit(language_data(), epochs=1)
    best = model.state_dict()
    save_best(trainer, replace(epoch, best=False))
    loaded = tinyseq.load(path)
    assert tinyseq.describe(path).extra == {"note": "kept"}
    for name, array in loaded.state_dict().items():
        np.testing.assert_array_equal(array, best[name])


def test_bars_show_epoch_batches_and_loss(capsys):
    point_trainer(bars=True).fit([[1.0]] * 3, [[1.0]], epochs=1)
    shown = capsys.readouterr().err
    assert "epoch 1:" in shown
    assert "/3" in shown
    assert "validation:" in shown
    point_trainer().fit([[1.0]] * 3, epochs=1)
    assert capsys.readouterr().err == "", "nothing where stderr is no terminal"


def test_a_state_of_something_else_is_refused(tmp_path):
    trainer = point_trainer()
    with pytest.raises(ConfigError, match="needs the directory"):
        trainer.resume()


def test_of_epochs_with_equal_figures_the_lower_loss_is_best():
    progress = Progress()
    for loss, judged in ((3.0, -0.5), (2.0, -0.5), (2.5, -0.5), (9.0, -0.6), (1.0, -0.5)):
        progress.end_epoch(loss, 0.1, judged=judged)
    assert [epoch.best for epoch in progress.history] == [True, True, False, True, False]
