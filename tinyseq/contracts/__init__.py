"""What a plugin has to provide, a base class for each kind, and checks of what losses and heads are given."""

from tinyseq.contracts.bases import Cell as Cell
from tinyseq.contracts.bases import Head as Head
from tinyseq.contracts.bases import Layer as Layer
from tinyseq.contracts.bases import Loss as Loss
from tinyseq.contracts.bases import Metric as Metric
from tinyseq.contracts.bases import Reduction as Reduction
from tinyseq.contracts.bases import count_targets as count_targets
