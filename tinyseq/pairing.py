"""The old place of tinyseq.contracts.pairing, until 0.3."""

import warnings

from tinyseq.contracts.pairing import beside as beside
from tinyseq.contracts.pairing import check_classes as check_classes
from tinyseq.contracts.pairing import check_count as check_count
from tinyseq.contracts.pairing import check_id as check_id
from tinyseq.contracts.pairing import check_ignored as check_ignored
from tinyseq.contracts.pairing import check_list as check_list
from tinyseq.contracts.pairing import check_reduction as check_reduction
from tinyseq.contracts.pairing import is_whole as is_whole
from tinyseq.contracts.pairing import of_other_lengths as of_other_lengths
from tinyseq.contracts.pairing import paired as paired
from tinyseq.contracts.pairing import reduced as reduced

warnings.warn("tinyseq.pairing is tinyseq.contracts.pairing now.", DeprecationWarning, stacklevel=2)
