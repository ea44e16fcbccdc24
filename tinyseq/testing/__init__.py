"""Floor 6: what tinyseq is tested with, for those who extend it."""

from tinyseq.testing.gradients import check_gradients as check_gradients
