"""The old place of tinyseq.decoding, until 0.3."""

import warnings

from tinyseq.decoding import prefix_search as prefix_search

warnings.warn("tinyseq_heads.prefixes is tinyseq.decoding now.", DeprecationWarning, stacklevel=2)
