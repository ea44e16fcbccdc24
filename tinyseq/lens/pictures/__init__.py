"""Pictures of what the lens sees, one function each, as Matplotlib figures: needs the extra `plot`.

Scales of colours whose lightness only grows or only falls, and lines that differ in their dashes as well as
in the eight colours of Okabe and Ito, so that nothing is lost in grey or to the colour-blind.
"""

from tinyseq.lens.pictures.meaning import alignment as alignment
from tinyseq.lens.pictures.meaning import vectors as vectors
from tinyseq.lens.pictures.steps import gates as gates
from tinyseq.lens.pictures.steps import gradients as gradients
from tinyseq.lens.pictures.training import confusion as confusion
from tinyseq.lens.pictures.training import losses as losses
