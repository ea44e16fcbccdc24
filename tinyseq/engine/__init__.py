"""Tensors, the tape, and derivatives of any order."""

from tinyseq.engine.dlpack import from_dlpack as from_dlpack
from tinyseq.engine.functional import checkpoint as checkpoint
from tinyseq.engine.functional import jvp as jvp
from tinyseq.engine.functional import vjp as vjp
from tinyseq.engine.sweep import grad as grad
from tinyseq.engine.sweep import sweep as sweep
from tinyseq.engine.tape import detect_anomaly as detect_anomaly
from tinyseq.engine.tape import enable_grad as enable_grad
from tinyseq.engine.tape import higher_order as higher_order
from tinyseq.engine.tape import is_grad_enabled as is_grad_enabled
from tinyseq.engine.tape import no_grad as no_grad
from tinyseq.engine.tape import primitive as primitive
from tinyseq.engine.tensor import Leaf as Leaf
from tinyseq.engine.tensor import Node as Node
from tinyseq.engine.tensor import Tensor as Tensor
from tinyseq.engine.tensor import make_tensor as make_tensor
