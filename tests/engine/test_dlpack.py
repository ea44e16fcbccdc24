"""Arrays go to other libraries and come from them without a copy, and no gradient is lost on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyseq
from tinyseq import Tensor
from tinyseq.errors import DataError, GraphError, TraceError

dtypes = st.sampled_from(["float16", "float32", "float64", "int32", "int64", "uint8", "bool"])
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@given(array=arrays)
def test_there_and_back_is_the_same_memory(array: Any) -> None:
    tensor = Tensor(array)
    there = np.from_dlpack(tensor)
    back = tinyseq.from_dlpack(there)
    for found in (there, back.data):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        assert array.size == 0 or np.shares_memory(found, tensor.data)
    assert not back.requires_grad


@given(array=arrays, transposed=st.booleans())
def test_torch_shares_it(array: Any, transposed: bool) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
    tensor = Tensor(array.T if transposed else array)
    theirs = torch.from_dlpack(tensor)
    np.testing.assert_array_equal(theirs.numpy(), tensor.numpy())
    assert array.size == 0 or np.shares_memory(theirs.numpy(), tensor.data)
    ours = tinyseq.from_dlpack(theirs)
    assert array.size == 0 or np.shares_memory(ours.data, tensor.data)
    assert np.from_dlpack(ours).dtype == array.dtype


def test_a_gradient_is_not_lost_in_silence() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
    tensor = Tensor([1.0], requires_grad=True)
    for read in (np.from_dlpack, torch.from_dlpack, tinyseq.from_dlpack):
        for one in (tensor, tensor * 2, tinyseq.nn.Linear(2, 3).weight):
            with pytest.raises(GraphError, match=r"\.detach\(\)"):
                read(one)
    assert torch.from_dlpack(tensor.detach()).item() == 1
    with pytest.raises(GraphError, match=r"\.detach\(\)"):
        tinyseq.from_dlpack(torch.ones(2, requires_grad=True))


def test_what_cannot_be_shared_is_said() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install '.[test-peers]'")
    for wrong in ([1.0], 3, np.array([1j]), torch.ones(2, dtype=torch.bfloat16), torch.ones(2) * 1j):
        with pytest.raises(TypeError):
            tinyseq.from_dlpack(wrong)

    class Elsewhere:
        def __dlpack__(self) -> Any:
            raise AssertionError

        def __dlpack_device__(self) -> Any:
            return 10, 0  # ROCm

    with pytest.raises(DataError, match="device 10"):
        tinyseq.from_dlpack(Elsewhere())


def test_a_trace_has_no_memory_to_share() -> None:
    def step(x: Any, h: Any) -> Any:
        return np.from_dlpack(x), h

    xs = tinyseq.Sequences.from_list([[[1.0]]])
    with pytest.raises(TraceError):
        tinyseq.scan(step, xs, Tensor(np.zeros((1, 1), np.float32)))
