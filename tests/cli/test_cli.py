"""The command, run as a user runs it: what it prints, where, and with which exit code."""

import os
import re
import signal
import subprocess
import sys

import pytest

import tinyseq
from tinyseq.cli import demo, main
from tinyseq.cli.arguments import number, whole
from tinyseq.cli.console import duration, indented
from tinyseq.cli.language_model import Corpus, Settings
from tinyseq.errors import DataError

TEXT = "the cat sat on the mat. the dog sat on the log. " * 30
SMALL = ["--hidden", "8", "--embedding", "4", "--batch", "4", "--window", "16", "--epochs", "2"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def epochs_in(out):
    return re.findall(r"^epoch .*$", out, re.M)


def perplexities(out):
    return [float(p) for p in re.findall(r"perplexity (\d+\.\d\d)\b", out)]


def test_training_prints_one_aligned_line_per_epoch(command, text):
    code, out, err = command("train-lm", "--text", text, *SMALL)
    assert (code, err) == (0, "")
    lines = epochs_in(out)
    assert [line[:9] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert len({line.index("perplexity") for line in lines}) == 1
    first, second = perplexities(out)
    assert second < first
    assert "1,440 characters, 14 of them different" in out
    assert "lstm, 1 layer of 8: " in out
    assert "nowhere (no --save)" in out


@pytest.mark.parametrize(
    "options", [["--cell", "gru"], ["--cell", "rnn", "--layers", "2"], ["--valid-fraction", "0"]]
)
def test_cells_layers_and_validation_are_chosen_by_options(command, text, options):
    code, out, _ = command("train-lm", "--text", text, *SMALL, *options)
    assert code == 0
    assert ("valid" in epochs_in(out)[0]) == ("--valid-fraction" not in options)


def test_the_same_seed_is_the_same_run(command, text):
    runs = [command("train-lm", "--text", text, *SMALL, "--seed", seed)[1] for seed in (1, 1, 2)]
    assert perplexities(runs[0]) == perplexities(runs[1]) != perplexities(runs[2])


def test_a_run_goes_on_where_it_ended_and_equals_an_uninterrupted_one(command, text, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "deep" / "twice"
    _, whole, _ = command("train-lm", "--text", text, *SMALL, "--save", once)
    command("train-lm", "--text", text, *SMALL[:-1], 1, "--save", twice)
    code, out, err = command("train-lm", "--text", text, "--resume", "--epochs", 2, "--save", twice)
    assert (code, err) == (0, "")
    assert "goes on in epoch 2 after" in out
    assert perplexities(out) == perplexities(whole)[1:]
    assert (once / "model.safetensors").read_bytes() == (twice / "model.safetensors").read_bytes()
    code, out, _ = command("train-lm", "--text", text, "--resume", "--epochs", 2, "--save", twice)
    assert (code, epochs_in(out)) == (0, [])
    assert "All 2 epochs are done; --epochs 3 would train on." in out


def test_the_saved_model_writes(command, text, tmp_path):
    run = tmp_path / "run"
    _, out, _ = command("train-lm", "--text", text, *SMALL, "--save", run)
    assert f'tinyseq sample {run} --prompt "..."' in out
    sample = ["sample", run, "--prompt", "the ", "--length", 40, "--seed", 3]
    code, first, err = command(*sample)
    assert (code, err) == (0, "")
    assert first.startswith("the ")
    assert len(first) == 4 + 40 + 1
    assert set(first) <= {*TEXT, "\n"}
    assert command(*sample)[1] == first
    assert command(*sample, "--temperature", 2)[1] != first
    greedy = command(*sample, "--temperature", 0)[1]
    assert command(*sample, "--top-k", 1)[1] == greedy
    assert command("sample", run, "--length", 3)[0] == 0, "a default prompt"
    assert isinstance(tinyseq.load(run / "model.safetensors"), tinyseq.nn.SequenceModel)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.txt", None, r"There is no file .*missing\.txt"),
        ("empty.txt", b"", "is empty: there is nothing to learn from"),
        ("blank.txt", b" \n\n", "is empty"),
        ("binary.bin", b"\x7fELF\0\0\1", "is not text: it has a NUL byte"),
        ("latin1.txt", "café".encode("latin-1") * 9, "is not UTF-8: byte 0xe9 at offset 3"),
        ("short.txt", b"too short", "too few for 4 streams side by side, which need 5 in each part"),
        ("broken.gz", b"not gzip", "cannot be decompressed"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_sentence(refused, tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    sentence = refused("train-lm", "--text", path, *SMALL)
    assert re.search(message, sentence)
    assert "\n" not in sentence


def test_a_directory_and_a_huge_file_are_no_texts(refused, tmp_path):
    assert "is a directory" in refused("train-lm", "--text", tmp_path)
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no space
    assert "the most that is read into memory at once" in refused("train-lm", "--text", huge)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--hidden", "0", "argument --hidden: expected a whole number, 1 or more, not '0'"),
        ("--hidden", "2.5", "argument --hidden: expected a whole number, 1 or more, not '2.5'"),
        ("--epochs", "-1", "argument --epochs: expected a whole number"),
        ("--seed", "x", "argument --seed: expected a whole number, 0 or more, not 'x'"),
        ("--lr", "0", "argument --lr: expected a number above 0, not '0'"),
        ("--lr", "nan", "argument --lr: expected a number above 0, not 'nan'"),
        ("--clip", "inf", "argument --clip: expected a number above 0, not 'inf'"),
        ("--valid-fraction", "1", "expected a number at least 0 and below 1, not '1'"),
        ("--bogus", "1", "unrecognized arguments: --bogus 1"),
    ],
)
def test_a_bad_number_is_one_sentence(refused, text, option, value, message):
    sentence = refused("train-lm", "--text", text, option, value)
    assert message in sentence
    assert "--help)" in sentence
    assert "\n" not in sentence


def test_an_unknown_cell_gets_a_near_name(refused, text):
    sentence = refused("train-lm", "--text", text, "--cell", "lsmt")
    assert sentence.startswith("tinyseq: No cell named 'lsmt'. Did you mean 'lstm'")


def test_directories_that_cannot_be_used_are_refused_before_training(refused, text, tmp_path):
    assert "cannot hold checkpoints" in refused("train-lm", "--text", text, *SMALL, "--save", text)
    assert "--resume goes on with a saved run" in refused("train-lm", "--text", text, "--resume")
    nowhere = tmp_path / "nowhere"
    assert "There is no file" in refused("train-lm", "--text", text, "--resume", "--save", nowhere)
    assert "There is no model in" in refused("sample", nowhere)
    assert not nowhere.exists()


def test_a_saved_run_is_neither_overwritten_nor_mixed_with_another(command, refused, text, tmp_path):
    run = tmp_path / "run"
    command("train-lm", "--text", text, *SMALL, "--save", run)
    again = ["train-lm", "--text", text, "--save", run]
    assert "already holds a run: go on with it by --resume" in refused(*again)
    sentence = refused(*again, "--resume", "--hidden", 9)
    assert "has --hidden 8 and cannot go on with --hidden 9" in sentence
    other = tmp_path / "other.txt"
    other.write_text(TEXT + "more")
    sentence = refused("train-lm", "--text", other, "--save", run, "--resume")
    assert f"is not the text that the run in {run} was trained on ({text})" in sentence
    (run / "checkpoint.safetensors").write_bytes(b"\1\2\3")
    assert "cut short" in refused(*again, "--resume")


def test_a_prompt_of_unknown_characters_is_refused(command, refused, text, tmp_path):
    run = tmp_path / "run"
    command("train-lm", "--text", text, *SMALL, "--save", run)
    assert "never seen ('X' 'é'): leave them out" in refused("sample", run, "--prompt", "thé X")
    assert "--prompt is empty" in refused("sample", run, "--prompt", "")
    (run / "model.safetensors").unlink()
    assert "has finished no epoch" in refused("sample", run)


def test_help_and_version(command, refused):
    assert command("--version") == (0, f"tinyseq {tinyseq.__version__}\n", "")
    code, out, _ = command("--help")
    assert code == 0
    commands = [
        "demo",
        "run",
        "train-lm",
        "sample",
        "train",
        "check",
        "predict",
        "evaluate",
        "inspect",
        "report",
        "export",
        "replay",
        "sweep",
        "plugins",
        "devices",
    ]
    assert re.findall(r"^    (\S+) ", out, re.M) == commands
    for name in commands:
        assert command(name, "--help")[0] == 0
    assert "required: COMMAND" in refused()


def test_the_demo_learns_and_writes(command, monkeypatch):
    """A shorter text and fewer epochs; `.ci/run` runs the whole demo."""
    monkeypatch.setattr(demo, "demo_text", lambda: "The cat sat on the mat.\nThe dog sat on the log.\n" * 60)
    monkeypatch.setattr(demo, "EPOCHS", 3)
    code, out, err = command("demo")
    assert (code, err) == (0, "")
    assert len(epochs_in(out)) == 3
    assert perplexities(out) == sorted(perplexities(out), reverse=True)
    assert "\n  The " in out
    assert "tinyseq train-lm --text FILE" in out


def test_ctrl_c_says_how_to_resume_and_that_works(command, text, tmp_path):
    run = tmp_path / "run"
    arguments = [sys.executable, "-m", "tinyseq", "train-lm", "--text", str(text), *SMALL[:-1], "100"]
    with subprocess.Popen([*arguments, "--save", str(run)], stdout=-1, stderr=-1, text=True) as process:
        while not process.stdout.readline().startswith("epoch"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    said = re.fullmatch(
        r"\ntinyseq: stopped in epoch \d+ after \d+ steps; go on with: tinyseq (train-lm .*)\n", err
    )
    assert said, err
    epochs = int(re.search(r"epoch (\d+)", err)[1])
    resume = said[1].replace("--epochs 100", f"--epochs {epochs}").split()
    code, out, err = command(*resume)
    assert (code, err) == (0, "")
    assert len(epochs_in(out)) == 1


def test_a_reader_that_has_seen_enough_is_no_error(text, tmp_path):
    main(["train-lm", "--text", str(text), *SMALL, "--save", str(tmp_path / "run")])
    sample = [sys.executable, "-m", "tinyseq", "sample", str(tmp_path / "run"), "--length", "3000"]
    with subprocess.Popen(sample, stdout=-1, stderr=-1) as process:
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_output_that_the_terminal_cannot_show_is_no_error(text, tmp_path):
    text.write_text("näive café " * 300)
    main(["train-lm", "--text", str(text), *SMALL, "--save", str(tmp_path / "run")])
    sample = [sys.executable, "-m", "tinyseq", "sample", str(tmp_path / "run"), "--prompt", "é"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(sample, capture_output=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_corpus_is_cut_at_the_end():
    corpus = Corpus.cut("ab" * 50, Settings(batch=2, window=5, valid_fraction=0.1))
    assert (corpus.train.tokens, corpus.valid.tokens) == (88, 8)
    assert Corpus.cut("ab" * 50, Settings(batch=2, valid_fraction=0.0)).valid is None
    with pytest.raises(DataError, match="too few for 64 streams"):
        Corpus.cut("ab" * 50, Settings(batch=64))


def test_argument_types_accept_their_ends():
    assert whole(0)("0") == 0
    assert number(0, 1, low_allowed=True)("0") == 0.0
    assert number(0, 1, high_allowed=True)("1") == 1.0


def test_durations_and_wrapped_text():
    assert [duration(s) for s in (0.4, 59.6, 61, 3725)] == ["0 s", "1 min 00 s", "1 min 01 s", "1 h 02 min"]
    assert all(line.startswith("  ") and len(line) <= 100 for line in indented("word " * 80).splitlines())
