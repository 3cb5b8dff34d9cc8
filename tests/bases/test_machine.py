"""What the machine can do, and the choices made by it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from tunesmith.bases import (
    _machine,
    available_cores,
    choose_device,
    choose_precision,
    matrix_rate,
    set_threads,
)

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_follow_the_cores_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert available_cores() >= 1
    assert set_threads(1) == torch.get_num_threads() == 1
    assert set_threads(None) == torch.get_num_threads() == available_cores()


@pytest.mark.parametrize(
    ("variable", "processes", "threads"),
    [("1", "1", 1), ("1,1", "1", None), ("0", "1", None), ("9999", "1", None), ("1", "1000", 1)],
)
def test_the_usual_variable_makes_them_fewer(
    monkeypatch: pytest.MonkeyPatch, variable: str, processes: str, threads: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert set_threads(None) == (threads or available_cores())


def test_the_rate_is_measured() -> None:
    assert matrix_rate("fp32", CPU, seconds=0.01) > 1e8


@pytest.mark.parametrize(("emulated_s", "num_rows"), [(0.0, 8), (1e9, 512)])
def test_an_emulated_product_has_few_rows(
    monkeypatch: pytest.MonkeyPatch, emulated_s: float, num_rows: int
) -> None:
    seen = []

    class Watched(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is torch.Tensor.matmul:
                seen.append(len(args[0]))
            return func(*args, **(kwargs or {}))

    monkeypatch.setattr(_machine, "_EMULATED_S", emulated_s)
    with Watched():
        assert matrix_rate("fp32", CPU, seconds=0.01) > 1e7
    assert seen[-1] == num_rows
    assert seen[0] == 8, "whether it is emulated is found out by few rows"


@pytest.mark.parametrize(("gain", "chosen"), [(0.3, "fp32"), (1.1, "fp32"), (1.3, "bf16")])
def test_bf16_only_where_it_is_measured_to_be_faster(
    monkeypatch: pytest.MonkeyPatch, gain: float, chosen: str
) -> None:
    rates = {"fp32": 1e9, "bf16": gain * 1e9}
    monkeypatch.setattr(_machine, "matrix_rate", lambda name, device: rates[name])
    precision, why = choose_precision("auto", CPU)
    assert precision == chosen
    assert f"bf16 runs at {gain:g} × the rate of fp32" in why


@pytest.mark.parametrize(("gain", "chosen"), [(1.1, "fp32"), (4.0, "fp16")])
def test_a_gpu_without_bf16_computes_in_fp16(
    monkeypatch: pytest.MonkeyPatch, gain: float, chosen: str
) -> None:
    rates = {"fp32": 1e9, "bf16": 0.4e9, "fp16": gain * 1e9}
    monkeypatch.setattr(_machine, "matrix_rate", lambda name, device: rates[name])
    monkeypatch.setattr(_machine, "_lacks_bf16", lambda device: device.type == "cuda")
    assert choose_precision("auto", torch.device("cuda"))[0] == chosen
    assert choose_precision("auto", CPU)[0] == "fp32"


def test_a_set_precision_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_machine, "matrix_rate", None)
    assert choose_precision("bf16", CPU) == ("bf16", "as set")


def test_there_is_a_device() -> None:
    assert choose_device().type in {"cpu", "cuda", "mps"}
