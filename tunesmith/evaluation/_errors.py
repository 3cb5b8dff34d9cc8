"""What a model's mistakes have in common, and which of them may be the label's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.checks import redacted
from tunesmith.evaluation._answers import answers_of
from tunesmith.evaluation._clusters import Texts, cluster_texts
from tunesmith.evaluation._doubtful import doubtful_labels
from tunesmith.evaluation._outcomes import is_multi_label
from tunesmith.evaluation._slices import row_texts
from tunesmith.tasks import Task
from tunesmith.types import Dataset, Target

__all__ = ["Confusion", "DoubtfulLabel", "ErrorCluster", "Errors", "Example", "judge_errors"]

_MOST_MISTAKES = 2_000
_EXAMPLES = 3
_CONFUSIONS = 3
_MOST_CHARACTERS = 300
_ROWS_NAMED = 5
