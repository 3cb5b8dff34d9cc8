"""A small runtime that keeps the contract without a model: words are hashed and added up."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tunesmith.runtimes import Runtime
from tunesmith.serving import LOOPBACK_HOSTS, Guards, Limits, create_app
from tunesmith.serving.security import Access
from tunesmith.tasks import (
    Calibration,
    Conformal,
    Field,
    MultiLabelClassification,
    Scope,
    Selective,
    Task,
    TextClassification,
)
from tunesmith.types import Inputs, Outputs, Prediction

LABELS = ("billing", "delivery", "praise", "refund")
ONE_LABEL = TextClassification((Field("text"),), LABELS)
ASSURED = replace(
    ONE_LABEL,
    calibration=Calibration("temperature", (2.0,)),
    selective=Selective(((0.9, 0.6),), 0.95, 200),
    conformal=Conformal("lac", ((0.8, (0.5,)), (0.9, (0.8,))), 200),
    scope=Scope("energy", 1.5, 0.95),
)
MANY_LABELS = MultiLabelClassification((Field("text"),), LABELS)
PAIRS = TextClassification((Field("question"), Field("answer")), LABELS)


@dataclass(frozen=True)
class HashTokens:
    """Inputs, and how many words each has."""

    inputs: list[Inputs]
    lengths: np.ndarray
    full_lengths: np.ndarray


@dataclass
class HashRuntime:
    """Scores the sum of its words' hashed weights; a word is a token.

    Attributes:
        batches: what each call of `run` was given.
        gate: where set, each call waits until it opens.
        lanes: how many calls may go side by side.
        beside: of each call of `run`, whether it was told to.
        fault: where set, `run` raises it.
    """

    task: Task = ONE_LABEL
    max_length: int = 16
    name: str = "hash-fp32"
    version: str = "0123456789ab"
    embedding_size: int | None = 3
    batches: list[list[Inputs]] = field(default_factory=list)
    gate: threading.Event | None = None
    fault: Exception | None = None
    started: threading.Event = field(default_factory=threading.Event)
    running: int = 0
    most_running: int = 0
    lanes: int = 1
    lanes_open: bool = False
    beside: list[bool] = field(default_factory=list)

    def tokens(self, inputs: Inputs) -> list[str]:
        return [
            f"{place}:{word}" for place, text in enumerate(inputs) for word in str(text).split()
        ]

    def outputs(self, inputs: Sequence[Inputs]) -> Outputs:
        tokens = self.tokenize(inputs)
        return self.run([(tokens, place) for place in range(len(inputs))])

    def tokenize(self, inputs: Sequence[Inputs]) -> HashTokens:
        counts = np.array([len(self.tokens(one)) for one in inputs], dtype=np.int64)
        return HashTokens(list(inputs), np.minimum(counts, self.max_length), counts)

    def open_lanes(self) -> int:
        self.lanes_open = True
        return self.lanes

    def close_lanes(self) -> None:
        self.lanes_open = False

    def run(self, rows: Sequence[tuple[HashTokens, int]], *, beside: bool = False) -> Outputs:
        inputs = [tokens.inputs[place] for tokens, place in rows]
        assert self.lanes_open or not beside
        self.beside.append(beside)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.started.set()
            if self.gate is not None:
                assert self.gate.wait(20)
            if self.fault is not None:
                raise self.fault
            self.batches.append(list(inputs))
            return self.scored(inputs)
        finally:
            self.running -= 1

    def scored(self, inputs: Sequence[Inputs]) -> Outputs:
        scores = np.zeros((len(inputs), len(self.task.labels)), dtype=np.float32)
        for row, one in enumerate(inputs):
            for token in self.tokens(one)[: self.max_length]:
                for column in range(scores.shape[1]):
                    hashed = zlib.crc32(f"{column}/{token}".encode())
                    scores[row, column] += hashed / 2**31 - 1.0
        return Outputs(scores=scores, states=self.states(inputs))

    def states(self, inputs: Sequence[Inputs]) -> np.ndarray | None:
        """The same of other hashes; a vector of -2 to 2 a token."""
        if self.embedding_size is None:
            return None
        states = np.zeros((len(inputs), self.embedding_size), dtype=np.float32)
        for row, one in enumerate(inputs):
            for token in self.tokens(one)[: self.max_length]:
                for column in range(self.embedding_size):
                    states[row, column] += zlib.crc32(f"s{column}/{token}".encode()) / 2**30 - 2.0
        return states

    def count_tokens(self, inputs: Sequence[Inputs]) -> list[int]:
        return [len(self.tokens(one)) for one in inputs]

    def predict(self, items: Sequence[object]) -> list[Prediction]:
        return self.task.decode(self.scored([self.task.read(item) for item in items]))


TEST_HOSTS = (*LOOPBACK_HOSTS, "testserver")


def make_app(
    runtime: Runtime,
    limits: Limits | None = None,
    *,
    access: Access | None = None,
    allowed_hosts: Collection[str] | None = TEST_HOSTS,
    trusted_proxies: tuple[str, ...] = (),
    log_texts: bool = False,
    **changes: object,
) -> FastAPI:
    """The app as the tests' client reaches it, by the name "testserver"; it wants no key."""
    guards = Guards(access, allowed_hosts, trusted_proxies, limits or Limits(), log_texts)
    settings = {"name": "Tickets", **changes}
    return create_app(runtime, guards=guards, **settings)  # type: ignore[arg-type]


def wait_until_ready(client: TestClient) -> None:
    for _ in range(3_000):
        if client.get("/readyz").status_code == 200:
            return
        threading.Event().wait(0.01)
    raise AssertionError("never ready")
