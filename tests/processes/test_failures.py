"""A failure in one process ends all of them, and says whose it is."""

import pytest

FAILURES = {  # the error of rank 0 and of rank 1, of two
    "data_fail_in_one": ("rank 1 (process ", "OSError: the disk is gone"),
    "nan_in_one": ("NonFiniteError: The gradient norm (of rank 1 (process ", "NonFiniteError: The gradient"),
    "nan_loss_in_one": (
        "stopped: NonFiniteError: The loss is nan",
        "NonFiniteError: The loss is nan in epoch 1",
    ),
    "other_option": ("ConfigError: rank 1 (process ", "optimizer.0.lr is 0.1 there and 0.2 here; give all"),
    "other_weights": ("weights is ", "begin every process with the same tinyseq.seed(n)"),
    "other_version": ("tinyseq is 0.1 there and 0.0 here", "tinyseq is 0.1 there and 0.0 here"),
    "other_batches": ("ProcessError: rank 1 was given another batch than rank 0", "sequences would be lost"),
    "weights_come_apart": ("ProcessError: After epoch 1, rank 1 has other weights", "After epoch 1, rank 1"),
    "validation_fails_in_one": ("ProcessError: rank 1 (process ", "DataError: CrossEntropy: the target 4"),
    "rows_compared": (
        "ConfigError: The loss of a batch is not that of its sequences one by one",
        "ConfigError",
    ),
}


@pytest.fixture(scope="module", params=["pipes", "mpi"])
def failures(request, play, tmp_path_factory):
    return play(request.param, 2, tmp_path_factory.mktemp("failures"), list(FAILURES))


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_in_one_process_ends_all_and_names_it(failures, name):
    for said, wanted in zip(failures[name], FAILURES[name], strict=True):
        assert wanted in said
