"""What `tunesmith optimize` finds for a bundle on this machine, as a table.

    python benchmarks/optimize.py BUNDLE [--data FILE] [--rounds 9]

Every candidate is measured in turn with the same texts, threads and tokeniser; medians count.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tunesmith import recipes
from tunesmith.bases import available_cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = recipes.optimize(
            given.bundle, output=Path(folder) / "new", data=given.data, rounds=given.rounds
        )
    print(f"{available_cores()} cores; kept: {found.chosen}\n")
    print(
        "| runtime | MB | ms a text (p95) | texts/s | × | agreement | gap | batch | points | gate |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, speed in found.speed.items():
        size = f"{found.sizes[name] / 1e6:.1f}" if name in found.sizes else ""
        cells = [name, size, f"{speed.latency_ms:.2f} ({speed.latency_p95_ms:.2f})"]
        cells += [f"{speed.texts_per_s:,.0f}", f"{speed.gain(found.speed[found.reference]):.2f}"]
        if (own := found.parity.get(name)) is not None:
            change = "" if own.change is None else f"{100 * own.change.value:+.2f}"
            cells += [f"{own.agreement:.2%}", f"{own.largest_difference:.3f}"]
            cells += [f"{own.batch_difference:.4f}", change, "; ".join(own.refused_for) or "passed"]
        print("| " + " | ".join(cells) + " |")
    for name, reason in found.reasons.items():
        print(f"\n{name}: {reason}")


if __name__ == "__main__":
    main()
