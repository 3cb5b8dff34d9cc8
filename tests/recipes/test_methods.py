"""Every method from training to a bundle that answers the same in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny import FAMILIES, labelled_rows, tiny_model

from tunesmith import runtimes
from tunesmith.bases import find_base
from tunesmith.config import Method, RunConfig
from tunesmith.errors import ConfigError
from tunesmith.recipes import Run, _methods
from tunesmith.recipes._methods import check_method

from .conftest import Notes, Train

METHODS = [name for name in get_args(Method) if name not in ("auto", "qlora")]
QUICK = {"training.epochs": 1, "training.batch_size": 32}
TEXTS = [text for text, _ in labelled_rows(6, seed=8)]

# Loads each bundle and prints what it answers.
SCRIPT = """
import json, sys
import tunesmith
texts = json.loads(sys.stdin.readline())
for folder in sys.argv[1:]:
    answers = tunesmith.load(folder).predict(texts)
    print(json.dumps([list(answer.probabilities.values()) for answer in answers]))
"""


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small model of each family, made when it is first asked for."""
    return {name: tmp_path_factory.mktemp("families") / name for name in FAMILIES}


@pytest.fixture(scope="module")
def trained() -> dict[str, Run]:
    """What the tests below have trained, for the last one."""
    return {}


def answers(run: Run) -> list[list[float]]:
    found = runtimes.load(run.bundle).predict(TEXTS)
    return [list(answer.probabilities.values()) for answer in found]


@pytest.mark.parametrize(("place", "method"), list(enumerate(METHODS)), ids=METHODS)
def test_a_method_is_trained_and_bundled(
    train: Train, families: dict[str, Path], trained: dict[str, Run], place: int, method: str
) -> None:
    # Each method on a family of its own, so that all families take their turn.
    family = list(FAMILIES)[place % len(FAMILIES)]
    if (method, family) in {("bitfit", "llama")}:
        family = "bert"
    folder = families[family]
    if not folder.exists():
        tiny_model(folder, family)
    run = train({**QUICK, "training.method": method, "base.id": str(folder)})
    trained[method] = run
    assert run.report.method == method
    head = load_file(run.bundle.model_path / "head.safetensors")
    assert head["weight"].abs().sum() > 0
    assert np.ptp(np.array(answers(run)), axis=0).max() > 1e-4, "the answers depend on the text"
    transformers.AutoModel.from_pretrained(str(run.bundle.model_path))


def test_in_a_process_of_their_own_they_answer_the_same(trained: dict[str, Run]) -> None:
    if not trained:
        pytest.skip("runs after the tests above")
    assert_another_process_answers_alike(trained)


def assert_another_process_answers_alike(runs: dict[str, Run]) -> None:
    command = [sys.executable, "-c", SCRIPT, *(str(run.bundle.path) for run in runs.values())]
    done = subprocess.run(command, input=json.dumps(TEXTS), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for (method, run), line in zip(runs.items(), done.stdout.splitlines(), strict=True):
        np.testing.assert_allclose(json.loads(line), answers(run), atol=1e-6, err_msg=method)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_on_every_family(family: str, train: Train, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", family)
    runs: dict[str, Run] = {}
    refused: dict[str, str] = {}
    for method in METHODS:
        settings = {**QUICK, "training.method": method, "base.id": str(base)}
        try:
            runs[method] = train(settings, method)
        except ConfigError as error:
            refused[method] = str(error)
    assert all("has no biases" in why for why in refused.values())
    assert set(refused) <= {"bitfit"}
    assert_another_process_answers_alike(runs)


@pytest.mark.parametrize("method", ["lora", "ia3", "pissa"])
def test_an_adapter_apart_answers_as_one_that_is_merged(
    train: Train, notes: Notes, base: Path, method: str
) -> None:
    settings = {**QUICK, "training.method": method, "training.learning_rate": 1e-2}
    merged = train(settings, "merged")
    apart = train({**settings, "adapter.keep": "apart"}, "apart")
    np.testing.assert_allclose(answers(apart), answers(merged), atol=1e-5)
    assert merged.bundle.adapter_path is None
    adapter = apart.bundle.adapter_path
    assert adapter is not None
    assert {file.name for file in adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    plain, own = (load_file(f / "model.safetensors") for f in (base, apart.bundle.model_path))
    for name, value in plain.items():
        np.testing.assert_allclose(own[name], value, atol=1e-6)
    # A bundle with an adapter is a base like any other.
    child = train({**QUICK, "training.method": "full", "base.id": str(apart.bundle.path)}, "child")
    assert child.bundle.manifest.parent == apart.bundle.manifest.digest
    # So is the adapter itself, beside which its base stands.
    assert find_base(str(adapter)).adapter == adapter


def test_kept_states_of_frozen_layers_change_nothing(train: Train, notes: Notes) -> None:
    last = {"training.method": "last-k", "training.layers": 1, **QUICK}
    kept = train(last, "kept")
    # With dropout the frozen layers are computed in each step; a share of nearly nothing is none.
    computed = train({**last, "training.dropout": 1e-9}, "computed")
    np.testing.assert_allclose(answers(kept), answers(computed), atol=2e-3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_cannot_be_had_here_is_said_before_any_work(train: Train, tmp_path: Path) -> None:
    settings = {"training.method": "qlora", "training.track": ("clearml",)}
    with pytest.raises(ConfigError) as raised:
        train(settings, source="no such file, and nobody looks for it")
    assert "4-bit needs an NVIDIA GPU" in str(raised.value)
    assert "pip install clearml" in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_a_base_without_biases_has_no_bitfit(train: Train, tmp_path: Path) -> None:
    llama = tiny_model(tmp_path / "llama", "llama")
    with pytest.raises(ConfigError, match="bias"):
        train({"training.method": "bitfit", "base.id": str(llama)})


@pytest.mark.parametrize(
    "settings",
    [
        {"training.optimizer": "muon", "training.layer_decay": 0.9},
        {"training.optimizer": "schedule-free"},
        {"training.optimizer": "sgd", "training.schedule": "cosine"},
        {"training.averaging": "soup", "training.schedule": "wsd"},
        {"training.loss": "focal", "training.class_weights": "balanced"},
        {"training.loss": "robust"},
        {"training.r_drop": 1.0, "training.dropout": 0.1},
        {"training.gradient_checkpointing": True, "training.max_tokens": 64},
    ],
    ids=str,
)
def test_settings_reach_the_loop(train: Train, settings: dict[str, object]) -> None:
    run = train({**QUICK, **settings})
    [start, end] = [epoch["validation_loss"] for epoch in run.report.history]
    assert np.isfinite(end)
    assert end != start


def test_all_that_does_not_go_with_sharding_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_methods, "check_four_bit", lambda _: None)  # as where there is a GPU
    wanted = {
        "training": {
            "sharding": "full", "optimizer": "muon", "method": "qlora", "compile": True,
            "r_drop": 1.0, "dropout": 0.0,
        }
    }  # fmt: skip
    with pytest.raises(ConfigError) as raised:
        check_method(RunConfig.model_validate(wanted))
    assert [fault.where for fault in raised.value.faults] == [
        "training.r_drop", "training.optimizer", "training.method", "training.compile",
    ]  # fmt: skip
    wanted["training"] |= {"optimizer": "lion", "method": "lora", "compile": False, "r_drop": 0.0}
    check_method(RunConfig.model_validate(wanted))


def test_one_process_says_that_nothing_is_shared_out(train: Train, notes: Notes) -> None:
    run = train({**QUICK, "training.sharding": "full"})
    assert run.bundle.path.is_dir()
    assert any("are not shared out" in note for note in notes.said)


def test_fp16_is_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = RunConfig.model_validate({"training": {"precision": "fp16"}})
    monkeypatch.setattr("tunesmith.recipes._methods.choose_device", lambda: torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"it is for GPUs[\s\S]*training.precision=auto"):
        check_method(wanted)
    monkeypatch.setattr("tunesmith.recipes._methods.choose_device", lambda: torch.device("cuda"))
    check_method(wanted)


def test_without_padding_the_run_is_the_same(train: Train, notes: Notes) -> None:
    settings = {**QUICK, "training.precision": "fp32"}
    plain = train(settings, "plain")
    run = train({**settings, "training.packing": True}, "packed")
    assert any("one behind the other" in note for note in notes.said)
    for one, other in zip(plain.report.history, run.report.history, strict=True):
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], abs=1e-4)
    np.testing.assert_allclose(answers(run), answers(plain), atol=1e-3)


def test_all_that_needs_padding_is_said_at_once() -> None:
    wanted = {"packing": True, "dropout": 0.1, "method": "last-k", "compile": True}
    with pytest.raises(ConfigError) as raised:
        check_method(RunConfig.model_validate({"training": wanted}))
    assert [fault.where for fault in raised.value.faults] == [
        "training.dropout", "training.packing", "training.compile",
    ]  # fmt: skip


def test_packing_goes_with_an_adapters_dropout() -> None:
    wanted = {"training": {"packing": True, "method": "lora"}, "adapter": {"dropout": 0.1}}
    check_method(RunConfig.model_validate(wanted))
