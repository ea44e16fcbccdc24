"""Floor 4: metrics, carried as sums and counts."""

from tinyseq.evaluation.tokens import Accuracy as Accuracy
from tinyseq.evaluation.tokens import Perplexity as Perplexity
