"""`tunesmith check --no-model` on ten million rows: seconds and memory.

    python benchmarks/ten_million.py --peer-python PEER/bin/python     # about 1 GB of csv, minutes
    python benchmarks/ten_million.py --rows 1000000
    taskset -c 1 python benchmarks/ten_million.py …      # one core

PEER is a virtual environment with pandas and pyarrow in it; it does one of the 24 things that are
checked: `read_csv` and `drop_duplicates`. Without --peer-python only our side runs.

The file: texts of 12 to 15 words out of 20,000, 20 labels, an identifier, a date; of the texts 3 %
are exact copies of an earlier one, 3 % are copies with one word changed, 0.1 % are missing and
0.1 % say "N/A". What is found of the copies is printed.

Memory is that of the child process, read from /proc every tenth of a second. RssAnon is what the
process needs. The rest of VmRSS is pages of files that it has mapped, libraries and the table on
the disk, which the kernel takes back when another process wants the room.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

ROWS_AT_ONCE = 200_000
LABELS = [f"topic_{n:02}" for n in range(20)]
PEER = """
import sys, pandas
frame = pandas.read_csv(sys.argv[1])
print(len(frame) - len(frame.drop_duplicates(["text", "label"])))
"""


def write(file: Path, num_rows: int, seed: int) -> dict[str, int]:
    """Writes the csv file; how many flaws were planted, by kind."""
    generator = np.random.default_rng(seed)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype="S1")
    words = pa.array(
        sorted({
            b"".join(generator.choice(letters, generator.integers(2, 9))).decode()
            for _ in range(22_000)
        })[:20_000]
    )  # fmt: skip
    planted = dict.fromkeys(("copies", "near", "missing", "placeholders"), 0)
    with pa.csv.CSVWriter(
        str(file),
        pa.schema([(name, pa.string()) for name in ("ticket", "day", "text", "label")]),
        write_options=pa.csv.WriteOptions(quoting_style="needed"),
    ) as writer:
        for start in range(0, num_rows, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, num_rows - start)
            writer.write_batch(_rows(generator, words, start, count, planted))
    return planted


def _rows(
    generator: np.random.Generator, words: pa.Array, start: int, count: int, planted: dict[str, int]
) -> pa.RecordBatch:
    sizes = generator.integers(12, 16, count)
    labels = generator.integers(0, len(LABELS), count)
    kind = generator.random(count)
    copies = np.flatnonzero(kind < 0.06)
    sources = generator.choice(np.flatnonzero(kind > 0.1), len(copies))
    sizes[copies], labels[copies] = sizes[sources], labels[sources]
    begins = np.concatenate([[0], np.cumsum(sizes)])
    chosen = generator.zipf(1.3, int(begins[-1])) * 7919 % len(words)
    for place, source in zip(copies.tolist(), sources.tolist(), strict=True):
        own = slice(begins[place], begins[place + 1])
        chosen[own] = chosen[begins[source] : begins[source + 1]]
        if kind[place] < 0.03:
            chosen[generator.integers(own.start, own.stop)] = generator.integers(len(words))
    ends = pa.array(begins.astype(np.int32))
    texts = pc.binary_join(pa.ListArray.from_arrays(ends, words.take(pa.array(chosen))), " ")
    missing, unsaid = (kind >= 0.06) & (kind < 0.061), (kind >= 0.061) & (kind < 0.062)
    planted["near"] += int((kind < 0.03).sum())
    planted["copies"] += int(((kind >= 0.03) & (kind < 0.06)).sum())
    texts = pc.if_else(pa.array(missing), None, pc.if_else(pa.array(unsaid), "N/A", texts))
    planted["missing"] += int(missing.sum())
    planted["placeholders"] += int(unsaid.sum())
    days = np.datetime64("2015-01-01") + generator.integers(0, 3650, count)
    numbers = pa.array(np.arange(start, start + count)).cast(pa.string())
    columns = [
        pc.binary_join_element_wise("T-", numbers, ""),
        pa.array(days.astype("datetime64[D]")).cast(pa.string()),
        texts,
        pa.array(LABELS).take(pa.array(labels)),
    ]
    return pa.record_batch(columns, names=["ticket", "day", "text", "label"])


def measured(command: list[str]) -> tuple[str, str]:
    """What a child process printed, and its seconds and highest memory as a sentence."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    highest = {"VmRSS": 0, "RssAnon": 0}
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output)
        while child.poll() is None:
            for name, size in _memory(child.pid).items():
                highest[name] = max(highest[name], size)
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        if child.returncode:
            raise SystemExit(f"{command[:4]} failed with {child.returncode}")
        output.seek(0)
        told = output.read().decode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return told, (
        f"{busy:.0f} s of processor time, {seconds:.0f} s in all; highest memory "
        f"{highest['VmRSS'] / 1e6:.2f} GB, {highest['RssAnon'] / 1e6:.2f} GB of it anonymous"
    )


def _memory(process: int) -> dict[str, int]:
    """VmRSS and RssAnon in kB; nothing of a process that has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = dict(line.split(":", 1) for line in lines)
    return {k: int(fields[k].split()[0]) for k in ("VmRSS", "RssAnon") if k in fields}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, help="keep the file here, or take it from here")
    parser.add_argument("--peer-python", help="a Python that has pandas and pyarrow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.file or Path(folder) / "rows.csv"
        if not file.exists():
            planted = write(file, arguments.rows, arguments.seed)
            size_gb = file.stat().st_size / 1e9
            print(f"{arguments.rows:,} rows, {size_gb:.2f} GB; planted: {planted}")
        check = ["check", str(file), "--target", "label", "--no-model", "--json"]
        told, figures = measured([sys.executable, "-m", "tunesmith", *check])
        for one in json.loads(told)["findings"]:
            print(f"  {one['check']}: {one['num_rows']:,} rows, {len(one['groups']):,} groups")
        print(f"tunesmith check: {figures}; {len(told) / 1e6:.0f} MB of JSON", flush=True)
        if arguments.peer_python:
            told, figures = measured([arguments.peer_python, "-c", PEER, str(file)])
            print(f"pandas, read_csv and drop_duplicates: {figures}; {int(told):,} copies")


if __name__ == "__main__":
    main()
