"""A run file of each task with labelled examples, on a few made ones."""

HEADS = {
    "tagging": 'class = "tagger"\ninput_size = 16\ntags = "data.tags"\nnames = "data.tag_names"\n'
    'scheme = "IOB2"\nloss = { class = "crf", tags = "data.tags" }\n',
    "classification": 'class = "classifier"\ninput_size = 16\nclasses = "data.classes"\n',
}


TASKS = list(HEADS)


def run_of(task, folder):
    """The run file of a task, beside its examples."""
    names, places = ("Ann", "Bob", "Eve"), ("Oslo", "Rome", "Lima")
    if task == "tagging":
        sentences = [
            [(who, "B-PER"), ("saw", "O"), (where, "B-LOC"), (".", "O")] for who in names for where in places
        ]
        data = "\n".join("".join(f"{w}\t{t}\n" for w, t in s) for s in sentences * 6)
        name, monitor = "data.conll", "span_f1"
    else:
        good, bad = ("good film", "fine, good play"), ("bad film", "dull, bad play")
        rows = [f'{i},"{t}",{y}' for i, (y, ts) in enumerate((("pos", good), ("neg", bad))) for t in ts * 20]
        data, name, monitor = "\n".join(["id,text,label", *rows]), "data.csv", "macro_f1"
    (folder / name).write_text(data, encoding="utf-8")
    file = folder / "run.toml"
    file.write_text(
        '[model.embed]\nclass = "embedding"\nnum_embeddings = "data.vocabulary_size"\nembedding_size = 8\n'
        '[model.encoder]\nclass = "recurrent"\ncell = { class = "gru", input_size = 8, hidden_size = 16 }\n'
        f'[model.head]\n{HEADS[task]}[data]\ntask = "{task}"\ntrain = "{name}"\nbatch = 4\n'
        f'[training]\nepochs = 8\nmonitor = "{monitor}"\ndirectory = "run"\n'
        'optimizer = { class = "adam", lr = 2e-2 }\n'
    )
    return file
