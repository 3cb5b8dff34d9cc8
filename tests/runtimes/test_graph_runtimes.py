"""Runtimes without torch: the contract for each, and which one is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TEXTS, tiny_tokenizer

from tunesmith import recipes, runtimes
from tunesmith.bases import PlainTokenizer, tokenize
from tunesmith.bundles import Bundle, open_bundle
from tunesmith.errors import ConfigError, MissingDependencyError
from tunesmith.optimization import Tolerances
from tunesmith.runtimes import Runtime
from tunesmith.testing import RuntimeContract

NAMES = ("onnx-fp32", "onnx-int8", "onnx-int8-block", "onnx-int8-tensor", "onnx-int8-static",
         "openvino-fp32", "openvino-int8")  # fmt: skip
LOOSE = {"onnx-int8-static": 0.05, "openvino-int8": 0.05}
"""A score's largest difference by batching, where rounding to bytes meets another order of sums."""


@pytest.fixture(scope="module")
def optimized(
    tmp_path_factory: pytest.TempPathFactory, pair_bundle: Bundle, pairs_csv: Path
) -> Bundle:
    """A bundle of pairs with every candidate kept, and none of them verified but the best."""
    pytest.importorskip("openvino")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunesmith.runtimes.onnx_runtime.available_cores", lambda: 1)
        return recipes.optimize(
            pair_bundle,
            output=tmp_path_factory.mktemp("optimized") / "pairs",
            data=pairs_csv,
            tolerances=Tolerances(
                max_drop=100,
                min_agreement=0.5,
                max_difference=1,
                min_cosine=0,
                max_similarity_difference=1,
            ),
            keep=NAMES,
            rounds=1,
        ).bundle


@pytest.mark.parametrize("runtime", NAMES, indirect=True)
class TestEach(RuntimeContract):
    @pytest.fixture
    def runtime(self, request: pytest.FixtureRequest, optimized: Bundle) -> Runtime:
        self.tolerance = LOOSE.get(request.param, 1e-4)
        return runtimes.load(optimized, request.param, allow_unverified=True)


SIGNALLED = """
import faulthandler, gc, signal, sys
from tunesmith.bundles import open_bundle
from tunesmith import runtimes

faulthandler.enable()  # pytest and servers do; Python then handles signals on a stack of their own
bundle = open_bundle(sys.argv[1])
first = runtimes.load(bundle, "openvino-fp32")
second = runtimes.load(bundle, "openvino-fp32")
del first
gc.collect()
del second
gc.collect()
heard = []
signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
signal.raise_signal(signal.SIGINT)
assert heard == [signal.SIGINT]
"""


def test_signals_are_heard_when_runtimes_are_gone(optimized: Bundle) -> None:
    command = [sys.executable, "-c", SIGNALLED, str(optimized.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_scores_are_those_of_torch(optimized: Bundle) -> None:
    inputs = [("my card", "the parcel is late"), ("password " * 90, "login"), ("", "refund")]
    wanted = runtimes.load(optimized, "torch-fp32").outputs(inputs).scores
    found = runtimes.load(optimized, "onnx-fp32").outputs(inputs).scores
    assert wanted is not None
    assert found is not None
    assert np.abs(found - wanted).max() < 1e-4


def test_the_best_that_passed_is_taken(optimized: Bundle) -> None:
    facts = optimized.manifest.runtimes
    assert facts is not None
    assert runtimes.load(optimized).name == facts.order[0]
    assert set(facts.kept) == set(NAMES)
    assert open_bundle(optimized.path) == optimized


def test_a_name_that_is_not_there(optimized: Bundle, pair_bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match=r"no runtime 'onnx-int4'[\s\S]*onnx-fp32"):
        runtimes.load(optimized, "onnx-int4")
    with pytest.raises(ConfigError, match="no runtime 'onnx-int8'"):
        runtimes.load(pair_bundle, "onnx-int8")


def test_what_did_not_pass_is_loaded_only_where_that_is_allowed(optimized: Bundle) -> None:
    facts = optimized.manifest.runtimes
    assert facts is not None
    own = facts.kept["onnx-int8"].model_copy(
        update={"verified": False, "parity": {"refused_for": ["it drops"]}}
    )
    changed = facts.model_copy(
        update={"kept": {**facts.kept, "onnx-int8": own}, "order": ("onnx-int8", "torch-fp32")}
    )
    bundle = Bundle(optimized.path, optimized.manifest.model_copy(update={"runtimes": changed}))
    with pytest.raises(ConfigError, match=r"did not pass the parity gate \(it drops\)"):
        runtimes.load(bundle, "onnx-int8")
    assert runtimes.load(bundle).name == "torch-fp32"
    assert runtimes.load(bundle, "onnx-int8", allow_unverified=True).name == "onnx-int8"


def test_what_this_processor_or_machine_lacks_is_passed_over(
    optimized: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = optimized.manifest.runtimes
    assert facts is not None
    changed = facts.model_copy(update={"order": ("openvino-fp32", "onnx-int8", "onnx-fp32")})
    bundle = Bundle(optimized.path, optimized.manifest.model_copy(update={"runtimes": changed}))
    monkeypatch.setattr("tunesmith.runtimes._load.instructions", frozenset)
    monkeypatch.setitem(runtimes._load._MODULES, "openvino", ("no_such_module",))  # type: ignore[attr-defined]
    expected = "onnx-fp32" if facts.kept["onnx-int8"].needs else "onnx-int8"
    assert runtimes.load(bundle).name == expected
    with pytest.raises(MissingDependencyError, match="no_such_module"):
        runtimes.load(bundle, "openvino-fp32")


WITHOUT_TORCH = """
import json, sys
for name in ("torch", "transformers"):
    sys.modules[name] = None
from tunesmith import runtimes
from tunesmith.errors import MissingDependencyError
runtime = runtimes.load(sys.argv[1])
answers = [one.as_dict() for one in runtime.predict([["my card", "the card"], ["help", "login"]])]
import tunesmith.serving
try:
    runtimes.load(sys.argv[2])
    error = ""
except MissingDependencyError as raised:
    error = str(raised)
print(json.dumps([runtime.name, answers, error]))
"""


def test_no_torch_is_needed(optimized: Bundle, pair_bundle: Bundle) -> None:
    facts = optimized.manifest.runtimes
    assert facts is not None
    command = [sys.executable, "-c", WITHOUT_TORCH, str(optimized), str(pair_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, answers, error = json.loads(done.stdout)
    assert name == next(one for one in facts.order if one != "torch-fp32")
    assert "tunesmith optimize" in error
    wanted = runtimes.load(optimized, "torch-fp32").predict([["my card", "the card"]])[0]
    assert answers[0]["label"] == wanted.label  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.text(max_size=40), st.sampled_from(TEXTS)), min_size=1, max_size=4),
    max_length=st.integers(4, 20),
    pairs=st.booleans(),
)
def test_the_same_ids_as_by_transformers(
    kind: str, rows: list[tuple[str, str]], max_length: int, pairs: bool
) -> None:
    theirs = _TOKENIZERS.setdefault(kind, tiny_tokenizer(kind))
    if theirs.pad_token is None:
        theirs.pad_token = theirs.eos_token
    names = tuple(theirs.model_input_names)
    plain = PlainTokenizer(theirs.backend_tokenizer, theirs.pad_token_id, names)
    inputs = rows if pairs else [row[:1] for row in rows]
    wanted, found = (tokenize(one, inputs, max_length) for one in (theirs, plain))
    everything = np.arange(len(rows))
    for name, values in wanted.batch(everything).items():
        assert np.array_equal(values.numpy(), found.arrays(everything)[name])
    assert np.array_equal(wanted.full_lengths, found.full_lengths)


_TOKENIZERS: dict[str, object] = {}
