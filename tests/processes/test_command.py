"""`tinyseq train` under mpirun: one voice, one directory, the numbers of one process."""

import re

import numpy as np
import pytest


@pytest.fixture(scope="module")
def alone(play, tmp_path_factory):
    return play("pipes", 1, tmp_path_factory.mktemp("alone"), ["trained"])["trained"][0]


@pytest.fixture(scope="module")
def found(play, tmp_path_factory):
    scenarios = ["trained", "mistaken", "different", "other"]
    return {name: play("pipes", 2, tmp_path_factory.mktemp(name), [name])[name] for name in scenarios}


def figures(line):
    """The losses and the perplexity of an epoch, without its times."""
    return re.findall(r"(?:train|valid|perplexity) [\d.]+", line)


def test_one_process_speaks_for_all(alone, found):
    first, *_ = found["trained"][0]
    assert first[0] == 0
    assert "processes   rank 0 (process " in first[1]
    assert first[1].count("epoch 1/2") == 1
    shown = [
        [line for line in text.splitlines() if line.startswith("epoch")] for text in (first[1], alone[0][1])
    ]
    assert len(figures(shown[0][0])) == 3
    for line, other in zip(*shown, strict=True):
        assert figures(line) == figures(other)
    for code, out, err in found["trained"][1][:3]:
        assert (out, err) == ("", "")
        assert code in (0, 2)


def test_a_directory_that_is_taken_is_refused_in_one_sentence(found):
    assert [ends[1][0] for ends in found["trained"]] == [2, 2]
    assert "already holds a run: go on with it by --resume" in found["trained"][0][1][2]


def test_a_run_that_went_on_has_the_weights_of_one_process(alone, found):
    assert [ends[2][0] for ends in found["trained"]] == [0, 0]
    assert "goes on in epoch 3" in found["trained"][0][2][1]
    for name, values in alone[3].items():
        np.testing.assert_allclose(found["trained"][0][3][name], values, rtol=1e-4, atol=1e-5)


def test_a_mistake_of_one_process_is_said_by_it_with_its_name(found):
    (code, out, err), (other_code, other_out, other_err) = found["mistaken"]
    assert (code, out, err) == (2, "", "")
    assert (other_code, other_out) == (2, "")
    assert other_err.startswith("tinyseq: rank 1 (process ")
    assert "line 23: training.optimizer.lr: optimizer 'adam' takes lr as" in other_err


def test_other_options_are_refused_before_anything_is_trained(found):
    (code, out, err), (other_code, _, other_err) = found["different"]
    assert (code, other_code, other_err) == (2, 2, "")
    assert "epoch" not in out
    assert "does not train what rank 0 (process" in err
    assert "optimizer.0.lr is 0.003 there and 0.002 here" in err


def test_other_commands_have_work_for_one_process_only(found):
    assert [code for code, _, _ in found["other"]] == [2, 2]
    assert "only tinyseq train has work for them" in found["other"][0][2]
