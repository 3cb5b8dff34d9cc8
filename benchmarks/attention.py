"""One training step of MiniLM: fused or plain attention, autocast or a bfloat16 copy.

    python benchmarks/attention.py

Prints milliseconds a step, forward and backward, and useful GFLOP/s (6 × parameters × tokens), for
several batch shapes; variants are interleaved and medians taken. Behind the choice of
`tunesmith/bases/_classifier.py::_attention` and `tunesmith/training/_working_copy.py`.
"""

from __future__ import annotations

import statistics
import time

import torch

from tunesmith.bases import available_cores, find_base, matrix_rate, new_classifier

SHAPES = ((32, 12), (32, 24), (32, 64), (16, 128), (8, 256))
ROUNDS = 9


def main() -> None:
    torch.set_num_threads(available_cores())
    device = torch.device("cpu")
    rates = {name: matrix_rate(name, device, seconds=1.0) / 1e9 for name in ("fp32", "bf16")}
    print(f"{available_cores()} cores; matrix rates GFLOP/s: {rates}; torch {torch.__version__}")
    variants = {}
    for attention in ("sdpa", "eager"):
        for arithmetic in ("fp32", "autocast", "copy"):
            model = new_classifier(find_base("minilm").path, "mean", 77)
            model.backbone.set_attn_implementation(attention)
            model.freeze_unused(embeddings=True)
            variants[attention, arithmetic] = model.at("bf16" if arithmetic == "copy" else "fp32")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    for size, length in SHAPES:
        ids = torch.randint(1000, 20000, (size, length))
        targets = torch.randint(0, 77, (size,))
        times: dict = {variant: [] for variant in variants}
        for _ in range(ROUNDS):
            for variant, model in variants.items():
                start = time.perf_counter()
                step(model, ids, targets, autocast=variant[1] == "autocast")
                times[variant].append(time.perf_counter() - start)
        print(f"\nbatch {size}, {length} tokens")
        for variant, own in times.items():
            seconds = statistics.median(own[2:])
            rate = 6 * trained * size * length / seconds / 1e9
            print(
                f"  {' '.join(variant):16} {1e3 * seconds:7.1f} ms {rate:6.0f} GFLOP/s", flush=True
            )


def step(model: torch.nn.Module, ids: torch.Tensor, targets: torch.Tensor, *, autocast: bool):
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        scores = model({"input_ids": ids})
    torch.nn.functional.cross_entropy(scores.float(), targets).backward()
    model.zero_grad()


if __name__ == "__main__":
    main()
