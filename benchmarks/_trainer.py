"""The peer of train_speed.py: Hugging Face's Trainer, plain or at its best."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from _turns import Pace

EPOCHS = 8


def train(
    base: str,
    rows: list[list[tuple[str, Any]]],
    labels: list[str],
    pace: Pace,
    *,
    multi_label: bool,
    best: bool,
    bf16: bool,
    wanted: float,
    judge: Any,
    limit_s: float,
    threads: int,
) -> None:
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

    def judged() -> float:
        # It would group by length here too, and answer in another order than the rows are in. The
        # order of the training rows is settled by now.
        trainer.args.train_sampling_strategy = "random"
        return judge(np.asarray(trainer.predict(sets[1]).predictions))

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
            callbacks=[callback(pace, limit_s, wanted, judged)],
        )  # fmt: skip
        trainer.train()


def target(own: Any, labels: list[str]) -> Any:
    if isinstance(own, str):
        return labels.index(own)
    return [float(label in own) for label in labels]


def callback(
    pace: Pace,
    limit_s: float,
    wanted: float,
    judge: Callable[[], float],
    every: int | None = None,
) -> Any:
    """Trains in turns, and stops at the wanted figure or in time.

    Judges after each epoch, after so many steps where `every` says so, and where the time is over.
    """
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_train_begin(self, *_: object, **__: object) -> None:
            pace.say({"event": "ready"})
            pace.wait()

        def on_step_end(self, _: object, __: object, control: Any, **___: object) -> Any:
            pace.step()
            if every is not None and pace.steps % every == 0:
                control.should_epoch_stop = self.judged(control)
            if pace.seconds > limit_s:
                control.should_training_stop = True
                control.should_epoch_stop = True
            return control

        def on_epoch_end(self, _: object, __: object, control: Any, **___: object) -> Any:
            self.judged(control)
            return control

        def judged(self, control: Any) -> bool:
            metric = judge()
            pace.say({"event": "judged", "seconds": pace.seconds, "metric": metric})
            control.should_training_stop |= metric >= wanted
            pace.go_on()
            return metric >= wanted

    return Callback()
