"""Peers of train_speed.py in an environment of their own: SetFit, and sentence-transformers alone.

Both train the encoder to tell texts of one label from texts of another, and put a logistic
regression on it: SetFit by pairs (20 of each kind a row as in its paper, else its defaults: batches
of 16 pairs, rate 2e-5 after a tenth of all steps), sentence-transformers by triplets within batches
of 32 texts (BatchAllTripletLoss, rate 1e-4, not tuned). Neither fits that regression while it
trains, so it is fitted for each judgement; like judging itself, this counts for nobody.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path
from typing import Any

from _datasets import DATASETS, rows_of
from _trainer import callback
from _turns import Pace

KINDS = ("setfit", "sentence-transformers")
STEPS_A_JUDGEMENT = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("dataset", choices=list(DATASETS))
    parser.add_argument("--base", required=True)
    for name in ("turn-s", "limit-s", "wanted"):
        parser.add_argument(f"--{name}", type=float, required=True)
    asked = parser.parse_args()
    pace = Pace(asked.turn_s)
    with tempfile.TemporaryDirectory() as folder:
        files = DATASETS[asked.dataset](Path(folder))
        sets = [rows_of(file, files) for file in (files.train, files.test)]
        (setfit if asked.kind == "setfit" else triplets)(asked, sets, pace, folder)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    pace.say({"event": "facts", "precision": "fp32", "memory_gb": memory})


def setfit(asked: argparse.Namespace, sets: list[Rows], pace: Pace, folder: str) -> None:
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(asked.base, device="cpu")
    arguments = TrainingArguments(
        output_dir=folder, num_iterations=20, num_epochs=1, batch_size=16, seed=0,
        report_to="none", logging_strategy="no", save_strategy="no", show_progress_bar=False,
    )  # fmt: skip
    texts, labels = zip(*sets[0], strict=True)
    trainer = Trainer(
        model=model,
        args=arguments,
        callbacks=[paced(asked, pace, model.model_body, sets)],
    )
    trainer.train_embeddings(list(texts), list(labels), args=arguments)


def triplets(asked: argparse.Namespace, sets: list[Rows], pace: Pace, folder: str) -> None:
    import sentence_transformers as st
    from datasets import Dataset
    from sentence_transformers.losses import BatchAllTripletLoss

    model = st.SentenceTransformer(asked.base, device="cpu")
    names = sorted({label for _, label in sets[0]})
    texts, labels = zip(*sets[0], strict=True)
    st.SentenceTransformerTrainer(
        model=model,
        args=st.SentenceTransformerTrainingArguments(
            output_dir=folder, num_train_epochs=8, per_device_train_batch_size=32,
            learning_rate=1e-4, seed=0, batch_sampler="group_by_label", report_to="none",
            logging_strategy="no", save_strategy="no", disable_tqdm=True, use_cpu=True,
        ),
        train_dataset=Dataset.from_dict(
            {"text": list(texts), "label": [names.index(label) for label in labels]}
        ),
        loss=BatchAllTripletLoss(model),
        callbacks=[paced(asked, pace, model, sets)],
    ).train()  # fmt: skip


def paced(asked: argparse.Namespace, pace: Pace, encoder: Any, sets: list[Rows]) -> Any:
    """The callback that trains in turns and judges the encoder."""

    def judge() -> float:
        metric = accuracy(encoder, sets)
        encoder.train()
        return metric

    return callback(pace, asked.limit_s, asked.wanted, judge, STEPS_A_JUDGEMENT)


def accuracy(encoder: Any, sets: list[Rows]) -> float:
    """Of SetFit's head, a logistic regression on the embeddings of all training rows."""
    from sklearn.linear_model import LogisticRegression

    vectors = [encoder.encode([text for text, _ in part], batch_size=64) for part in sets]
    labels = [[label for _, label in part] for part in sets]
    head = LogisticRegression(max_iter=300).fit(vectors[0], labels[0])
    return float(head.score(vectors[1], labels[1]))


Rows = list[tuple[str, str]]

if __name__ == "__main__":
    main()
