"""A recurrence behind scikit-learn's `fit` and `predict`: of each sequence a class, numbers, or tags."""

import threading
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, check_X_y, column_or_1d

from tinyseq import random
from tinyseq.data import LengthBatches
from tinyseq.data.batches import examples_named
from tinyseq.errors import NonFiniteError
from tinyseq.nn import Embedding, Linear, SequenceModel
from tinyseq.optim import Adam
from tinyseq.registry import cells, heads, layers, losses
from tinyseq.sequences import Sequences
from tinyseq.sklearn.inputs import Array, Given, Reader, read
from tinyseq.training import BatchLoss, Trainer

_ONE_AT_A_TIME = threading.Lock()  # threads of a joblib backend share one source of random numbers
ROWS = 256  # of a batch that is predicted


class _Sequential(BaseEstimator):  # type: ignore[misc]
    """What the estimators share. `learning_rate` is Adam's; "auto" batches hold up to 200 samples.

    `unit` takes texts apart, at "word"s or at "char"acters. Numbers are scaled by feature to mean 0 and
    variance 1. It computes in float64, so that a sample's weight means what its copies would.
    """

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_size: int = 32,
        embedding_size: int = 32,
        bidirectional: bool = False,
        unit: str = "word",
        epochs: int = 100,
        learning_rate: float = 0.01,
        batch_size: int | str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.bidirectional = bidirectional
        self.unit = unit
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train anew on samples X, their targets y, and how much each counts; returns itself."""
        return self._fit(X, y, sample_weight, self.epochs, anew=True)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, epochs: int, *, anew: bool, classes: Any = None
    ) -> Any:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        given, y = read(self, X, first=anew, y=y, **self._y_options())
        if len(given.samples) != len(y):
            raise ValueError(f"X has {len(given.samples)} samples, and y has {len(y)}.")
        dummy = np.zeros((len(given.samples), 1))
        weights = _check_sample_weight(sample_weight, dummy, dtype=np.float64, ensure_non_negative=True)
        kept = np.flatnonzero(weights)
        if not kept.size:
            raise ValueError("No sample counts: every sample_weight is 0.")
        given = Given(given.kind, [given.samples[i] for i in kept])
        weights = weights[kept]
        with _ONE_AT_A_TIME:
            before = random.get_state()
            try:
                random.seed(int(check_random_state(self.random_state).randint(2**31 - 1)))
                if anew:
                    self._learn_targets(
                        [y[i] for i in kept] if isinstance(y, list) else y, kept, weights, classes
                    )
                    self._reader = Reader(given, self.unit, weights)
                    self._model = self._built()
                    self._optimizer = Adam(self._model, lr=self.learning_rate)
                self._reader.check(given)
                self._train(given, self._targets(y, given, kept), weights, epochs, kept)
            finally:
                random.set_state(before)
        return self

    def _train(self, given: Given, targets: Any, weights: Array, epochs: int, kept: Array) -> None:
        lengths = [len(sample) for sample in given.samples]
        size: Any = min(200, len(lengths)) if self.batch_size == "auto" else self.batch_size

        def collate(places: list[int]) -> Any:
            chosen = [targets[i] for i in places]
            return self._reader.sequences([given.samples[i] for i in places]), chosen, weights[places]

        batches = LengthBatches(
            range(len(lengths)), size, collate, length=lengths.__getitem__, numbers=kept.tolist()
        )
        trainer = Trainer(self._model, self._optimizer, self._objective, clip=5.0, bars=self.verbose)
        try:
            trainer.fit(batches, epochs=epochs)
        except NonFiniteError as error:
            advice = f"Try a learning_rate below {self.learning_rate:g}."
            raise NonFiniteError(error.args[0], advice, *error.args[2:]) from None
        self.loss_curve_ = [epoch.train_loss for epoch in trainer.history]

    def _objective(self, model: Any, batch: Any, state: Any) -> BatchLoss:
        xs, targets, weights = batch
        each, weights = self._losses(model.head, model(xs), targets, xs, weights)
        total = float(weights.sum())
        return BatchLoss((each * (weights / total)).sum(), total)

    def _built(self) -> Any:
        reader, width = self._reader, self.embedding_size
        made = Linear if reader.kind == "vectors" else Embedding
        embed: Any = made(reader.size, width)
        encoder: Any = cells[self.cell](width, self.hidden_size)
        size = self.hidden_size
        if self.bidirectional:
            encoder = layers["bidirectional"](encoder, cells[self.cell](width, self.hidden_size))
            size *= 2
        return SequenceModel(embed, encoder, self._head(size)).to("float64")

    def _answers(self, X: Any) -> list[Any]:
        """The head's answer for each batch, in order."""
        check_is_fitted(self)
        given, _ = read(self, X, first=False)
        self._reader.check(given)
        cuts = range(0, len(given.samples), ROWS)
        answers = []
        for start in cuts:
            samples = given.samples[start : start + ROWS]
            with examples_named(range(start, start + len(samples)), "sample"):
                answers.append(self._model.predict(self._reader.sequences(samples)))
        return answers

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_model" in state:  # their arrays alone: what a model is made of comes from the parameters of fit
            del state["_model"], state["_optimizer"]
            state["_arrays"] = self._model.state_dict(), self._optimizer.state_dict()
            state["_made_with"] = self._made_with
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.pop("_arrays", None)
        super().__setstate__(state)
        if arrays is not None:
            with _ONE_AT_A_TIME:
                before, now = random.get_state(), self.get_params()
                try:
                    self.set_params(**self._made_with)
                    self._model = self._built()
                    self._optimizer = Adam(self._model, lr=self.learning_rate)
                finally:
                    self.set_params(**now)
                    random.set_state(before)
            self._model.load_state_dict(arrays[0])
            self._model.eval()
            self._optimizer.load_state_dict(arrays[1])

    def _pool(self) -> str:
        return "ends" if self.bidirectional else "last"


class SequenceClassifier(ClassifierMixin, _Sequential):  # type: ignore[misc]
    """Each sequence's class. y: labels of any kind, (samples,)."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One epoch on these samples; the first call fixes classes (by default those of y) and vocabulary."""
        anew = not hasattr(self, "_model")
        return self._fit(X, y, sample_weight, 1, anew=anew, classes=classes)

    def predict(self, X: Any) -> Array:
        """The likeliest class of each sequence, (samples,)."""
        p = self.predict_proba(X)
        found: Array = self.classes_[p.argmax(1)]
        return found

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (samples, classes), in the order of `classes_`."""
        p = np.exp(np.concatenate([answer.numpy() for answer in self._answers(X)]))
        scaled: Array = p / p.sum(1, keepdims=True)
        return scaled

    def _y_options(self) -> dict[str, Any]:
        return {}

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self._made_with = self.get_params()
        self.classes_ = np.unique(labels) if classes is None else np.unique(classes)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        labels = column_or_1d(y)[kept]
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise ValueError(f"y has labels that are not among classes: {unknown[:5]}.")
        return np.searchsorted(self.classes_, labels)

    def _head(self, size: int) -> Any:
        return heads["classifier"](size, len(self.classes_), pooling=self._pool())

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        return losses["cross-entropy"](reduction="none")(head.scores(features), np.array(targets)), weights


class SequenceRegressor(RegressorMixin, _Sequential):  # type: ignore[misc]
    """Numbers of each sequence. y: (samples,) or (samples, outputs), inside with mean 0 and variance 1."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch on these samples; the first call fixes vocabulary and scales."""
        return self._fit(X, y, sample_weight, 1, anew=not hasattr(self, "_model"))

    def predict(self, X: Any) -> Array:
        """The numbers of each sequence, (samples,) or (samples, outputs) as y had them."""
        found = np.concatenate([answer.numpy() for answer in self._answers(X)]) * self._spread + self._middle
        answer: Array = found[:, 0] if self._flat else found
        return answer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _y_options(self) -> dict[str, Any]:
        return {"multi_output": True, "y_numeric": True}

    def _numbers(self, y: Any) -> Array:
        dummy = np.zeros((len(y), 1))
        _, y = check_X_y(dummy, y, multi_output=True, y_numeric=True)
        y = np.asarray(y, np.float64)
        table: Array = y[:, None] if y.ndim == 1 else y
        return table

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        self._made_with = self.get_params()
        self._flat = np.ndim(y) == 1
        numbers, shares = self._numbers(y), weights[:, None]
        numbers = numbers[kept] if len(numbers) != len(weights) else numbers
        self._middle = (numbers * shares).sum(0) / shares.sum()
        spread = np.sqrt(((numbers - self._middle) ** 2 * shares).sum(0) / shares.sum())
        self._spread = np.where(spread > 0, spread, 1.0)

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        return (self._numbers(y)[kept] - self._middle) / self._spread

    def _head(self, size: int) -> Any:
        return heads["regressor"](size, len(self._middle), pooling=self._pool())

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        each = losses["squared-error"](reduction="none")(head.predict(features), np.array(targets))
        return each.mean(axis=-1), weights


class SequenceTagger(_Sequential):
    """A tag for each step of each sequence. y: one list of tags for each sample."""

    def predict(self, X: Any) -> list[list[Any]]:
        """A list of tags for each sequence."""
        return [self.classes_[ids.numpy()].tolist() for batch in self._answers(X) for ids in batch.to_list()]

    def score(self, X: Any, y: Any) -> float:
        """The share of steps that are tagged as in y."""
        pairs = [
            (a, b)
            for ours, theirs in zip(self.predict(X), y, strict=True)
            for a, b in zip(ours, theirs, strict=True)
        ]
        return float(np.mean([a == b for a, b in pairs]))

    def _y_options(self) -> dict[str, Any]:
        return {}

    def _learn_targets(self, y: Any, kept: Array, weights: Array, classes: Any) -> None:
        self._made_with = self.get_params()
        if wrong := [i for i, tags in enumerate(y) if isinstance(tags, str)]:
            raise ValueError(f"y has a list of tags for each sample, and that of {wrong[0]} is a string.")
        self.classes_ = np.unique([tag for tags in y for tag in tags])

    def _targets(self, y: Any, given: Given, kept: Array) -> Any:
        chosen = [np.asarray(list(y[i])) for i in kept]
        for i, (tags, sample) in enumerate(zip(chosen, given.samples, strict=True)):
            if len(tags) != len(sample):
                raise ValueError(
                    f"Sample {kept[i]} of X has {len(sample)} steps, and y has {len(tags)} tags."
                )
        return [np.searchsorted(self.classes_, tags) for tags in chosen]

    def _head(self, size: int) -> Any:
        return heads["tagger"](size, len(self.classes_))

    def _losses(self, head: Any, features: Any, targets: Any, xs: Any, weights: Array) -> Any:
        ids = Sequences.from_list(targets)
        shares = Sequences.from_list([np.full(len(t), w) for t, w in zip(targets, weights, strict=True)])
        each = losses["cross-entropy"](reduction="none")(head.projection(features), ids)
        return getattr(each, "data", each), shares.data.numpy()
