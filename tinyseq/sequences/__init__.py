"""Batches of sequences of unequal length, without padding."""

from tinyseq.sequences.batch import Sequences as Sequences
from tinyseq.sequences.batch import concatenate_features as concatenate_features
from tinyseq.sequences.batch import in_callers_order as in_callers_order
from tinyseq.sequences.batch import in_packed_order as in_packed_order
from tinyseq.sequences.batch import like as like
from tinyseq.sequences.batch import packed as packed
from tinyseq.sequences.layout import Layout as Layout
from tinyseq.sequences.rows import RowMap as RowMap
from tinyseq.sequences.streaming import stream as stream
