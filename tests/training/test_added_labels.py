"""A head for labels that are added: the old rows stay, the new ones are fitted beside them."""

from __future__ import annotations

import numpy as np
import torch

from tunesmith.training import fit_added_labels, fit_linear_head


def clusters(num_labels: int, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Rows of well separated groups in 8 dimensions."""
    generator = np.random.default_rng(0)
    targets = np.arange(rows * num_labels) % num_labels
    centres = 3 * np.eye(8, dtype=np.float32)[targets]
    noise = generator.normal(size=(len(targets), 8)).astype(np.float32)
    return centres + 0.3 * noise, targets.astype(np.int64)


def test_the_old_rows_stay_and_the_new_label_is_told_apart() -> None:
    features, targets = clusters(4)
    old = targets < 3
    weight, bias = fit_linear_head(features[old], targets[old], 3, "cross-entropy")
    more, shift = fit_added_labels(features, targets, weight, bias, 4, "cross-entropy")
    assert torch.equal(more[:3], weight)
    assert torch.equal(shift[:3], bias)
    answers = (features @ more.numpy().T + shift.numpy()).argmax(axis=1)
    assert (answers == targets).mean() > 0.98


def test_rows_of_new_labels_alone_do_not_run_away() -> None:
    features, targets = clusters(4)
    old = targets < 3
    weight, bias = fit_linear_head(features[old], targets[old], 3, "cross-entropy")
    more, shift = fit_added_labels(features[~old], targets[~old], weight, bias, 4, "cross-entropy")
    assert float(shift.abs().max()) < 20
    assert bool(torch.isfinite(more).all())


def test_several_labels_a_row() -> None:
    features, places = clusters(4)
    targets = np.eye(4, dtype=np.float32)[places]
    weight, bias = fit_linear_head(features, targets[:, :3], 3, "binary-cross-entropy")
    more, shift = fit_added_labels(features, targets, weight, bias, 4, "binary-cross-entropy")
    assert torch.equal(more[:3], weight)
    scores = features @ more.numpy().T + shift.numpy()
    assert ((scores > 0) == (targets > 0.5)).mean() > 0.98
