"""The bundle's graph behind the peers: the same file, tokenizer, threads and options as ours.

Needs onnxruntime, tokenizers and numpy alone, since each peer has an environment of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer


class Model:
    """Texts to (label, probability) by `runtimes/onnx-int8/model.onnx` of $BENCH_BUNDLE."""

    def __init__(self) -> None:
        bundle = Path(os.environ["BENCH_BUNDLE"])
        manifest = json.loads((bundle / "manifest.json").read_bytes())
        self.labels = manifest["task"]["labels"]
        self._tokenizer = Tokenizer.from_file(str(bundle / "model" / "tokenizer.json"))
        self._tokenizer.enable_truncation(manifest["base"]["max_length"])
        pad = json.loads((bundle / "model" / "tokenizer_config.json").read_bytes())["pad_token"]
        self._tokenizer.enable_padding(pad_id=self._tokenizer.token_to_id(pad), pad_token=pad)
        options = ort.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = ort.InferenceSession(
            str(bundle / "runtimes" / "onnx-int8" / "model.onnx"),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._names = [one.name for one in self._session.get_inputs()]

    def predict(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """One batch, in the order given."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        arrays = {
            "input_ids": np.array([one.ids for one in encodings], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in encodings], dtype=np.int64),
            "token_type_ids": np.array([one.type_ids for one in encodings], dtype=np.int64),
        }
        (scores,) = self._session.run(["scores"], {name: arrays[name] for name in self._names})
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        best = odds.argmax(axis=1)
        return [(self.labels[i], float(row[i])) for i, row in zip(best, odds, strict=True)]
