"""BentoML: adaptive batching as its guide has it; `bentoml serve` starts it.

https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html
"""

from __future__ import annotations

import bentoml
from _model import Model


@bentoml.service(workers=1, traffic={"timeout": 60}, metrics={"enabled": False})
class Classify:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=1000)
    def predict(self, texts: list[str]) -> list[dict]:
        return [{"label": label, "probability": p} for label, p in self.model.predict(texts)]
