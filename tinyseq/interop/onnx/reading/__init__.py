"""ONNX graphs as Modules."""

from tinyseq.interop.onnx.reading.model import OnnxModel as OnnxModel
from tinyseq.interop.onnx.reading.model import from_onnx as from_onnx
