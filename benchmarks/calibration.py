"""Whether probabilities hold, sets cover, and other texts are told apart: on public data.

    python benchmarks/calibration.py                             # probes; three seeds of three sets
    python benchmarks/calibration.py trec6 --method full --seeds 0
    python benchmarks/calibration.py banking77 --runs runs/a runs/b     # of runs that there are
    python benchmarks/calibration.py banking77 --held-out-labels 19     # rows of labels unknown
    python benchmarks/calibration.py trec6 --redraw      # test rows like the others: see below

Everything is fitted by `tunesmith.train` on validation rows, with nothing set but the files, the
method and the seed; the figures are those of its report, on the official test rows; with --redraw
on as many rows drawn by the seed from all (their texts in no other part), since what calibration
promises, it promises for rows from the same source. Beside them: what label sets cover where they
may be empty, what "raps" sets would be, and the distance to the nearest training vectors as a score
for scope, which needs more of a model than its scores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from _datasets import DATA, DATASETS, Files

import tunesmith
from tunesmith.bases import extract_features, load_classifier, load_tokenizer, tokenize
from tunesmith.bundles import Bundle, open_bundle, read_rows
from tunesmith.data import read_table
from tunesmith.evaluation import auroc, conformal_section, fit_calibration, fit_conformal
from tunesmith.recipes import Silent
from tunesmith.recipes._scope import outside_texts
from tunesmith.tasks import TextClassification, conformity, scope_scores
from tunesmith.types import Outputs

SETS = ("banking77", "trec6", "goemotions")
NEIGHBOURS = 10
ASKED = (0.9, 0.95, 0.975)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--method", default="probe")
    parser.add_argument("--runs", nargs="*", type=Path, help="finished runs on one data set")
    parser.add_argument("--held-out-labels", type=int, default=0)
    parser.add_argument("--redraw", action="store_true", help="test rows drawn from all")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.error(f"{DATA} is not there; set TUNESMITH_BENCH_DATA")
    for name in arguments.datasets:
        found = []
        for run in arguments.runs or arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                files = DATASETS[name](Path(folder))
                if arguments.redraw:
                    files = redraw(files, int(run), Path(folder))
                if isinstance(run, Path):
                    found.append(measure(run, None))
                else:
                    hidden = hide_labels(files, arguments.held_out_labels, run, Path(folder))
                    own = train(hidden, arguments.method, run, Path(folder) / "run")
                    unseen = hidden if hidden is not files else None
                    found.append(measure(own, unseen_texts(files, unseen)))
            print(json.dumps({"dataset": name, "run": str(run), **found[-1]}), flush=True)
        summarise(name, found)


def train(files: Files, method: str, seed: int, folder: Path) -> Path:
    tunesmith.train(
        files.train,
        target=files.target,
        text=files.text,
        validation=files.validation,
        test=files.test,
        method=method,
        seed=seed,
        output=folder,
        listener=Silent(),
    )
    return folder


def redraw(files: Files, seed: int, folder: Path) -> Files:
    """The same rows, with another test file of about its size; rows of one text stay together."""
    parts = [one for one in (files.train, files.validation, files.test) if one is not None]
    texts: dict[str, list[object]] = {}
    for part in parts:
        table = read_table(part)
        for text, label in zip(table.column(files.text), table.column(files.target), strict=True):
            texts.setdefault(str(text), []).append(label)
    share = read_table(files.test).num_rows / sum(map(len, texts.values()))
    drawn = np.random.default_rng(seed).random(len(texts)) < share
    written = {}
    for part, wanted in (("train", False), ("test", True)):
        written[part] = folder / f"drawn-{part}.jsonl"
        own = [one for one, is_test in zip(texts.items(), drawn, strict=True) if is_test == wanted]
        rows = [{files.text: text, files.target: label} for text, labels in own for label in labels]
        written[part].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return replace(files, validation=None, **written)


def hide_labels(files: Files, count: int, seed: int, folder: Path) -> Files:
    """The same files without the rows of some labels."""
    if not count:
        return files
    labels = sorted(set(read_table(files.train).column(files.target)))
    hidden = set(np.random.default_rng(seed).permutation(labels)[:count].tolist())
    kept = []
    for part in ("train", "test"):
        table = read_table(getattr(files, part))
        pairs = zip(table.column(files.text), table.column(files.target), strict=True)
        rows = [{files.text: t, files.target: label} for t, label in pairs if label not in hidden]
        kept.append(folder / f"kept-{part}.jsonl")
        kept[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return replace(files, train=kept[0], test=kept[1])


def unseen_texts(files: Files, kept: Files | None) -> list[str] | None:
    """Test texts of the labels that were hidden."""
    if kept is None:
        return None
    table, labels = read_table(files.test), set(read_table(kept.test).column(files.target))
    pairs = zip(table.column(files.text), table.column(files.target), strict=True)
    return [text for text, label in pairs if label not in labels]


def measure(run: Path, unseen: list[str] | None) -> dict:
    """The report's figures, and those beside it."""
    bundle = open_bundle(run)
    report = json.loads((bundle.path / "report" / "report.json").read_text())
    sections = report["sections"]
    ece = sections["calibration"]["ece"]
    before = ece["before"]["value"]
    found = {
        "method": sections["calibration"]["method"],
        "ece_before": before,
        "ece_after": (ece["after"] or ece["before"])["value"],
        "ece_by_chance": sections["calibration"]["chance"]["before"],
        "ece_interval": [(ece["after"] or ece["before"])[end] for end in ("low", "high")],
        "scope": {
            own["kind"]: {name: value["value"] for name, value in own["auroc"].items()}
            for own in sections["scope"]["outside"]
        },
        "in_scope": sections["scope"]["accepted"]["value"],
    }
    texts = outside_texts(bundle.held_out(), None)
    if unseen:
        texts = {**texts, "unknown labels": unseen}
        found["scope"]["unknown labels"] = _scope_of(bundle, unseen)
    for kind, value in nearest(bundle, run, texts).items():
        found["scope"][kind]["nearest"] = value
    if "conformal" in sections:
        found["risk"] = {
            own["coverage"]: own["accuracy"]["value"] for own in sections["selective"]["answered"]
        }
        found["promised"] = {
            own["precision"]: (own["coverage"]["value"], own["reached"]["value"])
            for own in sections["selective"]["promised"]
        }
        found["sets"] = label_sets(bundle, run)
    return found


def label_sets(bundle: Bundle, run: Path) -> dict:
    """Kind → asked coverage → coverage, that of sets that may be empty, and mean size."""
    task, model = bundle.task, tunesmith.load(bundle)
    assert isinstance(task, TextClassification)
    validation, test = validation_of(bundle, run), bundle.held_out()
    fitted = fit_calibration(
        replace(task, calibration=None),
        model.outputs(validation.inputs).scores,
        task.encode(validation.targets),
        seed=bundle.manifest.config["seed"],
    )
    scores = model.outputs(test.inputs).scores
    probabilities, targets = task.probabilities(Outputs(scores=scores)), task.encode(test.targets)
    known = task.encode(validation.targets)[fitted.places]
    found: dict = {}
    for kind in ("lac", "raps"):
        own = fit_conformal(fitted.held_out, known, score=kind)
        section = conformal_section(task, targets, probabilities, own)
        odd = conformity(kind, probabilities)[np.arange(len(targets)), targets]
        found[kind] = {}
        for entry in section.covered:
            if entry.asked in ASKED:
                limits = own.limits(entry.asked)
                exact = odd <= (limits if len(limits) == 1 else limits[targets])
                found[kind][entry.asked] = (
                    entry.reached.value, float(exact.mean()), entry.size.value
                )  # fmt: skip
    return found


def validation_of(bundle: Bundle, run: Path):
    facts = bundle.manifest.data
    return read_rows(run / "rows" / "validation.parquet", facts["text"], facts["target"])


def _scope_of(bundle: Bundle, texts: list[str]) -> dict[str, float]:
    task, model = bundle.task, tunesmith.load(bundle)
    several = task.objective == "binary-cross-entropy"
    parts = [
        model.outputs(inputs).scores
        for inputs in (bundle.held_out().inputs, [(text,) for text in texts])
    ]
    return {
        name: auroc(*(
            scope_scores(name, own, task.probabilities(Outputs(scores=own)), several=several)
            for own in parts
        ))
        for name in ("probability", "energy")
    }  # fmt: skip


def nearest(bundle: Bundle, run: Path, texts: dict[str, list[str]]) -> dict[str, float]:
    """Kind → AUROC of the cosine to the 10th nearest validation row's vector (Sun et al. 2022)."""
    facts = bundle.manifest.base
    tokenizer = load_tokenizer(bundle.model_path)
    model = load_classifier(bundle.model_path, facts.pooling, bundle.task.head.size)

    def vectors(inputs) -> np.ndarray:
        own = extract_features(model, tokenize(tokenizer, inputs, facts.max_length))
        return own / np.linalg.norm(own, axis=1, keepdims=True)

    known = vectors(validation_of(bundle, run).inputs)

    def near(inputs) -> np.ndarray:
        return np.sort(vectors(inputs) @ known.T, axis=1)[:, -NEIGHBOURS]

    inside = near(bundle.held_out().inputs)
    kinds = {kind: near([(text,) for text in own]) for kind, own in texts.items() if own}
    together = [own for kind, own in kinds.items() if kind != "unknown labels"]
    kinds["all of them"] = np.concatenate(together)
    return {kind: auroc(inside, own) for kind, own in kinds.items()}


def summarise(name: str, found: list[dict]) -> None:
    """Mean over the runs, each with what is wanted of it."""

    def mean(values) -> float:
        return 100 * statistics.mean(values)

    before, after = mean(f["ece_before"] for f in found), mean(f["ece_after"] for f in found)
    fine = after <= before / 2 or before < 2 or after < 2
    print(f"\n{name}, {len(found)} runs ({', '.join(str(f['method']) for f in found)})")
    chance = mean(f["ece_by_chance"] for f in found)
    said = "as wanted" if fine else "NOT as wanted"
    print(f"  ECE {before:.2f} % → {after:.2f} %, {chance:.2f} % by chance alone: {said}")
    for kind in found[0].get("sets", {}):
        for asked in found[0]["sets"][kind]:
            reached, exact, size = zip(*(f["sets"][kind][asked] for f in found), strict=True)
            print(
                f"  {kind} sets at {100 * asked:g} %: {mean(reached):.1f} % "
                f"({mean(exact):.1f} % where they may be empty), {statistics.mean(size):.2f} labels"
            )
    for share in found[0].get("risk", {}):
        own = mean(f["risk"][share] for f in found)
        print(f"  the surest {100 * share:.0f} %: {own:.1f} % right")
    for kind in found[0]["scope"]:
        own = {n: mean(f["scope"][kind][n] for f in found) for n in found[0]["scope"][kind]}
        print(f"  AUROC, {kind}: " + ", ".join(f"{n} {value:.1f}" for n, value in own.items()))
    print(f"  test rows in scope: {mean(f['in_scope'] for f in found):.1f} %", flush=True)


if __name__ == "__main__":
    main()
