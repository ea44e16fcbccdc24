"""What PyTorch exports as ONNX is read as PyTorch computes it: outputs, and gradients of what goes in."""

import io
import warnings
from typing import Any

import numpy as np
import pytest

from tinyseq import Tensor
from tinyseq.interop import from_onnx

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
pytest.importorskip("onnx", reason="needs onnx: pip install '.[test-onnx]'")

INPUT, HIDDEN = 3, 4


class Packed(torch.nn.Module):  # type: ignore[misc]
    """A recurrence over sequences of unequal length, and what usually stands around it."""

    def __init__(self, recurrence: Any) -> None:
        super().__init__()
        width = HIDDEN * (2 if recurrence.bidirectional else 1)
        self.recurrence, self.norm = recurrence, torch.nn.LayerNorm(width)
        self.dropout, self.linear = torch.nn.Dropout(0.5), torch.nn.Linear(width, 5)

    def forward(self, x: Any, lengths: Any) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        ys, state = self.recurrence(packed)
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, batch_first=True)
        scores = self.linear(self.norm(self.dropout(ys)))
        last = state[0] if isinstance(state, tuple) else state
        return torch.log_softmax(scores, -1), torch.nn.functional.elu(scores).amax(1), last


def exported(module: Any, *inputs: Any) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is old; it is the one that needs nothing else
        torch.onnx.export(
            module, inputs, file,
            dynamo=False, input_names=["x", "lengths"], output_names=["log_p", "most", "last"],
            dynamic_axes={"x": {0: "batch", 1: "time"}, "lengths": {0: "batch"}},
        )  # fmt: skip
    return file.getvalue()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_recurrences_of_unequal_lengths(kind: str, depth: int, both: bool) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    recurrence = getattr(torch.nn, kind)(INPUT, HIDDEN, depth, bidirectional=both, batch_first=True)
    module = Packed(recurrence).eval()
    read = from_onnx(exported(module, torch.zeros(2, 4, INPUT), torch.tensor([4, 2])))
    for lengths in ([5, 2, 5], [1, 3]):  # another batch than the one it was exported with
        x = rng.normal(size=(len(lengths), max(lengths), INPUT)).astype("float32")
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        found = list(read(x=ours, lengths=np.array(lengths)).values())
        wanted = module(theirs, torch.tensor(lengths))
        loss, peer = Tensor(0.0), torch.zeros(())
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one.numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-6)
            cotangent = rng.normal(size=one.shape).astype("float32")
            loss, peer = (
                loss + (one * Tensor(cotangent)).sum(),
                peer + (other * torch.tensor(cotangent)).sum(),
            )
        loss.backward()
        peer.backward()
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-4, atol=1e-5)  # type: ignore[union-attr]


class Around(torch.nn.Module):  # type: ignore[misc]
    """What the newer exporter has nodes of its own for."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(9, INPUT)
        self.recurrence = getattr(torch.nn, kind)(INPUT, HIDDEN, bidirectional=True, batch_first=True)
        self.norm, self.slope = torch.nn.BatchNorm1d(2 * HIDDEN), torch.nn.PReLU()
        self.norm.running_mean.uniform_()

    def forward(self, x: Any) -> Any:
        ys, _ = self.recurrence(self.embed(x))
        ys = torch.nn.functional.gelu(ys) + torch.nn.functional.mish(ys) + self.slope(ys).floor()
        summed = torch.einsum("bti,btj->bij", ys, torch.nn.functional.pad(ys, (0, 0, 1, 0))[:, 1:])
        return self.norm(summed.mean(1)), torch.remainder(ys, 0.3).repeat(1, 2, 1)


def test_a_graph_of_the_newer_exporter() -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install '.[test-peers]'")
    torch.manual_seed(0)
    module, file = Around("LSTM").eval(), io.BytesIO()
    lengths = {0: torch.export.Dim("batch", max=99), 1: torch.export.Dim("time", max=99)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.ones(2, 6, dtype=torch.int64)
        torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=(lengths,), verbose=False
        ).save(file)  # fmt: skip
    read = from_onnx(file.getvalue())
    for shape in ((3, 8), (1, 2)):
        x = np.random.default_rng(0).integers(0, 9, shape)
        wanted = module(torch.tensor(x))
        for one, other in zip(read(x).values(), wanted, strict=True):
            np.testing.assert_allclose(one.numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-5)
