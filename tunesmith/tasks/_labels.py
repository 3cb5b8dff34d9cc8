"""What the two label tasks share: reading inputs, and labels as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import DataError
from tunesmith.tasks._task import Field
from tunesmith.types import Inputs, Target

__all__ = ["label_indices", "label_text", "read_inputs"]


def label_text(value: object) -> str:
    """A label as text, alike for every file format: 1, 1.0 and "1" are "1"; True is "true"."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def read_inputs(fields: tuple[Field, ...], item: object) -> Inputs:
    """See `Task.read`."""
    names = [field.name for field in fields]
    if isinstance(item, Mapping):
        missing = [name for name in names if name not in item]
        if missing:
            raise DataError(
                f"no field {missing[0]!r} in the input", mend=f"give {', '.join(names)}"
            )
        values: list[object] = [item[name] for name in names]
    elif isinstance(item, Sequence) and not isinstance(item, str | bytes):
        values = list(item)
    else:
        values = [item]
    if len(values) != len(names):
        raise DataError(
            f"the model reads {len(names)} text(s) ({', '.join(names)}), and got {len(values)}"
        )
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, str):
            raise DataError(f"field {name!r} must be text, and is {type(value).__name__}")
    return tuple(str(value) for value in values)


def label_indices(labels: tuple[str, ...], targets: Sequence[Target]) -> list[NDArray[np.int64]]:
    """Each target's labels as places in `labels`.

    Raises:
        DataError: targets hold labels that are not in `labels`; all of them are named.
    """
    places = {label: place for place, label in enumerate(labels)}
    # A million rows have few different targets, and equal ones share an array.
    of_target: dict[Target, NDArray[np.int64]] = {}
    unknown: Counter[str] = Counter()
    for target, count in Counter(targets).items():
        own = (target,) if isinstance(target, str) else target
        unknown.update({label: count for label in own if label not in places})
        known = [places[label] for label in own if label in places]
        of_target[target] = np.array(known, dtype=np.int64)
    if unknown:
        listed = ", ".join(f"{label!r} ({count}×)" for label, count in sorted(unknown.items())[:10])
        raise DataError(
            f"labels that the model does not know: {listed}",
            mend=f"the model knows {', '.join(labels[:20])}{' …' if len(labels) > 20 else ''}",
        )
    return [of_target[target] for target in targets]
