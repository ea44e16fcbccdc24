"""The old place of tinyseq.decoding, until 0.3."""

import warnings

from tinyseq.decoding import Hypothesis as Hypothesis
from tinyseq.decoding import beam_search as beam_search
from tinyseq.decoding import write as write

warnings.warn("tinyseq_heads.search is tinyseq.decoding now.", DeprecationWarning, stacklevel=2)
