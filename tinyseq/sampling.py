"""The old place of tinyseq.decoding, until 0.3."""

import warnings

from tinyseq.decoding import choose as choose
from tinyseq.decoding import generate as generate

warnings.warn("tinyseq.sampling is tinyseq.decoding now.", DeprecationWarning, stacklevel=2)
