"""The head that reads labels off a longer sequence, such as digits off a recording."""

from typing import Any

from tinyseq import ops
from tinyseq.contracts import Head, Metric
from tinyseq.contracts.pairing import check_id
from tinyseq.decoding import Hypothesis, prefix_search
from tinyseq.engine import Tensor, no_grad
from tinyseq.errors import NonFiniteError
from tinyseq.evaluation import ErrorRate, ExactMatch
from tinyseq.nn import Linear
from tinyseq.nn.init import Initializer
from tinyseq.registry import losses
from tinyseq.sequences import packed


class CTCHead(Head):
    """Scores for every class, `blank` among them, from the features of each step; trained by CTC.

    targets: the labels of each sequence, as Sequences or as a list of integer sequences, which may be empty.
    With `zero_infinity`, sequences too short for their labels cost nothing instead of raising. `init` fills
    the weights of the scores.
    """

    def __init__(
        self,
        input_size: int,
        classes: int,
        *,
        blank: int = 0,
        zero_infinity: bool = False,
        init: str | Initializer = "glorot_uniform",
    ) -> None:
        check_id(f"CTCHead({input_size}, {classes})", "blank", blank, classes)
        self.input_size = input_size
        self.classes = classes
        self.projection = Linear(input_size, classes, init=init)
        self.criterion: Any = losses["ctc"](blank=blank, zero_infinity=zero_infinity)

    def loss(self, features: Any, targets: Any) -> Tensor:
        """The CTC loss per label."""
        loss: Tensor = self.criterion(self.projection(features), targets)
        return loss

    def predict(self, features: Any) -> list[Any]:
        """The labels of each sequence, integers, which the likeliest path reads as."""
        labels: list[Any] = self.criterion.decode(self.projection(features))
        return labels

    def beam(self, features: Any, width: int) -> list[list[Hypothesis]]:
        """The likeliest labels of each sequence, best first; see `prefix_search`."""
        with no_grad():
            log_p = packed(self.projection(features)).map(ops.log_softmax).to_list()
        found, blank = [], self.criterion.blank
        for i, rows in enumerate(log_p):
            try:
                found.append(prefix_search(rows.numpy().astype("float64"), blank=blank, width=width))
            except NonFiniteError as error:
                raise NonFiniteError(f"Of sequence {i}: {error.args[0]}", *error.args[1:]).about(
                    i, len(log_p)
                ) from None
        return found

    def metrics(self) -> dict[str, Metric]:
        """The label error rate, and the share of sequences without any error."""
        return {"error_rate": ErrorRate(), "exact_match": ExactMatch()}
