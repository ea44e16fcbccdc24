"""What is wrong with a model before it is trained: it reads what it predicts, or cannot be saved."""

import warnings
from typing import Any

import numpy as np

from tinyseq import random
from tinyseq.engine import higher_order, no_grad
from tinyseq.errors import ConfigError, DataError, PluginError
from tinyseq.nn import SequenceModel
from tinyseq.registry import config
from tinyseq.sequences import Sequences

STEPS = 16


def warn_if_never_saved(model: Any) -> None:
    """Warn of a SequenceModel that can be trained, but has a part that no model file can hold."""
    if isinstance(model, SequenceModel):
        try:
            config(model)
        except (ConfigError, PluginError) as error:
            warnings.warn(
                f"The checkpoints of this model go on, but tinyseq.save will refuse it: {error}", stacklevel=5
            )


def refuse_sight_ahead(model: Any, batch: Any) -> None:
    """Raise ConfigError if features of a batch (inputs, targets) change with inputs that come after them.

    Layers may say that they see ahead (`sees_ahead`), and then are refused when the model is made; this finds
    out about those that do not say it. It is tried on the beginning of one sequence, without compiling.
    """
    if not (isinstance(model, SequenceModel) and getattr(model.head, "causal", False)):
        return
    inputs = batch[0] if isinstance(batch, tuple) else None
    if not isinstance(inputs, Sequences) or inputs.layout.steps < 2:
        return
    longest = inputs.layout.lengths.index(inputs.layout.steps)
    x = inputs.to_list()[longest].numpy()[:STEPS]
    half = len(x) // 2
    numbers = random.get_state()
    try:
        with no_grad(), higher_order(), model.evaluating():
            whole, part = (model(Sequences.from_list([steps])).data.numpy() for steps in (x, x[:half]))
    except DataError:  # the step itself says where in the batch that is
        return
    finally:
        random.set_state(numbers)
    if not np.allclose(whole[:half], part, rtol=1e-2, atol=1e-3 * float(np.abs(part).max(initial=0))):
        raise ConfigError(
            f"{type(model.head).__name__} predicts what comes next, but the features of the first {half} "
            f"steps change with those after them: {type(model.encoder).__name__}, or the embedding, reads "
            "what is to be predicted. Use layers that read forward only."
        )
