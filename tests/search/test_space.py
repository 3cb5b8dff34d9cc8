"""What a search may vary, as the user writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith import config
from tunesmith.errors import ConfigError
from tunesmith.search import (
    Range,
    Space,
    ValueList,
    parse_space,
    read_space,
    searchable_settings,
    setting_value,
    with_settings,
)


def test_a_file_of_ranges_and_lists(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "training.learning_rate: {low: 1e-5, high: 1e-3}\n"
        "training:\n"
        "  epochs: {low: 2, high: 8}\n"
        "  dropout: {low: 0, high: 0.35, step: 0.1}\n"
        "  freeze_embeddings: [true, false]\n"
        "  average_decay: [null, 0.9]\n"
        "adapter.rank: [4, 8]\n"
    )
    space = read_space(file)
    assert dict(space.dimensions) == {
        "training.learning_rate": Range(1e-5, 1e-3, log=True),
        "training.epochs": Range(2, 8),
        "training.dropout": Range(0.0, 0.3, step=0.1),
        "training.freeze_embeddings": ValueList((True, False)),
        "training.average_decay": ValueList((None, 0.9)),
        "adapter.rank": ValueList((4, 8)),
    }
    assert parse_space(space.as_dict()) == space


def test_a_rate_is_logarithmic_unless_told_otherwise() -> None:
    plain = {"low": 0.1, "high": 1.0, "log": False}
    space = parse_space({"training.learning_rate": plain})
    assert space.dimensions["training.learning_rate"] == Range(0.1, 1.0)
    assert parse_space(space.as_dict()) == space


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "training.learning_rat: {low: 1e-5, high: 1e-3}\n"
        "dropout: [0.0, 0.1]\n"
        "data.test_fraction: [0.1, 0.2]\n"
        "training.dropout: {low: 0.3, high: 1.5}\n"
        "training.optimizer: [adamw, lionn]\n"
        "training.schedule: {low: 1, high: 2}\n"
        "training.epochs: {low: 5, hihg: 2}\n"
        "training.warmup_fraction: {low: 0.5, high: 0.1}\n"
        "training.weight_decay: {low: 0, high: 0.1, log: true}\n"
        "training.clip_norm: 1.0\n"
        "training.label_smoothing: [0.1]\n"
        "training.momentum: {low: 0.1, high: 0.9, step: 2}\n"
        "training.track: [tensorboard, mlflow]\n"
        "adapter.rank: {low: 2, high: 9, step: 0.5}\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_space(file)
    text = str(caught.value)
    for expected in (
        f"{file}: training.learning_rat: there is no such setting\n  → did you mean 'training.l",
        f"{file}: dropout: there is no such setting\n  → did you mean 'training.dropout' or 'ad",
        "data.test_fraction: cannot be searched over\n  → fix it with --set, or in --config",
        "training.dropout, high: must be less than 1 (got 1.5)",
        "training.optimizer: there is no 'lionn'\n  → did you mean 'lion'?",
        "training.schedule, low: there is no 1\n  → choices: linear, cosine",
        "training.epochs: a range has no 'hihg'\n  → did you mean 'high'?",
        "training.epochs: high is missing",
        "training.warmup_fraction: low must be below high (got 0.5 and 0.1)",
        "training.weight_decay: a logarithmic range must begin above 0\n  → leave out log",
        "training.clip_norm: is neither a range nor a list (got 1.0)",
        "training.label_smoothing: a list needs two values at least",
        "training.momentum: step must be a number above 0 that fits the range (got 2)",
        "training.track: cannot be searched over",
        "adapter.rank: the setting takes whole numbers: so must step (got 0.5)",
    ):
        assert expected in text
    assert len(caught.value.faults) == 16


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "must hold settings with ranges"),
        ("- 1", "must hold settings with ranges"),
        ("a: [", "is not YAML"),
        ("training: {epochs: [1, 2], epochs.x: [1]}", "there is no such setting"),
        ("{training.epochs: [1, 2], training: {epochs: [1, 2]}}", "is there twice"),
        ("training.epochs: [2, 2.0]", "a value is there twice"),
        ("training.freeze_embeddings: {low: 0, high: 1}", "a range is for numbers"),
        ("training.epochs: {low: 1, high: 9, log: 1}", "log is true or false (got 1)"),
        ("training.epochs: {low: 1, high: 9, log: true, step: 2}", "not both"),
    ],
)
def test_faults_one_by_one(tmp_path: Path, content: str, what: str) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=str(file)) as caught:
        read_space(file)
    assert what in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_space(tmp_path / "none.yaml")


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 7), st.floats(-100, 100))
def test_the_nearest_number_is_one_of_the_range(low: int, width: int, step: int, at: float) -> None:
    whole = Range(low, low + width, step=min(step, width))
    values = list(whole.values() or ())
    assert whole.nearest(at) in values
    assert min(abs(value - at) for value in values) == pytest.approx(abs(whole.nearest(at) - at))
    assert low <= Range(float(low), float(low + width)).nearest(at) <= low + width


def test_the_nearest_point_and_all_points() -> None:
    space = Space(
        {
            "training.epochs": Range(2, 4),
            "training.dropout": Range(0.0, 0.2, step=0.1),
            "training.averaging": ValueList(("ema", "none")),
        }
    )
    points = space.points(100)
    assert points is not None
    assert len(points) == 18
    near = space.nearest({"training.epochs": 9, "training.dropout": 0.12, "training.averaging": 1})
    assert near == {
        "training.epochs": 4,
        "training.dropout": pytest.approx(0.1),
        "training.averaging": "ema",
    }
    assert space.nearest({})["training.epochs"] == 2
    sizes = ValueList((None, 16, 64))
    assert [sizes.nearest(one) for one in (20, 64, 1000, None, "x")] == [16, 64, 64, None, None]
    assert space.points(17) is None
    assert Space({"training.momentum": Range(0.1, 0.9)}).points(10) is None
    assert list(space.without(["training.epochs"]).dimensions) == [
        *("training.dropout", "training.averaging")
    ]


def test_settings_by_name() -> None:
    run = config.load(settings={"training.epochs": 3, "data.source": "a.csv"})
    assert setting_value(run, "training.epochs") == 3
    changed = with_settings(run, {"training.epochs": 5, "adapter.rank": 4, "seed": 7})
    assert (changed.training.epochs, changed.adapter.rank, changed.seed) == (5, 4, 7)
    assert changed.data.source == "a.csv"
    # What is at its default still counts as not given.
    assert changed.training.model_fields_set == {"epochs"}
    with pytest.raises(ConfigError, match=r"training\.epochs: Input should be"):
        with_settings(run, {"training.epochs": 0})


def test_what_may_be_searched() -> None:
    names = searchable_settings()
    assert {"training.learning_rate", "training.method", "base.id", "few_shot.temperature"} <= {
        *names
    }
    assert not {name for name in names if name.startswith(("data.", "evaluation."))}
    assert not {"seed", "output", "training.threads", "training.budget_s"} & {*names}
