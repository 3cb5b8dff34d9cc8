"""The reference runtime: the contract for each kind of task, and what is its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tunesmith import runtimes
from tunesmith.bundles import Bundle, write_bundle
from tunesmith.errors import BaseModelError, BundleError
from tunesmith.runtimes import Runtime
from tunesmith.testing import RuntimeContract
from tunesmith.types import LabelPrediction, LabelsPrediction


class TestSingleLabel(RuntimeContract):
    @pytest.fixture
    def runtime(self, tiny_bundle: Bundle) -> Runtime:
        return runtimes.load(tiny_bundle)

    def test_answers_as_it_learned(self, runtime: Runtime, labelled_csv: Path) -> None:
        rows = [line.split(",") for line in labelled_csv.read_text().splitlines()[1:]]
        predictions = runtime.predict([text for text, _ in rows])
        right = [p.label == topic for p, (_, topic) in zip(predictions, rows, strict=True)]  # type: ignore[union-attr]
        assert np.mean(right) > 0.8
        for prediction in predictions:
            assert isinstance(prediction, LabelPrediction)
            assert sum(prediction.probabilities.values()) == pytest.approx(1)


class TestPairs(RuntimeContract):
    @pytest.fixture
    def runtime(self, pair_bundle: Bundle) -> Runtime:
        return runtimes.load(pair_bundle.path)

    def test_both_texts_count(self, runtime: Runtime) -> None:
        one, other = runtime.predict(
            [{"question": "my card", "answer": text} for text in ("the card", "the parcel")]
        )
        assert runtime.task.labels == ("false", "true")
        assert one != other


class TestSeveralLabels(RuntimeContract):
    @pytest.fixture
    def runtime(self, several_bundle: Bundle) -> Runtime:
        return runtimes.load(str(several_bundle))

    def test_thresholds_come_with_the_bundle(
        self, runtime: Runtime, several_bundle: Bundle
    ) -> None:
        thresholds = several_bundle.manifest.task["thresholds"]
        assert len(thresholds) == 3
        for prediction in runtime.predict(["my card and my parcel", "the password"]):
            assert isinstance(prediction, LabelsPrediction)
            chosen = {
                label
                for (label, p), threshold in zip(
                    prediction.probabilities.items(), thresholds, strict=True
                )
                if p >= threshold
            }
            assert set(prediction.labels) == chosen


def test_it_says_what_it_is(tiny_bundle: Bundle) -> None:
    runtime = runtimes.load(tiny_bundle)
    assert runtime.name == "torch-fp32"
    assert runtime.version == tiny_bundle.version
    assert runtime.max_length == tiny_bundle.manifest.base.max_length


def test_a_path_is_verified_first(tiny_bundle: Bundle, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (copy / "model" / "head.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model/head\.safetensors"):
        runtimes.load(copy)


def resealed(bundle: Bundle, folder: Path) -> Bundle:
    """A bundle of what lies in `folder` now, as one who makes bundles by hand could write it."""
    return write_bundle(
        folder.parent / "resealed",
        bundle.manifest.model_copy(update={"files": {}, "digest": ""}),
        lambda new: shutil.copytree(folder / "model", new / "model") and None,
        check=lambda whole: None,
    )


def test_a_bundle_that_brings_code_is_not_opened(tiny_bundle: Bundle, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    (copy / "model" / "code.py").write_text("raise SystemExit('it ran')")
    file = copy / "model" / "config.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "auto_map": {"AutoModel": "code.Model"}}))
    bundle = resealed(tiny_bundle, copy)
    with pytest.raises(BaseModelError, match=r"brings code of its own \(code\.py\)"):
        runtimes.load(bundle)


def test_a_head_of_another_task_is_refused(
    tiny_bundle: Bundle, pair_bundle: Bundle, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_bundle.path, tmp_path / "copy")
    shutil.copy(pair_bundle.model_path / "head.safetensors", copy / "model")
    with pytest.raises(BundleError, match="the head does not fit the task"):
        runtimes.load(resealed(tiny_bundle, copy))
