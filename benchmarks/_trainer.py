"""The peer of train_speed.py: Hugging Face's Trainer, plain or at its best."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from typing import Any

import numpy as np

EPOCHS = 8


def train(
    base: str,
    rows: list[list[tuple[str, Any]]],
    labels: list[str],
    *,
    multi_label: bool,
    best: bool,
    bf16: bool,
    wanted: float,
    judge: Any,
    limit_s: float,
    threads: int,
) -> dict[str, Any]:
    """Trains on rows[0] and judges on rows[1] after each epoch, to the wanted figure or the limit.

    Plain is what most people run: a new head on [CLS], dynamic padding, fp32, AdamW, rate 1e-4 with
    linear decay, batches of 32. Best adds the Trainer's own means: batches of like length, fused
    AdamW, and bf16 where the machine is faster with it.
    """
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.set_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    sets = [
        [
            {**tokenizer(text, truncation=True, max_length=256), "labels": target(own, labels)}
            for text, own in part
        ]
        for part in rows
    ]
    kind = "multi_label_classification" if multi_label else "single_label_classification"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(labels), problem_type=kind
    )
    clock = Clock(limit_s, wanted, judge, sets[1])
    extra = {"train_sampling_strategy": "group_by_length", "optim": "adamw_torch_fused"}
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=folder, per_device_train_batch_size=32, learning_rate=1e-4,
                num_train_epochs=EPOCHS, report_to=[], save_strategy="no", use_cpu=True,
                logging_strategy="no", disable_tqdm=True, per_device_eval_batch_size=64,
                bf16=best and bf16, **(extra if best else {"optim": "adamw_torch"}),
            ),
            train_dataset=sets[0],
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
            callbacks=[clock.callback()],
        )  # fmt: skip
        clock.trainer = trainer
        trainer.train()
    return {
        "rows_per_second": min(clock.steps * 32, len(sets[0]) * EPOCHS) / clock.seconds,
        "points": clock.points,
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "precision": "bf16" if best and bf16 else "fp32",
    }


def target(own: Any, labels: list[str]) -> Any:
    if isinstance(own, str):
        return labels.index(own)
    return [float(label in own) for label in labels]


class Clock:
    """Counts training time alone, judges after each epoch, and stops in time."""

    def __init__(self, limit_s: float, wanted: float, judge: Any, rows: list[Any]) -> None:
        self.limit_s, self.wanted, self.judge, self.rows = limit_s, wanted, judge, rows
        self.trainer: Any = None
        self.points: list[tuple[float, float]] = []
        self.seconds, self.since, self.steps = 0.0, 0.0, 0

    def callback(self) -> Any:
        from transformers import TrainerCallback

        outer = self

        class Callback(TrainerCallback):
            def on_epoch_begin(self, *_: object, **__: object) -> None:
                outer.since = time.monotonic()

            def on_step_end(self, _: object, state: Any, control: Any, **__: object) -> Any:
                outer.steps = state.global_step
                if outer.seconds + time.monotonic() - outer.since > outer.limit_s:
                    control.should_training_stop = True
                    control.should_epoch_stop = True
                return control

            def on_epoch_end(self, _: object, __: object, control: Any, **___: object) -> Any:
                outer.seconds += time.monotonic() - outer.since
                result = outer.trainer.predict(outer.rows)
                metric = outer.judge(np.asarray(result.predictions))
                outer.points.append((outer.seconds, metric))
                print(f"Trainer: {outer.seconds:.0f} s, {metric:.2%}", file=sys.stderr)
                if metric >= outer.wanted or outer.seconds > outer.limit_s:
                    control.should_training_stop = True
                return control

        return Callback()
