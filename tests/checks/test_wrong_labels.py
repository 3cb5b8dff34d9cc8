"""How likely labels are to be wrong: whose side the words take tells it."""

from __future__ import annotations

import numpy as np
import pytest

from tunesmith.checks._wrong_labels import SUSPECTED, Votes, chance_of_wrong, probabilities_of_wrong


def votes(
    disputed: int, siding: float, undisputed: int = 900, seed: int = 0
) -> tuple[Votes, np.ndarray]:
    """Rows of label 0 of which the encoder disputes some; the words side with a share of these."""
    generator = np.random.default_rng(seed)
    targets = np.zeros(disputed + undisputed, dtype=np.int64)
    expected = np.r_[np.ones(disputed, dtype=np.int64), np.zeros(undisputed, dtype=np.int64)]
    words = np.where(generator.random(len(targets)) < 0.95, 0, 2)
    words[:disputed] = np.where(np.arange(disputed) < siding * disputed, 0, 1)
    return Votes(expected, np.where(expected == 1, 1.5, 0.0), words), targets


def test_where_words_side_with_disputed_labels_these_are_right() -> None:
    wrong = chance_of_wrong(*votes(200, siding=0.75))
    assert wrong.max() < SUSPECTED


def test_where_words_side_with_the_encoder_they_are_wrong() -> None:
    wrong = chance_of_wrong(*votes(200, siding=0.2))
    assert (wrong[60:200] > 0.85).all()
    assert not wrong[200:].any()  # nobody disputes these


def test_a_row_with_whose_label_words_agree_is_less_suspicious_than_its_like() -> None:
    wrong = chance_of_wrong(*votes(200, siding=0.4))
    assert wrong[:80].max() < wrong[80:200].min()


@pytest.mark.parametrize("siding", [0.1, 0.3, 0.5, 0.7])
def test_more_rows_that_words_hold_for_wrong_make_all_more_suspicious(siding: float) -> None:
    less = chance_of_wrong(*votes(400, siding=siding + 0.15))
    more = chance_of_wrong(*votes(400, siding=siding))
    assert more[399] > less[399]


def test_nothing_disputed_and_all_disputed_say_nothing() -> None:
    given, targets = votes(0, siding=0)
    assert not chance_of_wrong(given, targets).any()
    given, targets = votes(50, siding=0.5, undisputed=0)
    assert not chance_of_wrong(given, targets).any()


def test_a_share_of_changed_labels_is_found_and_right_ones_are_not() -> None:
    generator = np.random.default_rng(0)
    right = np.arange(600) % 3
    features = np.eye(3, 16, dtype=np.float32)[right]
    features += generator.normal(0, 0.2, features.shape).astype(np.float32)
    own = np.array(["refund invoice", "parcel courier", "login password"])[right]
    texts = [f"{words} number {n % 7}" for n, words in enumerate(own)]
    clean, _ = probabilities_of_wrong(features, texts, right, 3)
    assert not (clean > SUSPECTED).any()
    given = right.copy()
    given[:30] = (right[:30] + 1) % 3
    wrong, believed = probabilities_of_wrong(features, texts, given, 3)
    expected = believed.argmax(axis=1)
    assert np.flatnonzero(wrong > SUSPECTED).tolist() == list(range(30))
    assert (expected[:30] == right[:30]).all()


def test_texts_without_a_common_word_leave_every_label_alone() -> None:
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    texts = [f"{n}abc" for n in range(60)]
    wrong, _ = probabilities_of_wrong(features, texts, np.arange(60) % 2, 2)
    assert not wrong.any()
