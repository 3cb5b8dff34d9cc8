"""Which of several models is written: a teacher, or a student that passed its gate."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tunesmith.bundles import Bundle
from tunesmith.errors import ConfigError
from tunesmith.optimization import Speed, Tolerances, choose, measure_speed
from tunesmith.recipes._candidates import CANDIDATES, Candidate, Candidates, build_candidates
from tunesmith.recipes._listener import Listener
from tunesmith.recipes._parity import Comparison, TeacherAnswers, compare, texts_to_measure
from tunesmith.runtimes import REFERENCE, Runtime
from tunesmith.types import Dataset, Inputs

__all__ = ["Measuring", "Tried", "check_names", "fastest_model", "require_one"]


@dataclass(frozen=True, slots=True)
class Measuring:
    """What every model's runtimes are compared on, and how.

    Attributes:
        rows: answers are compared on these.
        calibration: ranges of activations are found on these.
        rounds: how often speed is measured.
    """

    rows: Dataset
    calibration: Sequence[Inputs]
    tolerances: Tolerances
    device: Literal["cpu", "gpu"]
    latency_ms: float | None
    rounds: int
    listener: Listener

    def try_all(
        self,
        bundle: Bundle,
        folder: Path,
        *,
        keep: Sequence[str] = (),
        teacher: TeacherAnswers | None = None,
    ) -> Tried:
        """Builds and compares a model's runtimes; see `compare`.

        Args:
            keep: names of runtimes that there must be.

        Raises:
            ConfigError: one of them could not be built.
        """
        found = build_candidates(bundle, folder, self.calibration, self.device, self.listener)
        _check_keep(keep, found)
        comparison = compare(
            bundle, found, self.rows, self.tolerances, self.device, self.rounds, self.listener,
            teacher=teacher,
        )  # fmt: skip
        passed = {
            name: speed
            for name, speed in comparison.speed.items()
            if name == REFERENCE or comparison.parity[name].verified
        }
        return Tried(bundle, found, comparison, passed, choose(passed, REFERENCE, self.latency_ms))


@dataclass(frozen=True, slots=True)
class Tried:
    """A model's runtimes.

    Attributes:
        passed: the speed of those that passed the gate, and of the reference.
        order: of these, those within the latency that is asked for, the best first.
    """

    bundle: Bundle
    found: Candidates
    comparison: Comparison
    passed: Mapping[str, Speed]
    order: Sequence[str]

    def open_best(self, device: Literal["cpu", "gpu"]) -> Runtime:
        named = {own.name: own for own in self.found.built}
        best = named.get(self.order[0], Candidate(REFERENCE, "torch", "fp32"))
        return best.open(self.bundle, self.found.tokenizer, device)


def require_one(tried: Mapping[str, Tried], latency_ms: float | None) -> None:
    """Sees to it that some runtime of some model is fast enough.

    Raises:
        ConfigError: none is; says which comes nearest.
    """
    if latency_ms is None or any(own.order for own in tried.values()):
        return
    times = {
        (model, name): speed.latency_p95_ms
        for model, own in tried.items()
        for name, speed in own.passed.items()
    }
    model, name = min(times, key=lambda pair: times[pair])
    of_model = f" of the {model}" if len(tried) > 1 else ""
    raise ConfigError(
        f"nothing that gives the model's answers is within {latency_ms:g} ms: the quickest, "
        f"{name}{of_model}, takes {times[model, name]:.1f} ms",
        where="--latency-ms",
        mend="allow more, or train on a smaller base",
    )


def fastest_model(tried: Mapping[str, Tried], measuring: Measuring) -> tuple[str, dict[str, Speed]]:
    """The model to write, and the speed of each one's best runtime, measured in turn.

    Of students the fastest is taken, and none that is not faster than the teacher in every round:
    it would cost answers for nothing.

    Args:
        tried: name → the model's runtimes; the first one is the teacher.
    """
    teacher, *_ = tried
    rivals = {name: own for name, own in tried.items() if own.order}
    if len(tried) == 1:
        return teacher, {}
    opened = {name: own.open_best(measuring.device) for name, own in rivals.items()}
    measuring.listener.stage("measuring teacher and students", measuring.rounds)
    speeds = measure_speed(
        {name: runtime.outputs for name, runtime in opened.items()},
        *texts_to_measure(next(iter(opened.values())), list(measuring.rows.inputs)),
        rounds=measuring.rounds,
        on_round=lambda: measuring.listener.advance(1),
    )
    if teacher not in speeds:
        return max(speeds, key=lambda name: speeds[name].texts_per_s), speeds
    known = speeds[teacher]
    faster = [
        name
        for name in speeds
        if name != teacher and speeds[name].differs(known) and speeds[name].gain(known) > 1
    ]
    key = speeds.__getitem__
    if measuring.latency_ms is not None:
        best = max(faster, key=lambda name: key(name).texts_per_s, default=teacher)
    else:
        best = max(faster, key=lambda name: key(name).gain(known), default=teacher)
    return best, speeds


def check_names(keep: Sequence[str]) -> None:
    """Whether candidates of these names exist at all, before anything is built.

    Raises:
        ConfigError: one does not.
    """
    for name in keep:
        if name not in CANDIDATES:
            near = difflib.get_close_matches(name, CANDIDATES, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"there is no candidate {name!r}",
                where="--keep",
                mend=f"{meant}there are {', '.join(CANDIDATES)}",
            )


def _check_keep(keep: Sequence[str], found: Candidates) -> None:
    names = [own.name for own in found.built]
    unknown = [name for name in keep if name not in names]
    if unknown:
        reason = found.reasons.get(unknown[0])
        raise ConfigError(
            f"there is no candidate {unknown[0]!r}" + (f": {reason}" if reason else ""),
            where="--keep",
            mend=f"there are {', '.join(names)}",
        )
