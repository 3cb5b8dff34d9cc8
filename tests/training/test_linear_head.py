"""The head against scikit-learn's logistic regression on the same features."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from tunesmith.training import fit_linear_head


def make_features(num_rows: int = 300, hidden: int = 12) -> NDArray[np.float32]:
    features = np.random.default_rng(0).normal(2.0, 3.0, (num_rows, hidden))
    return features.astype(np.float32)


def scaled(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features / np.linalg.norm(features, axis=1).mean()


def noisy_labels(features: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(1)
    scores = features @ generator.normal(size=(features.shape[1], size))
    return np.asarray(scores + generator.normal(0, 4, scores.shape))


@pytest.mark.parametrize("inverse_penalty", [10.0, 0.5])
def test_single_label_is_multinomial_regression(inverse_penalty: float) -> None:
    features = make_features()
    targets = noisy_labels(features, 4).argmax(axis=1)
    weight, bias = fit_linear_head(
        features, targets, 4, "cross-entropy", inverse_penalty=inverse_penalty
    )
    other = LogisticRegression(C=inverse_penalty, max_iter=5000, tol=1e-8)
    expected = other.fit(scaled(features), targets).predict_log_proba(scaled(features))
    scores = features @ weight.numpy().T + bias.numpy()
    found = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert np.abs(found - expected).max() < 0.01


def test_two_labels_are_the_binary_regression_of_twice_the_c() -> None:
    # Two rows of weights share the work of one, and so pay half of its penalty.
    features = make_features()
    targets = (noisy_labels(features, 1)[:, 0] > 0).astype(np.int64)
    weight, bias = fit_linear_head(features, targets, 2, "cross-entropy")
    other = LogisticRegression(C=20.0, max_iter=5000, tol=1e-8).fit(scaled(features), targets)
    scores = features @ weight.numpy().T + bias.numpy()
    expected = other.decision_function(scaled(features))
    assert np.abs(scores[:, 1] - scores[:, 0] - expected).max() < 0.02


def test_several_labels_are_a_regression_each() -> None:
    features = make_features()
    targets = (noisy_labels(features, 3) > 1).astype(np.float32)
    weight, bias = fit_linear_head(features, targets, 3, "binary-cross-entropy")
    one_each = OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=5000, tol=1e-8))
    expected = one_each.fit(scaled(features), targets).decision_function(scaled(features))
    assert np.abs(features @ weight.numpy().T + bias.numpy() - expected).max() < 0.02


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_scale_of_the_features_does_not_matter(factor: float) -> None:
    features = make_features()
    targets = noisy_labels(features, 3).argmax(axis=1)
    scores = []
    for own in (features, features * np.float32(factor)):
        weight, bias = fit_linear_head(own, targets, 3, "cross-entropy")
        scores.append(own @ weight.numpy().T + bias.numpy())
    assert np.abs(scores[0] - scores[1]).max() < 0.01


def test_features_that_say_nothing_give_the_shares() -> None:
    targets = np.array([0] * 30 + [1] * 10)
    weight, bias = fit_linear_head(np.zeros((40, 5), np.float32), targets, 2, "cross-entropy")
    assert not weight.any()
    assert float((bias[0] - bias[1]).exp()) == pytest.approx(3, rel=1e-3)


def test_the_same_features_give_the_same_head() -> None:
    features = make_features()
    targets = noisy_labels(features, 3).argmax(axis=1)
    one, other = (fit_linear_head(features, targets, 3, "cross-entropy") for _ in range(2))
    assert all(a.equal(b) for a, b in zip(one, other, strict=True))


def test_a_label_without_rows_is_kept_near_to_the_head_one_starts_from() -> None:
    generator = np.random.default_rng(0)
    targets = (np.arange(120) % 3).astype(np.int64)
    noise = generator.normal(size=(120, 8)).astype(np.float32)
    features = 3 * np.eye(8, dtype=np.float32)[targets] + 0.3 * noise
    known = fit_linear_head(features, targets, 3, "cross-entropy")
    two = targets < 2
    for start, told in ((known, 1.0), (None, 0.0)):
        weight, bias = fit_linear_head(features[two], targets[two], 3, "cross-entropy", start=start)
        answers = (features @ weight.numpy().T + bias.numpy()).argmax(axis=1)
        assert (answers == targets)[two].all()
        assert (answers == 2)[~two].mean() == told
