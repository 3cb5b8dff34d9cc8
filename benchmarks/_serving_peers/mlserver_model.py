"""MLServer: a custom runtime, whose requests its adaptive batching puts together.

https://docs.seldon.ai/mlserver/user-guide/custom
"""

from __future__ import annotations

import asyncio

import numpy as np
from _model import Model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Classify(MLModel):
    async def load(self) -> bool:
        self.model = Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        # The event loop goes on taking requests meanwhile.
        answers = await asyncio.to_thread(self.model.predict, texts)
        labels = [[label] for label, _ in answers]
        odds = np.array([[probability] for _, probability in answers])
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                StringCodec.encode_output("label", [one for (one,) in labels], use_bytes=False),
                NumpyCodec.encode_output("probability", odds),
            ],
        )
