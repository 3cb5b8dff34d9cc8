"""FastAPI and `transformers.pipeline`, as most tutorials have it: torch in float32, no batches.

The weights are the bundle's base under a head of their own: the speed is the same, and the labels
are of no matter here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
folder = str(Path(os.environ["BENCH_BUNDLE"]) / "model")
classify = pipeline("text-classification", model=folder, tokenizer=folder, device="cpu")


class Item(BaseModel):
    text: str


@app.post("/predict")
def predict(item: Item) -> dict:
    return classify(item.text, truncation=True)[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
