"""See inside: the values of any cell's step, gradients through time, what an answer rests on, pictures."""

from tinyseq.lens.trace import Trace as Trace
from tinyseq.lens.trace import trace as trace
