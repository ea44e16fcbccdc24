"""A run file says what to train; all that is wrong with it is told at once, line by line."""

import re

import pytest
from registry_fuzz import RUN as GOOD
from registry_fuzz import rewrite

import tinyseq
from tinyseq.errors import DataError
from tinyseq.registry.run_file import MAX_BYTES, MAX_LINE, check, read


@pytest.fixture
def path(tmp_path):
    (tmp_path / "novel.txt").write_text("once")
    (tmp_path / "run.toml").write_text(GOOD)
    return tmp_path / "run.toml"


def mistakes(path, text):
    rewrite(path, text.encode())
    return [str(mistake) for mistake in check(path)]


def test_a_right_file_becomes_a_model_and_options(path):
    assert check(path) == []
    run = read(path)
    model = tinyseq.build(run.model_config(vocabulary_size=11))
    assert model.embed.num_embeddings == model.head.vocabulary_size == 11
    assert model.head.tied is model.embed
    optimizer = tinyseq.build(run.training.optimizer, parameters=model)
    assert optimizer.lr == 2e-3
    assert optimizer.groups[0]["betas"] == (0.9, 0.99)
    assert (run.data.text, run.data.window, run.data.batch) == ("novel.txt", 16, 32)
    assert (run.training.epochs, run.training.clip, run.training.patience) == (3, 1, None)


def test_only_the_model_must_be_said(path):
    assert mistakes(path, GOOD[: GOOD.index("[data]")]) == []
    assert read(path).training.optimizer == {"class": "adam"}
    assert mistakes(path, "") == ["line 1: There is no [model]."]


def test_checking_draws_no_random_number(path):
    tinyseq.seed(1)
    before = tinyseq.random.get_state()
    check(path)
    assert tinyseq.random.get_state() == before


def test_every_mistake_is_told_at_once_with_its_line(path):
    text = (
        GOOD.replace("embedding_size = 6", "embeding_size = 6")
        .replace("hidden_size = 5 }", "hidden_size = 0 }")
        .replace('"before"', '"befor"')
        .replace('class = "language-model"', 'class = "langage-model"')
        .replace("novel.txt", "novle.txt")
        .replace("window = 16", "windw = 16\nbatch = 0")
        .replace("[training]", "[extra]\n[training]\nseed = true\nvalid_fraction = 0.5")
        .replace("2e-3", "-2e-3")
    )
    found = mistakes(path, text)
    assert [re.sub(r" Its .*| The parts.*| or '[^']*'(?=\?)", "", mistake) for mistake in found] == [
        "line 2: model.embed: layer 'embedding' needs 'embedding_size'.",
        "line 5: model.embed.embeding_size: layer 'embedding' has no argument 'embeding_size'. Did you mean "
        "'embedding_size'?",
        "line 10: model.encoder.layers.0: cell 'lstm' cannot be made: LSTM(hidden_size=0): sizes are "
        "integers of 1 or more.",
        "line 11: model.encoder.layers.1.reset: cell 'gru' takes reset as 'before' or 'after', not 'befor'.",
        "line 15: model.head.class: No plugin named 'langage-model'. Did you mean 'language-model'? `tinyseq "
        "plugins` lists them all.",
        "line 21: data.text: names 'novle.txt', and there is no such file.",
        "line 22: data.windw: [data] has no option 'windw'. Did you mean 'window'?",
        "line 23: data.batch: must be 1 or more, not 0.",
        "line 25: extra: is no part of a run.",
        "line 27: training.seed: must be a whole number, not True.",
        "line 28: training.valid_fraction: [training] has no option 'valid_fraction'.",
        "line 31: training.optimizer: optimizer 'adamw' cannot be made: AdamW(lr=-0.002): it must be 0 or "
        "more.",
    ]
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).splitlines() == [f"{path}, {mistake}" for mistake in found]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"data.vocabulary_size"',
            '"data.size"',
            "line 4: model.embed.num_embeddings: 'data.size' is nothing",
        ),
        (
            "hidden_size = 6",
            "hidden_size = 7",
            "line 14: model.head: model 'sequence-model' cannot be made: SequenceModel: LanguageModelHead in "
            "the head takes 6 features, but is given 7: change one of the sizes.",
        ),
        (
            "input_size = 5",
            "input_size = 4",
            "line 7: model.encoder: layer 'deep' cannot be made: Deep: layer 1",
        ),
        ("window = 16", "window = 1.5", "line 22: data.window: must be a whole number, not 1.5"),
        ("window = 16", "valid_fraction = 1", "line 22: data.valid_fraction: must be at least 0 and below 1"),
        ("novel.txt", "\\u0000", "line 21: data.text: names '\\x00', and there is no such file"),
        ("epochs = 3", "epochs = nan", "line 25: training.epochs: must be a whole number, not nan"),
        ("clip = 1", "clip = nan", "line 26: training.clip: must be 0 or more, not nan"),
        ("2e-3", "1979-05-27", "line 27: training.optimizer.lr: datetime.date(1979, 5, 27) cannot be used"),
        ('"adamw"', '"lstm"', "line 27: training.optimizer.class: 'lstm' is a cell, not an optimizer."),
        (
            '"adamw"',
            '"admw"',
            "line 27: training.optimizer.class: No plugin named 'admw'. Did you mean 'adamw'",
        ),
        ("[data]", "[[data]]", "line 20: data: must be a table, [data], not ["),
        ("epochs = 3", "epochs = = 3", "line 25: is not TOML: Invalid value."),
        ("epochs = 3", "epochs = 3\nepochs = 3", "line 26: is not TOML: Cannot overwrite a value."),
        ("epochs = 3", 'epochs = """', "line 28: is not TOML: Unterminated string."),
        ("epochs = 3", "epochs = " + "9" * 4300 + "9", "line 25: has more than 1024 characters"),
    ],
)
def test_each_mistake_has_its_line(path, old, new, message):
    found = mistakes(path, GOOD.replace(old, new, 1))
    assert len(found) == 1
    assert found[0].startswith(message)


def test_a_model_must_be_one_that_can_be_trained(path):
    assert mistakes(path, "[model]\nclass = 'linear'\ninput_size = 1\noutput_size = 1") == [
        "line 2: model.class: a Linear has no loss(), so it cannot be trained."
    ]
    head = GOOD[GOOD.index("[model.head]") : GOOD.index("[data]")]
    linear = "[model.head]\nclass = 'linear'\ninput_size = 6\noutput_size = 9\n"
    assert mistakes(path, GOOD.replace(head, linear)) == [
        "line 15: model.head.class: a Linear is no head: it has no loss()."
    ]


def test_files_that_cannot_be_read_are_a_data_error(path, tmp_path):
    for content, message in (
        (b"\xff", "is not UTF-8 text: invalid start byte at offset 0"),
        (b"#" * (MAX_BYTES + 1), "more than 65,536 bytes: a run file describes data, it holds none"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            check(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        check(tmp_path / "none.toml")
    with pytest.raises(DataError, match="cannot be read"):
        check(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 1000,
        "a = " + "[\n" * 30_000,
        "a = " + "{a=" * 300,
        "\n".join(f"[a.{'b.' * 500}c{i}]" for i in range(60)),
        ".".join("a" * (MAX_LINE // 2)) + " = 1",
        "[model]\nclass = 'x'\nx = [" + "[" * 400 + "]" * 400 + "]",
        "a = " + ",".join(["9" * 900] * 9),
    ],
)
def test_deep_and_endless_files_are_refused_in_no_time(path, text):
    assert all(re.match(r"line \d+: ", mistake) for mistake in mistakes(path, text))
    assert mistakes(path, text)
