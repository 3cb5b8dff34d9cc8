"""Labels as the nearest texts have them, for files in which many labels are wrong.

Where people are wrong they are wrong as others are of like texts, so that no loss tells such a row
from a right one. Of a text's fifty nearest, most have the right label as a rule; what they say is
learned in place of the row's own label (Bahri, Jiang & Gupta 2020, arXiv:2004.12289).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunesmith.checks import by_neighbours, unit_length
from tunesmith.recipes._listener import Listener
from tunesmith.training import Processes

__all__ = ["softened"]

_SHARPENED = 4.0  # chosen on rows held out of AG News (docs/log.md)
_TOO_MANY = 0.3  # a fifth of AG News' labels are wrong, and 13 % of the rows get another one


def softened(
    features: NDArray[np.float32], given: NDArray[Any], num_labels: int, listener: Listener
) -> NDArray[np.float32]:
    """What is learned of each of n rows, float32 [n, labels]; each row sums to 1.

    Args:
        features: of the frozen base, float32 [n, hidden], which say which texts are near.
        given: the rows' own labels, int64 [n].
    """
    told = by_neighbours(unit_length(features), given, num_labels)
    sharp = told**_SHARPENED
    soft = np.asarray(sharp / sharp.sum(axis=1, keepdims=True), dtype=np.float32)
    # Features may differ in their last digits between GPUs, and all must learn the same.
    Processes().take_from_first([torch.from_numpy(soft)])
    others = float((soft.argmax(axis=1) != given).mean())
    said = (
        f"labels are learned as the nearest texts have them, which for {others:.0%} of the rows is "
        "another one than their own"
    )
    if others > _TOO_MANY:
        listener.warn(
            f"{said}: so many are hardly all wrong, and like texts may have other labels here; "
            "compare with --set training.soft_labels=none"
        )
    else:
        listener.say(said)
    return soft
