"""See inside: the values of any cell's step, gradients through time, what an answer rests on, pictures."""

from tinyseq.lens import pictures as pictures
from tinyseq.lens.grounds import attention as attention
from tinyseq.lens.grounds import saliency as saliency
from tinyseq.lens.through_time import GradientThroughTime as GradientThroughTime
from tinyseq.lens.through_time import gradient_through_time as gradient_through_time
from tinyseq.lens.trace import Trace as Trace
from tinyseq.lens.trace import trace as trace
from tinyseq.lens.vectors import flat as flat
from tinyseq.lens.vectors import nearest as nearest
