"""The loop: it learns, repeats itself to the bit, stops and goes on, and keeps the best."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tunesmith.bases import Classifier, score
from tunesmith.errors import Interrupted, OutputError, TrainingError
from tunesmith.training import (
    Checkpoints,
    EpochRecord,
    FitResult,
    FitSettings,
    MetricsLog,
    Rows,
    Supervised,
    fit,
)
from tunesmith.training.criteria import mean_loss

MakeModel = Callable[..., Classifier]
Run = Callable[..., FitResult]

STEPS_AN_EPOCH = 6
PLAIN = FitSettings(epochs=2, batch_size=8, learning_rate=3e-3)
VARIANTS = {
    "fp32": PLAIN,
    "parts": replace(PLAIN, max_tokens=40),
    "soup": replace(PLAIN, averaging="soup", schedule="wsd"),
    "muon": replace(PLAIN, optimizer="muon", learning_rate=2e-3, layer_decay=0.8),
    "schedule-free": replace(PLAIN, optimizer="schedule-free"),
    "bf16": replace(PLAIN, precision="bf16"),
    "fp16": replace(PLAIN, precision="fp16"),
    "average": replace(PLAIN, average_decay=0.9),
    "bf16, average, dropout": replace(
        PLAIN, precision="bf16", average_decay=0.9, dropout=0.2, keep_start=False
    ),
}


class Listener:
    """Remembers what it hears, and calls `on` with the number of each step."""

    def __init__(
        self,
        on_step: Callable[[int], None] = lambda step: None,
        on_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> None:
        self.calls: list[str] = []
        self.losses: list[float] = []
        self.rates: list[float] = []
        self._on_step, self._on_epoch = on_step, on_epoch

    def on_start(self, total_steps: int, first_step: int) -> None:
        self.calls.append(f"start {first_step}/{total_steps}")

    def on_step(self, step: int, loss: float, rate: float) -> None:
        self.losses.append(loss)
        self.rates.append(rate)
        self._on_step(step)

    def on_less_memory(self, max_tokens: int) -> None:
        self.calls.append(f"at most {max_tokens} tokens")

    def on_epoch(self, record: EpochRecord) -> None:
        self.calls.append(f"epoch {record.epoch}")
        self._on_epoch(record.epoch)

    def on_end(self) -> None:
        self.calls.append("end")


def signal_at(place: int, number: signal.Signals = signal.SIGINT) -> Callable[[int], None]:
    return lambda now: signal.raise_signal(number) if now == place else None


@pytest.fixture
def run(train: Rows, validation: Rows) -> Run:
    """Fits on the rows above, with their accuracy as metric unless told otherwise."""

    def accuracy(scores: NDArray[np.float32]) -> float:
        return float((scores.argmax(axis=1) == validation.targets).mean())

    def call(
        model: Classifier, settings: FitSettings, *listeners: object, **others: object
    ) -> FitResult:
        return fit(
            model,
            train,
            validation,
            objective="cross-entropy",
            criterion=Supervised("cross-entropy"),
            settings=settings,
            callbacks=listeners,
            **{"judge": accuracy, **others},
        )  # type: ignore[arg-type]

    return call


def weights(model: Classifier) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def without_time(result: FitResult) -> list[EpochRecord]:
    return [replace(record, seconds=0.0) for record in result.history]


@pytest.mark.parametrize("variant", VARIANTS)
def test_it_learns_and_repeats_itself(make_model: MakeModel, run: Run, variant: str) -> None:
    settings = replace(VARIANTS[variant], epochs=3, learning_rate=1e-2)
    results, final, listeners = [], [], []
    for noise in (1, 2):
        torch.manual_seed(noise)
        model, listener = make_model(settings.dropout, freeze=False), Listener()
        results.append(run(model, settings, listener))
        final.append(weights(model))
        listeners.append(listener)
    assert same(*final)
    assert without_time(results[0]) == without_time(results[1])
    assert listeners[0].losses == listeners[1].losses
    assert np.mean(listeners[0].losses[-6:]) < 0.7 * np.mean(listeners[0].losses[:3])
    history = results[0].history
    assert [record.epoch for record in history] == [0, 1, 2, 3]
    assert [record.step for record in history] == [0, 6, 12, 18]
    assert history[0].train_loss is None
    assert history[-1].validation_loss < 0.9 * history[0].validation_loss
    assert {value.dtype for value in final[0].values()} <= {torch.float32, torch.int64}


def test_another_seed_gives_other_weights(make_model: MakeModel, run: Run) -> None:
    final = []
    for seed in (1, 2):
        model = make_model()
        run(model, replace(PLAIN, seed=seed, epochs=1))
        final.append(weights(model))
    assert not same(*final)


def test_frozen_weights_stay(make_model: MakeModel, run: Run) -> None:
    model = make_model()
    before = weights(model)
    run(model, replace(PLAIN, epochs=1, keep_start=False))
    changed = {name for name, value in weights(model).items() if not value.equal(before[name])}
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert changed <= trained
    assert "head.weight" in changed
    assert "backbone.encoder.layer.0.attention.self.query.weight" in changed


def test_callbacks_hear_everything_in_order(make_model: MakeModel, run: Run) -> None:
    listener = Listener()
    run(make_model(), replace(PLAIN, warmup_fraction=0.25), listener)
    assert listener.calls == ["start 0/12", "epoch 0", "epoch 1", "epoch 2", "end"]
    assert listener.rates[:3] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert listener.rates[-1] == pytest.approx(3e-3 / 9)


STOPS = [1, 3, STEPS_AN_EPOCH, STEPS_AN_EPOCH + 1, 2 * STEPS_AN_EPOCH]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, tuple[dict[str, torch.Tensor], FitResult]]:
    return {}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stops", [[stop] for stop in STOPS] + [[2, 4, 8]], ids=str)
def test_interrupted_and_resumed_is_as_undisturbed(
    make_model: MakeModel,
    run: Run,
    tmp_path: Path,
    undisturbed: dict[str, tuple[dict[str, torch.Tensor], FitResult]],
    variant: str,
    stops: list[int],
) -> None:
    settings = VARIANTS[variant]
    if variant not in undisturbed:
        model = make_model(settings.dropout)
        undisturbed[variant] = (None, run(model, settings))  # type: ignore[assignment]
        undisturbed[variant] = (weights(model), undisturbed[variant][1])
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for place, stop in enumerate(stops):
        torch.manual_seed(stop)
        listener = Listener(signal_at(stop))
        with pytest.raises(Interrupted, match=f"stopped at step {stop} of 12; a checkpoint was"):
            run(
                make_model(settings.dropout), settings, listener,
                checkpoints=checkpoints, resume=place > 0,
            )  # fmt: skip
        assert listener.calls[-1] == "end"
    model, listener = make_model(settings.dropout), Listener()
    torch.manual_seed(99)
    result = run(model, settings, listener, checkpoints=checkpoints, resume=True)
    assert listener.calls[0] == f"start {stops[-1]}/12"
    expected, expected_result = undisturbed[variant]
    assert same(weights(model), expected)
    assert without_time(result) == without_time(expected_result)
    assert result.best_epoch == expected_result.best_epoch


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_ctrl_c_while_validating_is_not_forgotten(
    make_model: MakeModel, run: Run, tmp_path: Path, epoch: int
) -> None:
    expected = make_model()
    run(expected, PLAIN)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(Interrupted, match="checkpoint was kept"):
        run(make_model(), PLAIN, Listener(on_epoch=signal_at(epoch)), checkpoints=checkpoints)
    model = make_model()
    run(model, PLAIN, checkpoints=checkpoints, resume=True)
    assert same(weights(model), weights(expected))


def test_being_terminated_keeps_a_checkpoint_too(
    make_model: MakeModel, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted) as raised:
        run(
            make_model(), PLAIN, Listener(signal_at(4, signal.SIGTERM)),
            checkpoints=Checkpoints(tmp_path),
        )  # fmt: skip
    assert raised.value.faults[0].where == str(tmp_path / "step-00000004")
    assert "--resume" in str(raised.value)


def test_without_checkpoints_it_just_stops(make_model: MakeModel, run: Run) -> None:
    with pytest.raises(Interrupted, match=r"^stopped at step 2 of 12$"):
        run(make_model(), PLAIN, Listener(signal_at(2)))


def test_resuming_from_nothing_starts(make_model: MakeModel, run: Run, tmp_path: Path) -> None:
    listener = Listener()
    run(make_model(), PLAIN, listener, checkpoints=Checkpoints(tmp_path / "none"), resume=True)
    assert listener.calls[0] == "start 0/12"


def poison(model: Classifier, at: int) -> Listener:
    def on_step(step: int) -> None:
        if step == at:
            model.head.weight.data.fill_(float("nan"))

    return Listener(on_step)


def test_a_loss_that_is_no_number_ends_training(
    make_model: MakeModel, run: Run, tmp_path: Path
) -> None:
    model = make_model()
    checkpoints = Checkpoints(tmp_path, interval_s=0)
    listener = poison(model, at=STEPS_AN_EPOCH + 2)
    with pytest.raises(TrainingError, match="the loss is nan at step 9") as raised:
        run(model, PLAIN, listener, checkpoints=checkpoints)
    assert "learning_rate" in str(raised.value)
    assert listener.calls[-1] == "end"
    kept = checkpoints.load_newest()
    assert kept is not None
    assert kept[1]["step"] == STEPS_AN_EPOCH + 1, "the spoilt weights of step 8 are not kept"
    assert all(value.isfinite().all() for value in kept[0].values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_spoilt_by_the_last_step_are_never_kept(
    make_model: MakeModel, run: Run, tmp_path: Path, precision: str
) -> None:
    settings = replace(PLAIN, precision=precision, learning_rate=1e30, warmup_fraction=0.0)
    checkpoints = Checkpoints(tmp_path)
    one_step = replace(settings, batch_size=64, epochs=1, keep_start=False)
    with pytest.raises(TrainingError, match=r"the loss is .* on the validation rows after step 1"):
        run(make_model(), one_step, checkpoints=checkpoints)
    assert checkpoints.load_newest() is None


def test_a_full_disk_keeps_the_checkpoints_so_far(
    make_model: MakeModel, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path)
    save = Checkpoints.save

    def fill(self: Checkpoints, step: int, *others: object) -> Path:
        if step > STEPS_AN_EPOCH:
            raise OutputError("the disk is full")
        return save(self, step, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Checkpoints, "save", fill)
    with pytest.raises(OutputError):
        run(make_model(), PLAIN, checkpoints=checkpoints)
    kept = checkpoints.load_newest()
    assert kept is not None
    assert kept[1]["step"] == STEPS_AN_EPOCH


def scripted(*metrics: float) -> Callable[[object], float]:
    values = iter(metrics)
    return lambda scores: next(values)


@pytest.mark.parametrize(
    ("metrics", "keep_start", "best"),
    [
        ((0.9, 0.5, 0.8, 0.7), True, 0),
        ((0.9, 0.5, 0.8, 0.7), False, 2),
        ((0.1, 0.5, 0.4, 0.5), False, 3),  # of equals the one with the lower loss
        ((0.1, 0.5, 0.6, 0.7), True, 3),
    ],
)
def test_the_best_epochs_weights_are_kept(
    make_model: MakeModel, run: Run, metrics: tuple[float, ...], keep_start: bool, best: int
) -> None:
    model = make_model()
    seen: list[dict[str, torch.Tensor]] = []
    settings = replace(PLAIN, epochs=3, keep_start=keep_start)
    listener = Listener(on_epoch=lambda epoch: seen.append(weights(model)))
    result = run(model, settings, listener, judge=scripted(*metrics))
    losses = [record.validation_loss for record in result.history]
    assert losses[3] < losses[1], "which the third case rests on"
    assert result.best_epoch == best
    assert same(weights(model), seen[best])
    assert tuple(record.metric for record in result.history) == metrics


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_average_is_what_is_judged_and_kept(
    make_model: MakeModel, run: Run, validation: Rows, precision: str
) -> None:
    settings = replace(PLAIN, average_decay=0.9, keep_start=False, precision=precision)
    model, plain = make_model(), make_model()
    result = run(model, settings)
    run(plain, replace(settings, average_decay=0.0))
    assert not same(weights(model), weights(plain))
    scores = score(model.at(settings.precision), validation.tokens)
    targets = torch.from_numpy(validation.targets)
    loss = mean_loss("cross-entropy", torch.from_numpy(scores), targets)
    assert float(loss) == pytest.approx(result.history[result.best_epoch].validation_loss)


def test_patience_ends_training(make_model: MakeModel, run: Run, tmp_path: Path) -> None:
    settings = replace(PLAIN, epochs=9, patience=2)
    result = run(make_model(), settings, judge=scripted(0.1, 0.5, 0.4, 0.3, 0.9))
    assert [record.epoch for record in result.history] == [0, 1, 2, 3]
    assert result.best_epoch == 1
    improving = run(make_model(), replace(settings, epochs=4), judge=scripted(1, 2, 3, 4, 5))
    assert len(improving.history) == 5


def test_it_ends_early_with_the_rates_of_the_whole_schedule(
    make_model: MakeModel, run: Run
) -> None:
    whole, short = Listener(), Listener()
    settings = replace(PLAIN, epochs=4)
    run(make_model(), settings, whole)
    result = run(make_model(), replace(settings, end_after=1, keep_last=True), short)
    assert result.best_epoch == 1
    assert short.calls[0] == f"start 0/{STEPS_AN_EPOCH}"
    assert short.rates == whole.rates[:STEPS_AN_EPOCH]
    assert short.losses == whole.losses[:STEPS_AN_EPOCH]


def test_more_rows_a_batch_than_rows(make_model: MakeModel, run: Run) -> None:
    result = run(make_model(), replace(PLAIN, batch_size=4096, epochs=2))
    assert [record.step for record in result.history] == [0, 1, 2]


def test_several_labels_learn_too(make_model: MakeModel, train: Rows, validation: Rows) -> None:
    def several(rows: Rows) -> Rows:
        return Rows(rows.tokens, np.eye(3, dtype=np.float32)[rows.targets])

    result = fit(
        make_model(freeze=False),
        several(train),
        several(validation),
        objective="binary-cross-entropy",
        criterion=Supervised("binary-cross-entropy"),
        judge=lambda scores: float((scores.argmax(axis=1) == validation.targets).mean()),
        settings=replace(PLAIN, epochs=3, learning_rate=1e-2),
    )
    assert result.history[-1].validation_loss < 0.8 * result.history[0].validation_loss


def test_the_log_has_a_line_an_epoch_and_grows_when_resumed(
    make_model: MakeModel, run: Run, tmp_path: Path
) -> None:
    log, checkpoints = tmp_path / "deep" / "metrics.jsonl", Checkpoints(tmp_path / "checkpoints")
    with pytest.raises(Interrupted):
        run(
            make_model(),
            PLAIN,
            MetricsLog(log, "full", {"learning_rate": 1e-3}),
            Listener(signal_at(8)),
            checkpoints=checkpoints,
        )
    run(make_model(), PLAIN, MetricsLog(log, "full"), checkpoints=checkpoints, resume=True)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("start", 0), ("epoch", 0), ("epoch", 6), ("start", 8), ("step", 10), ("epoch", 12),
    ]  # fmt: skip
    assert lines[0]["settings"] == {"learning_rate": 1e-3}
    assert {"train_loss", "validation_loss", "metric", "seconds"} <= lines[-1].keys()


def test_figures_on_rows_that_are_learned_from_are_not_logged(
    make_model: MakeModel, run: Run, tmp_path: Path
) -> None:
    log = tmp_path / "metrics.jsonl"
    run(make_model(), PLAIN, MetricsLog(log, "refit", judged=False))
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert len(epochs) > 1
    assert epochs[-1]["train_loss"] > 0
    assert not any({"validation_loss", "metric"} & line.keys() for line in epochs)
