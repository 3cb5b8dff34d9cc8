"""The gate for embeddings: rounding passes, and vectors that are others do not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tunesmith.bundles import Bundle, RuntimeFacts
from tunesmith.optimization import EmbeddingParity, judge_embeddings
from tunesmith.recipes import Optimized
from tunesmith.runtimes import load, open_runtime

from .conftest import KEPT


def states(seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((700, 16)).astype(np.float32)


def judge(found: Any, alone: Any = None) -> EmbeddingParity:
    single = found[:64] if alone is None else alone
    return judge_embeddings(states(), found, single, least_cosine=0.98, max_difference=0.05)


def test_the_same_direction_passes_at_any_length() -> None:
    parity = judge(3 * states())
    assert parity.refused_for == ()
    assert parity.mean_cosine == pytest.approx(1)
    assert parity.similarity_difference == pytest.approx(0, abs=1e-6)
    assert json.loads(json.dumps(parity.as_dict()))["refused_for"] == []


def test_noise_of_rounding_passes_and_more_does_not() -> None:
    assert judge(states() + 0.01 * states(1)).refused_for == ()
    refused = judge(states() + 0.5 * states(1)).refused_for
    assert any("a cosine of" in reason for reason in refused)
    assert any("a similarity of two texts differs" in reason for reason in refused)


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_one_vector_without_a_direction_is_refused(value: float) -> None:
    broken = states()
    broken[500] = value
    assert judge(broken).refused_for


def test_vectors_that_depend_on_the_batch_are_refused() -> None:
    parity = judge(states(), alone=states()[:64] + 1)
    assert [reason for reason in parity.refused_for if "in a batch" in reason]


def test_vectors_of_another_size_are_refused() -> None:
    assert judge(states()[:, :8]).refused_for == ("vectors of 8 values",)


def facts_of(bundle: Bundle, name: str) -> RuntimeFacts:
    assert bundle.manifest.runtimes is not None
    return bundle.manifest.runtimes.kept[name]


def test_each_runtime_gives_the_vectors_that_were_trained(optimized: Optimized) -> None:
    bundle = optimized.bundle
    inputs = [("where is my parcel",), ("thanks",), ("a longer text about a card " * 3,)]
    reference = load(bundle, "torch-fp32")
    wanted = reference.outputs(inputs).states
    assert wanted is not None
    assert wanted.shape == (3, reference.embedding_size)
    for name in KEPT:
        found = load(bundle, name, allow_unverified=True).outputs(inputs).states
        assert found is not None, name
        assert found.shape == wanted.shape
        if name.endswith("fp32"):
            assert np.abs(found - wanted).max() < 1e-4
    assert optimized.parity["onnx-fp32"].embeddings is not None
    assert optimized.parity["onnx-fp32"].embeddings.least_cosine > 0.9999


def test_only_what_passed_is_offered(optimized: Optimized) -> None:
    bundle = optimized.bundle
    for name in KEPT:
        facts = facts_of(bundle, name)
        size = load(bundle, name, allow_unverified=True).embedding_size
        assert facts.embeds == (not facts.parity["embeddings"]["refused_for"])
        assert size == (bundle.hidden_size if facts.embeds else None)
    assert facts_of(bundle, "onnx-fp32").embeds


def test_a_graph_from_before_there_were_embeddings_still_answers(
    optimized: Optimized, tmp_path: Any
) -> None:
    bundle = optimized.bundle
    facts = facts_of(bundle, "onnx-fp32")
    model = onnx.load(str(bundle.path / str(facts.file)))
    (states_,) = [one for one in model.graph.output if one.name == "states"]
    model.graph.output.remove(states_)
    onnx.save(model, str(tmp_path / "model.onnx"))
    parity = {name: value for name, value in facts.parity.items() if name != "embeddings"}
    old = facts.model_copy(update={"parity": parity})
    assert bundle.manifest.runtimes is not None
    tokenizer = bundle.manifest.runtimes.tokenizer
    runtime = open_runtime(bundle, "onnx-fp32", old, tmp_path / "model.onnx", tokenizer)
    assert runtime.embedding_size is None
    found = runtime.outputs([("thanks",)])
    assert found.states is None
    assert found.scores is not None


def test_a_planted_fault_of_the_states_alone_is_caught(optimized: Optimized, tmp_path: Any) -> None:
    """Right scores beside wrong vectors: as of an output that was taken at another place."""
    bundle = optimized.bundle
    facts = facts_of(bundle, "onnx-fp32")
    model = onnx.load(str(bundle.path / str(facts.file)))
    for node in model.graph.node:
        node.output[:] = ["pooled" if name == "states" else name for name in node.output]
        node.input[:] = ["pooled" if name == "states" else name for name in node.input]
    shift = np.linspace(-3, 3, bundle.hidden_size).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(shift, "shift"))
    model.graph.node.append(onnx.helper.make_node("Add", ["pooled", "shift"], ["states"]))
    onnx.save(model, str(tmp_path / "model.onnx"))
    assert bundle.manifest.runtimes is not None
    tokenizer = bundle.manifest.runtimes.tokenizer
    runtime = open_runtime(bundle, "onnx-fp32", facts, tmp_path / "model.onnx", tokenizer)
    inputs = [(f"text {number} about a card",) for number in range(20)]
    wanted, found = load(bundle, "torch-fp32").outputs(inputs), runtime.outputs(inputs)
    assert np.abs(found.scores - wanted.scores).max() < 1e-4  # type: ignore[operator]
    assert wanted.states is not None
    assert found.states is not None
    parity = judge_embeddings(
        wanted.states, found.states, found.states, least_cosine=0.98, max_difference=0.05
    )
    assert parity.refused_for
