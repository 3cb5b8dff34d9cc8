"""How long a cross-validation takes, and what being killed in the middle costs.

    python benchmarks/cross_validation.py                 # a probe on Banking77, 5 folds
    python benchmarks/cross_validation.py --kill          # killed after two folds, then resumed

The training rows of Banking77 (10,003) are folded; its test rows are not read. With --kill the
figures of the resumed one are compared with those of an undisturbed one.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _datasets import DATA

FILE = DATA / "banking77" / "train.csv"


def command(folder: Path, options: argparse.Namespace) -> list[str]:
    return [
        sys.executable, "-m", "tunesmith", "evaluate", "--cross-validate", str(options.folds),
        str(FILE), "--target", "category", "--method", "probe", "--output", str(folder), "--json",
        *(["--jobs", str(options.jobs)] if options.jobs else []),
    ]  # fmt: skip


def undisturbed(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    started = time.monotonic()
    done = subprocess.run(command(folder, options), check=True, capture_output=True, text=True)
    print(f"{time.monotonic() - started:.1f} s, {os.cpu_count()} cores")
    found: dict[str, object] = json.loads(done.stdout)
    print(found["headline"])
    return found


def killed(folder: Path, options: argparse.Namespace) -> dict[str, object]:
    process = subprocess.Popen(
        command(folder, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list(folder.glob("work/fold-*.safetensors"))) < 2:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    print("killed after two folds; once more:")
    return undisturbed(folder, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        first = undisturbed(Path(temporary) / "whole", options)
        if options.kill:
            second = killed(Path(temporary) / "killed", options)
            same = first["summary"] == second["summary"] and first["pooled"] == second["pooled"]
            print("the figures are the same" if same else "THE FIGURES DIFFER")


if __name__ == "__main__":
    main()
