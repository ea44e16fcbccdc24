"""A run that a TOML file describes, checked and trained by the command."""

import re
import signal
import subprocess
import sys

import tinyseq


def change(file, old, new):
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def perplexities(out):
    return [float(p) for p in re.findall(r"perplexity (\d+\.\d\d)\b", out)]


def test_every_mistake_is_listed_with_its_line_and_none_is_said_too(command, file):
    assert command("check", file) == (0, f"{file}: no mistakes\n", "")
    change(file, "hidden_size = 8", "hidden = 8")
    change(file, "text.txt", "txt.txt")
    change(file, "epochs = 2", "epochs = 0")
    code, out, err = command("check", file)
    assert (code, err) == (2, "")
    lines = out.splitlines()
    assert [re.match(rf"{re.escape(str(file))}, (line \d+: [\w.]+):", line)[1] for line in lines] == [
        "line 8: model.encoder.cell.hidden",
        "line 8: model.encoder.cell",
        "line 16: data.text",
        "line 21: training.epochs",
    ]
    assert not (file.parent / "run").exists()


def test_training_tells_the_same_mistakes_and_begins_nothing(refused, file):
    change(file, "hidden_size = 8", "hidden = 8")
    assert f"{file}, line 8: model.encoder.cell.hidden: cell 'gru' has no argument" in refused("train", file)
    assert not (file.parent / "run").exists()
    assert "cannot be read: No such file" in refused("check", file.parent / "none.toml")


def test_a_run_file_trains_saves_and_writes(command, file):
    code, out, err = command("train", file)
    assert (code, err) == (0, "")
    first, second = perplexities(out)
    assert second < first
    directory = file.parent / "run"
    assert "1,440 characters, 14 of them different" in out
    assert f"saved in   {directory}" in out
    model = tinyseq.load(directory / "model.safetensors")
    assert type(model.encoder.cell) is tinyseq.cells["gru"]
    assert command("sample", directory, "--length", 9, "--seed", 1)[0] == 0


def test_it_is_the_run_that_train_lm_makes_of_the_same_options(command, file):
    sizes = ["--hidden", 8, "--embedding", 4, "--batch", 4, "--window", 16]
    options = [*sizes, "--epochs", 2, "--lr", "2e-3", "--cell", "gru"]
    other = file.parent / "other"
    _, theirs, _ = command("train-lm", "--text", file.parent / "text.txt", "--save", other, *options)
    _, ours, _ = command("train", file)
    assert perplexities(ours) == perplexities(theirs)
    one, two = (tinyseq.load(d / "model.safetensors").state_dict() for d in (other, file.parent / "run"))
    assert all((one[name] == two[name]).all() for name in one)


def test_a_run_goes_on_for_longer_and_equals_an_uninterrupted_one(command, refused, file):
    change(file, "epochs = 2", "epochs = 1")
    command("train", file)
    assert "already holds a run: go on with it by --resume" in refused("train", file)
    change(file, "epochs = 1", "epochs = 2")
    code, out, _ = command("train", file, "--resume")
    assert code == 0
    assert "goes on in epoch 2 after" in out
    model = (file.parent / "run" / "model.safetensors").read_bytes()
    code, out, _ = command("train", file, "--resume")
    assert f"All 2 epochs are done; epochs = 3 in {file} would train on." in out
    change(file, '"run"', '"whole"')
    command("train", file)
    assert (file.parent / "whole" / "model.safetensors").read_bytes() == model


def test_another_run_than_the_saved_one_does_not_go_on(command, refused, file):
    command("train", file)
    run, text = file.read_text(), file.parent / "text.txt"
    change(file, "hidden_size = 8", "hidden_size = 9")
    change(file, "input_size = 8", "input_size = 9")
    change(file, "window = 16", "window = 8")
    assert "has changed in [model] and [data] since the run in" in refused("train", file, "--resume")
    file.write_text(run)
    text.write_text(text.read_text()[1:])
    assert "text.txt is not the text that the run in" in refused("train", file, "--resume")
    change(file, 'directory = "run"', "")
    assert "name its directory in" in refused("train", file, "--resume")
    small = ["--hidden", 2, "--batch", 2, "--epochs", 1]
    command("train-lm", "--text", text, "--save", file.parent / "lm", *small)
    file.write_text(run.replace('"run"', '"lm"'))
    assert "another program than tinyseq train." in refused("train", file, "--resume")
    assert "than tinyseq train-lm." in refused(
        "train-lm", "--text", text, "--save", file.parent / "run", "--resume"
    )


def test_a_model_without_a_state_reads_each_window_by_itself(command, file):
    change(file, 'class = "recurrent"', 'class = "linear"')
    change(
        file, 'cell = { class = "gru", input_size = 4, hidden_size = 8 }', "input_size = 4\noutput_size = 8"
    )
    code, out, err = command("train", file)
    assert (code, err) == (0, "")
    assert len(perplexities(out)) == 2


def test_without_a_text_it_reads_pythons_own_prose(command, file, monkeypatch):
    text = (file.parent / "text.txt").read_text()
    monkeypatch.setattr("tinyseq.cli.train.demo_text", lambda: text)
    change(file, 'text = "text.txt"', "")
    change(file, 'directory = "run"', "patience = 1")
    code, out, _ = command("train", file)
    assert code == 0
    assert "the prose in Python's own documentation: 1,440 characters" in out
    assert "nowhere (no training.directory)" in out


def test_ctrl_c_says_how_to_go_on(file):
    change(file, "epochs = 2", "epochs = 500")
    arguments = [sys.executable, "-m", "tinyseq", "train", str(file)]
    with subprocess.Popen(arguments, stdout=-1, stderr=-1, text=True) as process:
        while not process.stdout.readline().startswith("epoch"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.endswith(f"; go on with: tinyseq train {file} --resume\n")
