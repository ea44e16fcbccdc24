"""scikit-learn's own checks, of every estimator that they know."""

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.utils.estimator_checks import check_estimator

import tinyseq.sklearn

# The checks know one target for each sample, and the tagger's is a list.
CHECKED = sorted({name for name in vars(tinyseq.sklearn) if name.startswith("Sequence")} - {"SequenceTagger"})


@pytest.mark.filterwarnings(
    "ignore"
)  # the checks provoke them, and skip one for an array API that is not set
@pytest.mark.parametrize("name", CHECKED)
def test_scikit_learns_own_checks_pass(name):
    results = check_estimator(getattr(tinyseq.sklearn, name)(), on_fail="raise", on_skip=None)
    assert len(results) > 40
    others = {result["check_name"] for result in results if result["status"] != "passed"}
    assert others <= {"check_array_api_input"}
