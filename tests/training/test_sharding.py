"""Processes that share out a model's weights have the losses and the weights of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent

# Started by torchrun or alone; each case says what is trained, and where one is short of memory.
SCRIPT = """
import json, sys
from contextlib import ExitStack
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from safetensors.torch import save_file
from tiny import TOPICS, tiny_rows
from tunesmith.bases import PrefixCache, attach_adapter, new_classifier, packed, train_only
from tunesmith.training import Checkpoints, FitSettings, Rows, Supervised, fit, join_processes
from tunesmith.training.criteria import Contrastive

import tunesmith.training._fit as loop

class Seen(loop.ShardedCopy):
    def __init__(self, *given):
        super().__init__(*given)
        Seen.held = sum(weight.numel() for weight in self.trained.values())

loop.ShardedCopy = Seen
SHORT = "DefaultCPUAllocator: not enough memory: you tried to allocate"

class Losses:
    def __init__(self): self.heard, self.halved = [], []
    def on_step(self, step, loss, rate): self.heard.append(loss)
    def on_start(self, total_steps, first_step): pass
    def on_less_memory(self, max_tokens): self.halved.append(max_tokens)
    def on_epoch(self, record): pass
    def on_end(self): pass

class Cramped(Supervised):
    room, where = 0, "forward"
    def losses(self, model, batch, targets):
        short = processes.rank == processes.size - 1 and batch["input_ids"].numel() > self.room
        if short and self.where == "before":
            raise RuntimeError(SHORT)
        layer = model.backbone.encoder.layer[0].output.dense
        def fail(*_): raise RuntimeError(SHORT)
        forward = self.where == "forward"
        if short:
            on = layer.register_forward_hook if forward else layer.register_full_backward_hook
            hook = on(fail)
        try:
            losses = super().losses(model, batch, targets)
            if short: losses.sum().backward()
        finally:
            if short: hook.remove()
        return losses

def run(base, out, case):
    torch.manual_seed(1)
    model = new_classifier(base, "mean", len(TOPICS), dropout=case.get("dropout", 0.0))
    method = case.get("method", "full")
    # Of 45 rows in batches of 4 the last has one row: the other process has none.
    rows, validation = tiny_rows(base, 45, seed=0), tiny_rows(base, 21, seed=1)
    if method in ("full", "last-k", "bitfit"):
        train_only(model, method, layers=1, embeddings=case.get("embeddings", False))
    else:
        attach_adapter(model, method, rank=4)
    model.gradient_checkpointing(case.get("checkpointing", False))
    if method == "last-k":
        cache = PrefixCache.build(model, rows.tokens, 1, out, 10_000_000)
        assert cache is not None
        rows = Rows(cache, rows.targets)
    if case.get("packed"):
        rows = Rows(case["context"].enter_context(packed(model, rows.tokens, "fp32")), rows.targets)
    criterion = Supervised("cross-entropy", r_drop=case.get("r_drop", 0.0))
    if "few_shot" in case:
        criterion = Contrastive(rows, "cross-entropy", len(TOPICS), rows_a_label=2)
    if "room" in case:
        criterion = Cramped("cross-entropy")
        Cramped.room, Cramped.where = case["room"], case["where"]
    settings = {{
        "epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "average_decay": 0.9,
        "max_tokens": 30, "sharding": "full", **case.get("settings", {{}}),
    }}
    frozen = {{n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}}
    losses = Losses()
    result = fit(
        model, rows, validation, objective="cross-entropy", criterion=criterion,
        judge=lambda scores: float((scores.argmax(axis=1) == validation.targets).mean()),
        settings=FitSettings(**settings), callbacks=[losses],
        checkpoints=Checkpoints(out / "checkpoints", interval_s=3600),
        until_epoch=case.get("until_epoch"), resume=True,
    )
    assert all(torch.equal(p, dict(model.named_parameters())[n]) for n, p in frozen.items())
    facts = {{
        "losses": losses.heard, "halved": losses.halved, "size": processes.size,
        "history": [[r.validation_loss, r.metric] for r in result.history],
        "best": result.best_epoch, "held": getattr(Seen, "held", None),
    }}
    (out / f"{{processes.rank}}.json").write_text(json.dumps(facts))
    state = {{name: value.contiguous().clone() for name, value in model.state_dict().items()}}
    save_file(state, str(out / f"{{processes.rank}}.safetensors"))

torch.set_num_threads(1)
processes = join_processes()
for name, case in json.loads(sys.argv[3]).items():
    out = Path(sys.argv[2]) / name
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as case["context"]:
        run(Path(sys.argv[1]), out, case)
"""

Cases = dict[str, dict[str, Any]]
Found = tuple[list[dict[str, Any]], list[dict[str, torch.Tensor]]]


def train(base: Path, out: Path, processes: int, cases: Cases) -> dict[str, Found]:
    """The facts and the weights of each process, by case."""
    out.mkdir(exist_ok=True)
    file = out / "script.py"
    file.write_text(SCRIPT.format(tests=str(HERE.parent)))
    start = [sys.executable, "-W", "error"]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*start, str(file), str(base), str(out), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return {
        name: (
            [json.loads((out / name / f"{rank}.json").read_text()) for rank in range(processes)],
            [load_file(out / name / f"{rank}.safetensors") for rank in range(processes)],
        )
        for name in cases
    }


def assert_as_one(
    alone: Found, together: Found, *, losses: float = 1e-4, weights: float = 2e-5
) -> None:
    [expected], [kept] = alone
    for facts, found in zip(*together, strict=True):
        assert facts["best"] == expected["best"]
        assert facts["losses"] == pytest.approx(expected["losses"], rel=losses)
        assert len(facts["history"]) == len(expected["history"])
        for one, other in zip(facts["history"], expected["history"], strict=True):
            assert one == pytest.approx(other, rel=losses)
        for name, value in kept.items():
            torch.testing.assert_close(found[name], value, atol=weights, rtol=1e-3)
    first, *others = together[1]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)


CASES: Cases = {
    "full": {},
    "embeddings and soup": {"embeddings": True, "settings": {"averaging": "soup"}},
    "clipped hard": {"settings": {"clip_norm": 0.01}},
    "sgd, layer decay": {"settings": {"optimizer": "sgd", "layer_decay": 0.5}},
    "lion": {"settings": {"optimizer": "lion", "learning_rate": 1e-4}},
    "rmsprop": {"settings": {"optimizer": "rmsprop", "learning_rate": 1e-4}},
    "amsgrad": {"settings": {"optimizer": "amsgrad"}},
    "schedule-free": {"settings": {"optimizer": "schedule-free"}},
    "r-drop": {"r_drop": 1.0},
    "recomputed": {"checkpointing": True},
    "few-shot": {"few_shot": True, "settings": {"batch_size": 6}},
    "last-k": {"method": "last-k"},
    "bitfit": {"method": "bitfit"},
    "packed": {"packed": True},
    "lora": {"method": "lora"},
    "dora": {"method": "dora"},
    "ia3": {"method": "ia3"},
    "vera": {"method": "vera"},
    "oft": {"method": "oft"},
    "bf16": {"settings": {"precision": "bf16"}},
    "fp16": {"settings": {"precision": "fp16"}},
}
TOLERANCES = {
    # Which rows are worked on together decides where a bf16 copy rounds its sums.
    "bf16": (2e-2, 2e-3),
    "fp16": (2e-3, 5e-4),
    # The last digit of a gradient near 0 is its sign, and each weight moves by the rate whatever.
    "lion": (1e-2, 4e-3),
    # The head is fitted until its loss, which is flat there, no longer falls.
    "few-shot": (1e-3, 5e-3),
}
"""Of the losses, and of the weights."""
SHORT: Cases = {
    f"{where}{', recomputed' if again else ''}": {
        "room": 20, "where": where, "checkpointing": again, "settings": {"max_tokens": 60},
    }
    for where in ("before", "forward", "backward")
    for again in (False, True)
}  # fmt: skip
PAUSED: Cases = {"full": {"until_epoch": 1}, "lora": {"method": "lora", "until_epoch": 1}}


@pytest.fixture(scope="module")
def alone(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    return train(tiny_base, tmp_path_factory.mktemp("one"), 1, CASES)


@pytest.fixture(scope="module")
def together(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    return train(tiny_base, tmp_path_factory.mktemp("two"), 2, CASES)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_are_as_one(
    alone: dict[str, Found], together: dict[str, Found], name: str
) -> None:
    assert [facts["size"] for facts in together[name][0]] == [2, 2]
    losses, weights = TOLERANCES.get(name, (1e-4, 2e-5))
    assert_as_one(alone[name], together[name], losses=losses, weights=weights)


@pytest.mark.slow
def test_each_process_holds_a_part_of_what_is_trained(
    alone: dict[str, Found], together: dict[str, Found]
) -> None:
    facts, [weights, _] = together["embeddings and soup"]
    trained = sum(value.numel() for name, value in weights.items() if "pooler" not in name)
    whole = sum(value.numel() for name, value in weights.items() if name.startswith("head."))
    assert sum(one["held"] for one in facts) == trained + whole
    assert max(one["held"] for one in facts) < 0.52 * trained
    assert alone["full"][0][0]["held"] is None


@pytest.mark.slow
def test_more_processes_than_a_weight_has_rows(
    tiny_base: Path, alone: dict[str, Found], tmp_path: Path
) -> None:
    cases = {name: CASES[name] for name in ("full", "lora", "ia3")}
    for name, found in train(tiny_base, tmp_path / "three", 3, cases).items():
        assert_as_one(alone[name], found)


@pytest.mark.slow
def test_one_that_is_short_of_memory_makes_all_take_less(
    tiny_base: Path, alone: dict[str, Found], tmp_path: Path
) -> None:
    found = train(tiny_base, tmp_path / "two", 2, SHORT)
    for together in found.values():
        [first, second], _ = together
        assert first["halved"] == second["halved"] != []
        assert_as_one(alone["full"], together)


@pytest.mark.slow
def test_what_is_kept_is_whole_whatever_the_number_of_processes(
    tiny_base: Path, alone: dict[str, Found], tmp_path: Path
) -> None:
    train(tiny_base, tmp_path / "two", 2, PAUSED)
    rest: Cases = {"full": {}, "lora": {"method": "lora"}}
    unsharded: Cases = {
        name: {**case, "settings": {"sharding": "none"}} for name, case in rest.items()
    }
    for number, processes, cases in ((0, 3, rest), (1, 1, rest), (2, 2, unsharded)):
        shutil.copytree(tmp_path / "two", tmp_path / str(number))
        for name, found in train(tiny_base, tmp_path / str(number), processes, cases).items():
            [expected], kept = alone[name]
            half = len(expected["losses"]) // 2
            assert_as_one(([{**expected, "losses": expected["losses"][half:]}], kept), found)
