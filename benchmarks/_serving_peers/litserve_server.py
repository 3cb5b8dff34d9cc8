"""LitServe: batches as its guide on batching has them; one worker, since a worker uses all cores.

https://lightning.ai/docs/litserve/features/batching
"""

from __future__ import annotations

import sys
from typing import Any

import litserve
from _model import Model


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - the library's
        self.model = Model()

    def decode_request(self, request):  # type: ignore[no-untyped-def] # FastAPI reads annotations
        return request["text"]

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, texts: list[str]) -> list[tuple[str, float]]:
        return self.model.predict(texts)

    def unbatch(self, output: list[tuple[str, float]]) -> list[tuple[str, float]]:
        return output

    def encode_response(self, output: tuple[str, float]) -> dict[str, Any]:
        return {"label": output[0], "probability": output[1]}


if __name__ == "__main__":
    api = Classify(max_batch_size=16, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
