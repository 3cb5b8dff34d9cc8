"""Sides that train in turns: each a process of its own, of which one works at a time.

A shared machine is now fast, now slow. Sides that take turns of some seconds see the same of it, so
that the ratio of their rates holds though the rates do not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


class Pace:
    """In a side's process: trains when told to, and counts the time of its steps alone.

    Attributes:
        seconds: of training so far, without waiting and judging.
        steps: so far.
    """

    def __init__(self, turn_s: float, before_turn: Callable[[], None] | None = None) -> None:
        self.seconds, self.steps = 0.0, 0
        self._turn_s = turn_s
        self._before_turn = before_turn
        self._answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print

    def wait(self) -> None:
        """Sleeps until it is this side's turn."""
        sys.stdin.readline()
        if self._before_turn is not None:
            self._before_turn()
        self._turn = (0, 0.0)
        self.go_on()

    def go_on(self) -> None:
        """Training begins, or goes on after judging."""
        self._since = time.perf_counter()

    def step(self) -> None:
        """A step is done; where the turn is over, waits for the next."""
        now = time.perf_counter()
        steps, seconds = self._turn
        self._turn = (steps + 1, seconds + now - self._since)
        self.seconds += now - self._since
        self.steps += 1
        self._since = now
        if self._turn[1] >= self._turn_s:
            self.say({"event": "turn", "steps": self._turn[0], "seconds": self._turn[1]})
            self.wait()

    def say(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()


class Side:
    """In the benchmark's process: one side, its turns and the figures that it was judged at."""

    def __init__(self, name: str, arguments: Sequence[str], python: str = sys.executable) -> None:
        self.name = name
        self.turns: list[dict[str, float]] = []
        self.points: list[tuple[float, float]] = []
        self.facts: dict[str, Any] = {}
        self.ended = False
        self._process = subprocess.Popen(
            [python, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listen("ready")

    def turn(self) -> None:
        """Lets the side train for a turn, or to its end."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._listen("turn")

    @property
    def rate(self) -> float:
        """Steps a second over all turns."""
        return sum(one["steps"] for one in self.turns) / sum(one["seconds"] for one in self.turns)

    def _listen(self, until: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            print(self.name, line.strip(), file=sys.stderr)
            event = message.pop("event")
            if event == "turn":
                self.turns.append(message)
            elif event == "judged":
                self.points.append((message["seconds"], message["metric"]))
            elif event == "facts":
                self.facts |= message
            if event == until:
                return
        self.ended = True
        if self._process.wait() != 0:
            raise SystemExit(f"{self.name} failed")
