"""The head that puts each step of a sequence into a class."""

from collections.abc import Sequence
from typing import Any

from tinyseq import ops
from tinyseq.contracts import Head, Loss, Metric
from tinyseq.contracts.pairing import check_list
from tinyseq.engine import Tensor
from tinyseq.errors import ConfigError
from tinyseq.evaluation import Accuracy, SpanF1
from tinyseq.evaluation.schemes import Scheme, legal_moves
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.nn.layers import positionwise
from tinyseq.registry import losses


class Tagger(Head):
    """Scores for every tag from the features of each step: features @ W + b.

    `loss` is cross-entropy, each step by itself, unless another is given: a CRF lets neighbouring tags
    depend on each other, and decodes the likeliest path. With `names` of the tags and their `scheme` (IOB1,
    IOB2, IOBES, BILOU), the metrics count spans, and a CRF decodes only what the scheme allows. `init` fills
    W.
    """

    def __init__(
        self,
        input_size: int,
        tags: int,
        *,
        loss: Loss | None = None,
        names: Sequence[str] | None = None,
        scheme: Scheme | None = None,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        check_list(f"Tagger({input_size}, {tags})", "names", names)
        if names is not None and len(names) != tags:
            raise ConfigError(f"Tagger({input_size}, {tags}) has {tags} tags, but {len(names)} names.")
        if scheme is not None and names is None:
            raise ConfigError(
                f"Tagger: the scheme {scheme!r} says how to read names of tags: pass names as well."
            )
        self.input_size = input_size
        self.tags = tags
        self.names = None if names is None else tuple(names)
        self.scheme = scheme
        self.projection = Linear(input_size, tags, init=init)
        self.criterion: Any = loss if loss is not None else losses["cross-entropy"]()
        expected = getattr(self.criterion, "tags", tags)
        if expected != tags:
            raise ConfigError(
                f"Tagger({input_size}, {tags}) was given a {type(self.criterion).__name__} of {expected} "
                "tags."
            )
        self.metrics()  # names that the scheme does not have are refused now
        # Steps that are ignored stand between tags that are neighbours, so there anything may follow.
        whole = getattr(self.criterion, "ignore_index", None) is None
        if names is not None and scheme is not None and "O" in names and whole:
            constrain = getattr(self.criterion, "constrain", None)
            if constrain is not None:
                constrain(legal_moves(names, scheme))

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The loss of the tags `targets`, integers (steps,) for each sequence."""
        loss: Tensor = self.criterion(self.projection(features), targets)
        return loss

    def predict(self, features: Any) -> Any:
        """The likeliest tags, integers (steps,) for each sequence."""
        scores = self.projection(features)
        if hasattr(self.criterion, "decode"):
            return self.criterion.decode(scores)
        return positionwise(lambda s: ops.argmax(s, axis=-1), scores)

    def probabilities(self, features: Any) -> Any:
        """The probability of each tag at each step, (steps, tags) for each sequence."""
        scores = self.projection(features)
        if hasattr(self.criterion, "marginals"):
            return self.criterion.marginals(scores)
        return positionwise(ops.softmax, scores)

    def metrics(self) -> dict[str, Metric]:
        """Accuracy, and span F1 if tags have names and a scheme; without the tags that the loss ignores."""
        ignored = getattr(self.criterion, "ignore_index", None)
        found: dict[str, Metric] = {"accuracy": Accuracy(ignore_index=ignored)}
        if self.names is not None and self.scheme is not None:
            found["span_f1"] = SpanF1(self.names, scheme=self.scheme, ignore_index=ignored)
        return found
