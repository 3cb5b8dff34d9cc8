"""cleanlab by its tutorial for texts: cross-validated logistic regression, its filter's defaults.

Run by `data_quality.py` in a Python that has cleanlab; the folder named holds features and labels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

folder = Path(sys.argv[1])
features, given = np.load(folder / "features.npy"), np.load(folder / "labels.npy")
model = LogisticRegression(max_iter=400)
probabilities = cross_val_predict(model, features, given, method="predict_proba")
found = find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence")
np.save(folder / "flagged.npy", found)
