"""Two bundles on the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import labelled_rows

from tunesmith import recipes
from tunesmith.bundles import Bundle
from tunesmith.errors import BundleError, ConfigError, DataError
from tunesmith.recipes import Run

from .conftest import Train, write_rows


@pytest.fixture
def wider(train: Train, tmp_path: Path) -> Run:
    """A run with a label more, and one less."""
    rows = [row for row in labelled_rows(90, seed=5) if row[1] != "login"]
    rows += [(f"{text} stars", "space") for text, _ in labelled_rows(30, seed=6)]
    return train(source=str(write_rows(tmp_path / "wider.csv", rows)))


def test_a_bundle_is_no_better_than_itself(finished: Run, topics: Path) -> None:
    found = recipes.compare(finished.bundle, finished.folder, topics)
    comparison = found.comparison
    assert comparison.names[0] == comparison.names[1]
    assert "NOT significantly better" in comparison.headline()
    assert comparison.changed == ()
    assert comparison.mcnemar is not None
    assert comparison.mcnemar.p_value == 1.0
    change = comparison.differences["accuracy"]
    assert change.low < change.value == 0 < change.high


def test_labels_that_one_lacks(finished: Run, wider: Run, tmp_path: Path) -> None:
    rows = [*labelled_rows(30, seed=9), *((f"{t} stars", "space") for t, _ in labelled_rows(9, 10))]
    file = write_rows(tmp_path / "x.csv", rows)
    found = recipes.compare(finished.bundle, wider.bundle, file)
    comparison = found.comparison
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert comparison.before.labels.keys() == {"login", "money", "parcel", "space"}
    assert comparison.before.labels["space"].recall.value == 0
    assert comparison.after.labels["login"].recall.value == 0
    assert sum("does not have the labels 'space'" in note for note in values["notes"]) == 1
    assert sum("does not have the labels 'login'" in note for note in values["notes"]) == 1

    first = recipes.predict(finished.bundle, file).column("label")
    second = recipes.predict(wider.bundle, file).column("label")
    truth = [topic for _, topic in rows]
    both = list(zip(first, second, truth, strict=True))
    assert values["num_fixed"] == sum(a != t and b == t for a, b, t in both)
    assert values["num_broken"] == sum(a == t and b != t for a, b, t in both)
    assert values["num_changed"] == sum(a != b for a, b, _ in both)
    assert values["mcnemar"]["only_a"] == values["num_broken"]
    difference = comparison.after["accuracy"].value - comparison.before["accuracy"].value
    assert comparison.differences["accuracy"].value == pytest.approx(difference)
    assert [row.change for row in comparison.changed] == sorted(
        (row.change for row in comparison.changed),
        key=("broken", "fixed", "other").index,
    )
    html = comparison.to_html()
    assert "<script" not in html
    assert "default-src 'none'" in html


def test_personal_data_is_masked(finished: Run, wider: Run, tmp_path: Path) -> None:
    rows = [(f"{text} jane.doe@example.com stars", topic) for text, topic in labelled_rows(40, 11)]
    found = recipes.compare(finished.bundle, wider.bundle, write_rows(tmp_path / "x.csv", rows))
    assert found.comparison.changed
    for text in (json.dumps(found.as_dict()), found.comparison.to_html()):
        assert "jane.doe" not in text


def test_several_labels_a_row(several_bundle: Bundle, several_csv: Path) -> None:
    found = recipes.compare(several_bundle, several_bundle, several_csv, metric="hamming_loss")
    assert found.comparison.mcnemar is None
    assert found.comparison.metric == "hamming_loss"
    json.dumps(found.as_dict(), allow_nan=False)


def test_what_cannot_be_compared(
    finished: Run, topics: Path, several_bundle: Bundle, pair_bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match="is of another task: multi-label-classification"):
        recipes.compare(finished.bundle, several_bundle, topics)
    with pytest.raises(BundleError, match="reads 2 text columns"):
        recipes.compare(finished.bundle, pair_bundle, topics)
    with pytest.raises(ConfigError, match="there is no metric 'acuracy'") as caught:
        recipes.compare(finished.bundle, finished.bundle, topics, metric="acuracy")
    assert "accuracy" in caught.value.faults[0].mend
    file = write_rows(tmp_path / "x.csv", [*labelled_rows(9), ("greetings", "martian")])
    with pytest.raises(DataError, match="'martian'"):
        recipes.compare(finished.bundle, finished.bundle, file)
