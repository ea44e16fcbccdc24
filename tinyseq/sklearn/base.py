"""A recurrence behind scikit-learn's `fit`: what its estimators share."""

import threading
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from tinyseq import random
from tinyseq.data import LengthBatches
from tinyseq.data.batches import examples_named
from tinyseq.engine import no_grad
from tinyseq.errors import NonFiniteError
from tinyseq.nn import Embedding, Linear, SequenceModel
from tinyseq.optim import Adam
from tinyseq.registry import cells, layers
from tinyseq.sklearn.inputs import Array, Given, Reader, read
from tinyseq.training import BatchLoss, Trainer

_ONE_AT_A_TIME = threading.Lock()  # threads of a joblib backend share one source of random numbers
ROWS = 256  # of a batch that is predicted


class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """What the estimators share. `learning_rate` is Adam's; "auto" batches hold up to 200 samples.

    `unit` takes texts apart, at "word"s or at "char"acters. Numbers are scaled by feature to mean 0 and
    variance 1. It computes in float64, so that a sample's weight means what its copies would.
    """

    _most = 200  # samples of an "auto" batch

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
            except Exception:
                if anew:  # a model that has learnt nothing must not answer
                    self.__dict__.pop("_model", None)
                    self.__dict__.pop("_optimizer", None)
                raise
            finally:
                random.set_state(before)
        return self

    def _train(self, given: Given, targets: Any, weights: Array, epochs: int, kept: Array) -> None:
        lengths = [len(sample) for sample in given.samples]
        size: Any = min(self._most, len(lengths)) if self.batch_size == "auto" else self.batch_size

        def collate(places: list[int]) -> Any:
            chosen = [targets[i] for i in places]
            return self._reader.sequences([given.samples[i] for i in places]), chosen, weights[places]

        batches = self._batches(
            targets, lengths, size, collate, length=lengths.__getitem__, numbers=kept.tolist()
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
        return BatchLoss((each * (weights / (total or 1.0))).sum(), total)

    def _batches(self, targets: Any, lengths: list[int], *options: Any, **more: Any) -> LengthBatches[int]:
        return LengthBatches(range(len(lengths)), *options, **more)

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

    def _answers(self, X: Any, method: str = "predict") -> list[Any]:
        """The answer of that method of the head for each batch, in order."""
        check_is_fitted(self)
        given, _ = read(self, X, first=False)
        self._reader.check(given)
        cuts = range(0, len(given.samples), ROWS)
        answers = []
        for start in cuts:
            samples = given.samples[start : start + ROWS]
            with (
                no_grad(),
                self._model.evaluating(),
                examples_named(range(start, start + len(samples)), "sample"),
            ):
                features = self._model(self._reader.sequences(samples))
                answers.append(getattr(self._model.head, method)(features))
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

    def _y_options(self) -> dict[str, Any]:
        return {}

    def _numbered(self, labels: Array) -> Array:
        """The place of each label among `classes_`."""
        if unknown := sorted(set(labels.tolist()) - set(self.classes_.tolist()), key=str):
            raise ValueError(f"y has labels that are not among classes: {unknown[:5]}.")
        places: Array = np.searchsorted(self.classes_, labels)
        return places

    def _pool(self) -> str:
        return "ends" if self.bidirectional else "last"
