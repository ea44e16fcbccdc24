"""Requests a second of a saved model behind the WSGI application of docs/many-processes.md.

    python -m tests.benchmarks.serving [--json FILE]

Clients are threads that wait for each answer; what answers is a classifier, LSTM of 128, on texts of 5 to 40
words, one request at a time or those together that wait.
"""

import argparse
import json
import re
import threading
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

import tinyseq
from tests.benchmarks import timing
from tinyseq.nn import Embedding, SequenceModel
from tinyseq.tasks import Classification, Predictor

PAGE = Path(__file__).parents[2] / "docs" / "many-processes.md"
SECONDS = 4.0


def page_code() -> dict[str, Any]:
    """What the page defines for serving."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    scope: dict[str, Any] = {"tinyseq": tinyseq}
    exec(next(block for block in blocks if "class Together" in block), scope)
    return scope


def requests_a_second(serve: Any, texts: list[str], clients: int) -> float:
    """Answers to all clients together."""
    counts = [0] * clients
    end = time.perf_counter() + SECONDS

    def ask(client: int) -> None:
        i = client
        while time.perf_counter() < end:
            body = texts[i % len(texts)].encode()
            environ = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
            serve(environ, lambda status, headers: None)
            counts[client] += 1
            i += clients

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def main() -> None:
    """Measure for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    words = np.array([f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(600)])
    texts = [" ".join(rng.choice(words, int(rng.integers(5, 41)))) for _ in range(500)]
    task = Classification.of([(text.split(), str(i % 4)) for i, text in enumerate(texts)], [])
    tinyseq.seed(0)
    encoder = tinyseq.Recurrent(tinyseq.cells["lstm"](128, 128))
    embed = Embedding(task.told()["vocabulary_size"], 128)
    predict = Predictor(SequenceModel(embed, encoder, tinyseq.heads["classifier"](128, 4)), task).predict
    for size in (1, 8, 64):
        predict(texts[:size])  # compiled
    code, rows = page_code(), []
    for clients in (1, 8, 64):
        row = {"clients": clients}
        for most in (1, 64):
            serve = code["application"](code["Together"](predict, most=most))
            row[f"batches of {most} at most"] = round(requests_a_second(serve, texts, clients))
        rows.append(row)
        print(json.dumps(row), flush=True)
    timing.write(args.json, rows)


if __name__ == "__main__":
    main()
