"""The quickest of the trials that are as good as the best."""

from __future__ import annotations

from tunesmith.search import State, Trial, choose_trial


def trial(number: int, metric: float | None, seconds: float, state: State = "complete") -> Trial:
    return Trial(number, {}, state, metric=metric, seconds=seconds)


def is_clearly_better(a: Trial, b: Trial) -> bool:
    return (a.metric or 0.0) - (b.metric or 0.0) > 0.01


def test_the_quickest_of_the_tied() -> None:
    trials = [
        trial(0, 0.90, 1.0),
        trial(1, 0.931, 20.0),
        trial(2, 0.925, 10.0),
        trial(3, None, 0.1, "pruned"),
        trial(4, 0.929, 15.0),
    ]
    choice = choose_trial(trials, is_clearly_better)
    assert choice is not None
    assert (choice.best.number, choice.chosen.number, choice.tied) == (1, 2, (1, 2, 4))
    assert choice.reason() == (
        "Trial 1 is the best on the validation rows; 2 more are within a standard error of it, "
        "and trial 2 is the quickest of them: it is taken."
    )


def test_a_best_that_is_clear_or_quick() -> None:
    clear = choose_trial([trial(0, 0.9, 1.0), trial(1, 0.95, 9.0)], is_clearly_better)
    assert clear is not None
    assert clear.reason() == (
        "Trial 1 is the best on the validation rows, by more than a standard error."
    )
    quick = choose_trial([trial(0, 0.945, 9.0), trial(1, 0.95, 1.0)], is_clearly_better)
    assert quick is not None
    assert quick.chosen.number == 1
    assert quick.reason().endswith("1 more is within a standard error of it, none of them quicker.")


def test_one_trial_alone_is_better_than_nothing() -> None:
    alone = choose_trial([trial(0, 0.9, 1.0), trial(1, 0.95, 9.0, "pruned")], is_clearly_better)
    assert alone is not None
    assert alone.reason() == "Trial 0 is the only one that was trained to its end."


def test_nothing_to_choose() -> None:
    assert choose_trial([trial(0, None, 1.0, "failed")], is_clearly_better) is None
