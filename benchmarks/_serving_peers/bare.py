"""The runtime in a loop, with no server around it: the ceiling.

Says, as JSON: the median latency of single texts, texts a second one at a time, and texts a second
in batches of neighbours in length, the best size of batch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from _model import Model

SORTED = 512
"""Texts that are sorted by length before they are put into batches."""


def main(file: str, seconds: float) -> None:
    texts = json.loads(Path(file).read_bytes())
    model = Model()
    for text in texts[:50]:
        model.predict([text])
    taken = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        model.predict([texts[len(taken) % len(texts)]])
        taken.append(time.perf_counter() - started)
    rates = {1: len(taken) / sum(taken)}
    for size in (4, 8, 16, 32):
        rates[size] = in_batches(model, texts, size, seconds / 4)
    print(json.dumps({"p50_ms": statistics.median(taken) * 1e3, "rates": rates}))


def in_batches(model: Model, texts: list[str], size: int, seconds: float) -> float:
    ordered = sorted(texts[:SORTED], key=len)
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for batch in batches:  # to the end, where the long texts are
            model.predict(batch)
            done += len(batch)
    return done / (time.perf_counter() - started)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
