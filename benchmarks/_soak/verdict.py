"""What the samples of a soak say: is memory flat, is nothing left behind, was all answered."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

NUM_BLOCKS = 9
SETTLED = 0.25
"""The first quarter is left out: caches and allocators fill."""
GROWTH_MB_H = 5.0
"""What memory may grow by in an hour, at most, for it to be called flat."""
_FEWEST_ALIKE = 10


RECOVERY_S = 150.0
"""After it was stopped from outside: what waited is worked off, and the next swap frees memory."""
_STILL_CORES = 0.004


def stops(samples: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """When the server stood still, begin and end: all of it was stopped (SIGSTOP), or the machine.

    A shared machine does that to a long run, for the sake of other people's measurements. Whoever
    asks meanwhile waits in vain, which says nothing of the server.
    """
    found: list[tuple[float, float]] = []
    for before, after in pairwise(samples):
        seconds = after["at_s"] - before["at_s"]
        if (after["cpu_s"] - before["cpu_s"]) / seconds <= _STILL_CORES:
            begin = found.pop()[0] if found and found[-1][1] == before["at_s"] else before["at_s"]
            found.append((begin, after["at_s"]))
    return found


def disturbed(at_s: float, stopped: list[tuple[float, float]]) -> bool:
    """Whether a moment lies in a stop or in the recovery from it."""
    return any(begin - 15 <= at_s <= end + RECOVERY_S for begin, end in stopped)


def slope(samples: list[dict[str, Any]], name: str) -> tuple[float, float, float]:
    """Growth an hour with its 95 % interval, over the last three quarters.

    Samples in a row are alike, and a line through all of them would be far too sure. So the line
    goes through the means of nine blocks (of 5 minutes in an hour: one round of all deployments),
    and the interval is Student's. Samples of stops and of the recovery from them are left out.

    Like is compared with like: one version or two, with or without lanes, have each a number of
    threads of their own, and count from the median of such samples. Else a deployment that has
    found lanes to gain something would be growth.
    """
    stopped = stops(samples)
    end = samples[-1]["at_s"]
    settled = [row for row in samples if row["at_s"] >= SETTLED * end]
    calm = [row for row in settled if not disturbed(row["at_s"], stopped)]
    num_alike = Counter(row["threads"] for row in calm)
    own = [row for row in calm if num_alike[row["threads"]] >= _FEWEST_ALIKE]
    if not own:
        return math.nan, -math.inf, math.inf
    at = np.array([row["at_s"] for row in own]) / 3600
    values = np.array([row[name] for row in own], dtype=float)
    threads = np.array([row["threads"] for row in own])
    for num in np.unique(threads):
        values[threads == num] -= np.median(values[threads == num])
    edges = np.linspace(at[0], at[-1] + 1e-9, NUM_BLOCKS + 1)
    block = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, NUM_BLOCKS - 1)
    used = [number for number in range(NUM_BLOCKS) if (block == number).any()]
    if len(used) < 3:
        return math.nan, -math.inf, math.inf
    x = [at[block == number].mean() for number in used]
    y = [values[block == number].mean() for number in used]
    line = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(used) - 2) * line.stderr
    return float(line.slope), float(line.slope - half), float(line.slope + half)


def verdict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of a run, and whether they are what they should be."""
    samples = [row for row in rows if row["event"] == "sample"]
    quiet = {row["when"]: row for row in rows if row["event"] == "quiet"}
    counts = next(row["counts"] for row in rows if row["event"] == "counts")
    stopped = stops(samples)
    every = [row for row in rows if row["event"] == "wrong"]
    calm = [row for row in every if not disturbed(row["at_s"], stopped)]
    # 503 with Retry-After is what a server should say that is asked more than the machine can do.
    wrong = [row for row in calm if row["status"] != 503]
    refused = [row for row in calm if row["status"] == 503]
    swaps = Counter(
        row["ok"] or disturbed(row["at_s"], stopped) for row in rows if row["event"] == "swap"
    )
    growth = {name: slope(samples, name) for name in ("rss_mb", "pss_mb", "descriptors")}
    left = {
        name: quiet["after"][name] - quiet["before"][name]
        for name in ("descriptors", "sockets", "threads")
    }
    return {
        "event": "verdict",
        "seconds": samples[-1]["at_s"],
        "requests": sum(row["num"] for row in counts),
        "growth_an_hour": growth,
        "left_behind": left,
        "stopped_s": sum(end - begin for begin, end in stopped),
        "wrong_while_stopped": len(every) - len(calm),
        "refused_by_protocol": dict(Counter(row["protocol"] for row in refused)),
        "wrong_by_protocol": dict(Counter(row["protocol"] for row in wrong)),
        "server_faults": sum((row["status"] or 0) >= 500 for row in every if row["status"] != 503),
        "swaps": {"right": swaps[True], "wrong": swaps[False]},
        "cores_used": (samples[-1]["cpu_s"] - samples[0]["cpu_s"]) / samples[-1]["at_s"],
        "flat": bool(growth["rss_mb"][0] <= GROWTH_MB_H),
        "no_descriptors_left": left["descriptors"] <= 0,
        "all_answered": not wrong and not swaps[False],
    }


def tell(found: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The verdict as lines for people."""
    samples = [row for row in rows if row["event"] == "sample"]
    counts = next(row["counts"] for row in rows if row["event"] == "counts")
    settled = next(row for row in samples if row["at_s"] >= SETTLED * samples[-1]["at_s"])
    minutes = found["seconds"] / 60
    swaps, cores, requests = found["swaps"]["right"], found["cores_used"], found["requests"]
    lines = [
        f"{requests:,} requests, {swaps} deployments, {minutes:.0f} min, {cores:.2f} cores",
        "",
        "| | at start | a quarter on | at end | growth an hour (95 %) |",
        "|---|---|---|---|---|",
    ]
    for name, said in (("rss_mb", "RSS, MB"), ("pss_mb", "PSS, MB"), ("descriptors", "open")):
        own, low, high = found["growth_an_hour"][name]
        lines.append(
            f"| {said} | {samples[0][name]:.0f} | {settled[name]:.0f} | {samples[-1][name]:.0f} "
            f"| {own:+.1f} ({low:+.1f} to {high:+.1f}) |"
        )
    for name, more in found["left_behind"].items():
        lines.append(f"- {name} after all clients left, against before they came: {more:+d}")
    if found["stopped_s"]:
        lines.append(
            f"- stopped from outside for {found['stopped_s']:.0f} s; then, or within "
            f"{RECOVERY_S:.0f} s after, {found['wrong_while_stopped']:,} requests failed, which "
            "are not counted below"
        )
    lines.append(f"- 5xx other than 503 overloaded, in all: {found['server_faults']}")
    wrong, refused = found["wrong_by_protocol"], found["refused_by_protocol"]
    lines += ["", "| protocol | answers | 503 overloaded | not as expected |", "|---|---|---|---|"]
    for family in dict.fromkeys(row["protocol"] for row in counts):
        own = Counter[str]()
        for row in counts:
            if row["protocol"] == family:
                own[row["outcome"]] += row["num"]
        own.pop("unexpected", None)
        said = ", ".join(f"{outcome}: {num:,}" for outcome, num in own.most_common())
        bad = f"{refused.get(family, 0):,} | {wrong.get(family, 0):,}"
        lines.append(f"| {family} | {said} | {bad} |")
    for name in ("flat", "no_descriptors_left", "all_answered"):
        lines.append(f"- {name.replace('_', ' ')}: {'yes' if found[name] else 'NO'}")
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Memory, descriptors and threads over time; deployments as lines, stops in grey."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    samples = [row for row in rows if row["event"] == "sample"]
    minutes = [row["at_s"] / 60 for row in samples]
    figure, (memory, number) = pyplot.subplots(2, 1, figsize=(7, 4.5), sharex=True)
    for name, said in (("rss_mb", "RSS"), ("pss_mb", "PSS")):
        memory.plot(minutes, [row[name] for row in samples], label=said, linewidth=1)
    for row in rows:
        if row["event"] == "swap":
            memory.axvline(row["at_s"] / 60, color="0.9", linewidth=0.8, zorder=0)
    memory.set(ylabel="MB", ylim=(0, None))
    memory.legend(loc="lower right", frameon=False)
    for begin, end in stops(samples):
        for plot in (memory, number):
            plot.axvspan(begin / 60, end / 60, color="0.8", linewidth=0)
    for name in ("descriptors", "sockets", "threads"):
        number.plot(minutes, [row[name] for row in samples], label=name, linewidth=1)
    number.set(ylabel="open", xlabel="minutes", ylim=(0, None))
    number.legend(loc="lower right", frameon=False, ncols=3)
    figure.tight_layout()
    figure.savefig(file)
