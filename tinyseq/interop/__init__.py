"""Exchange with others: weights of PyTorch and Keras, models for other programs."""

from tinyseq.interop.onnx import from_onnx as from_onnx
from tinyseq.interop.onnx import to_onnx as to_onnx
from tinyseq.interop.standalone import to_python as to_python
