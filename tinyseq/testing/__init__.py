"""What tinyseq is tested with, for those who extend it."""

from tinyseq.testing.gradients import check_gradients as check_gradients
from tinyseq.testing.gradients import spread as spread
from tinyseq.testing.kit import check as check
from tinyseq.testing.kit import conformance as conformance
from tinyseq.testing.law import Law as Law
from tinyseq.testing.law import laws_of as laws_of
from tinyseq.testing.report import Outcome as Outcome
from tinyseq.testing.report import Report as Report
from tinyseq.testing.rules import check_rule as check_rule
