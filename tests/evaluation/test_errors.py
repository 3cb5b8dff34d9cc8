"""Mistakes in clusters, and labels that are likely wrong."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tunesmith.evaluation._clusters import cluster_texts
from tunesmith.evaluation._errors import DoubtfulLabel, Errors, judge_errors
from tunesmith.evaluation._evaluate import most_confident_mistakes

from .rows_for_tests import ONE, SEVERAL, answers, dataset_of, random_texts
from .test_report import Page, make_report

TOPICS = ("refund invoice money", "parcel courier late", "login password screen")


def topic_rows(num_rows, seed):
    """Texts that tell their label by three words."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=num_rows)
    texts = [f"{' '.join(generator.permutation(TOPICS[one].split()))} {place % 17}x"
             for place, one in enumerate(targets)]  # fmt: skip
    return texts, targets


def planted(share, seed=0, num_rows=400):
    """Test rows with some labels changed, and a model that is nearly always right."""
    generator = np.random.default_rng(seed)
    texts, true = topic_rows(num_rows, seed)
    chosen = generator.permutation(num_rows)[: int(share * num_rows)]
    given = true.copy()
    given[chosen] = (true[chosen] + 1) % 3
    wrong = generator.random(num_rows) < 0.05
    wrong[chosen] = False
    sure = np.where(wrong, 0.6, 0.9)[:, None]
    probabilities = np.eye(3)[np.where(wrong, (true + 2) % 3, true)] * sure + (1 - sure) / 3
    return dataset_of(texts, given), given, probabilities, chosen


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_planted_label_errors_are_marked_and_among_the_surest_mistakes(share):
    data, targets, probabilities, chosen = planted(share)
    known = dataset_of(*topic_rows(600, seed=9))
    found = judge_errors(ONE, data, targets, probabilities, known=known)
    rows = {one.row for one in found.doubtful}
    wanted = set((chosen + 1).tolist())
    assert len(rows & wanted) >= 0.9 * len(wanted)
    assert len(rows & wanted) >= 0.9 * len(rows)
    top = most_confident_mistakes(ONE, data, targets, probabilities, limit=len(wanted) + 5)
    assert len({one.row for one in top} & wanted) >= 0.9 * len(wanted)
    first = found.doubtful[0]
    assert first.suggested == ONE.labels[int(probabilities[first.row - 1].argmax())]
    assert "may be wrong labels" in found.sentences()[0]
    assert Errors.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_no_label_is_doubted_where_the_model_errs_against_the_known_rows():
    texts, targets = topic_rows(300, seed=0)
    wrong = np.arange(300) % 10 == 0
    known = dataset_of(*topic_rows(600, seed=9))
    found = judge_errors(ONE, dataset_of(texts), targets, answers(targets, wrong), known=known)
    assert found.num_mistakes == 30
    assert not found.doubtful
    assert found.sentences() == ()


def test_mistakes_of_a_kind_are_one_cluster_with_its_words():
    texts, targets = topic_rows(300, seed=0)
    generator = np.random.default_rng(1)
    strange = ["ticket about cancelled zebra holidays", "monthly giraffe subscription renewal"]
    for place in range(60):
        texts[place] = f"{strange[place % 2]} {' '.join(random_texts(generator, 1))}"
    found = judge_errors(ONE, dataset_of(texts), targets, answers(targets, np.arange(300) < 60))
    words = [" ".join(cluster.words) for cluster in found.clusters]
    assert any("zebra" in own or "holidays" in own for own in words)
    assert any("giraffe" in own or "renewal" in own for own in words)
    assert sum(cluster.num_rows for cluster in found.clusters) <= 60
    for cluster in found.clusters:
        assert cluster.confusions[0].count <= cluster.num_rows
        assert cluster.examples[0].target != cluster.examples[0].predicted


def test_no_cluster_is_named_by_stop_words():
    about = [
        "refund of a parcel",
        "password for the bank card",
        "le colis et la banque",
        "快递的密码",
    ]
    texts = [f"{about[n % 4]} it is not in my word{n % 7} was the" for n in range(60)]
    found = cluster_texts(texts, 0)
    words = {word for cluster in found for term in cluster.words for word in term.split()}
    assert words
    assert not words & {
        "of",
        "a",
        "for",
        "the",
        "it",
        "is",
        "in",
        "my",
        "was",
        "et",
        "la",
        "le",
        "的",
    }


def test_one_wrong_label_is_not_many():
    doubtful = (DoubtfulLabel(7, "a", "b", 0.9, 0.8),)
    (said,) = Errors(1, 20, (), doubtful).sentences()
    assert said == "1 of 1 mistake may be a wrong label of the test rows: row 7"
    (said,) = Errors(3, 20, (), doubtful * 2).sentences()
    assert said == "2 of 3 mistakes may be wrong labels of the test rows: rows 7, 7"


def test_clusters_of_little_and_of_copies():
    assert cluster_texts(["a text"] * 9, 0) == []
    assert cluster_texts([f"word{place}" for place in range(20)], 0) == []
    (only,) = cluster_texts(["the same text"] * 20, 0)
    assert len(only.places) == 20


def test_several_labels_are_missed_or_not_asked_for():
    generator = np.random.default_rng(0)
    texts = random_texts(generator, 60)
    targets = np.tile(np.array([[1, 0, 0]], dtype=np.float32), (60, 1))
    probabilities = np.tile(np.array([[0.1, 0.9, 0.1]]), (60, 1))
    found = judge_errors(SEVERAL, dataset_of(texts), targets, probabilities, known=dataset_of([]))
    pairs = {(one.target, one.predicted) for one in found.clusters[0].confusions}
    assert pairs == {("a", ""), ("", "b")}
    assert not found.doubtful
    assert Errors.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_no_mistakes():
    texts, targets = topic_rows(30, 0)
    data = dataset_of(texts)
    assert judge_errors(ONE, data, targets, answers(targets, targets < 0)) is None


def test_personal_data_is_masked():
    texts = [f"write to anna@example.com about the parcel {place % 3}" for place in range(40)]
    targets = np.zeros(40, int)
    found = judge_errors(ONE, dataset_of(texts), targets, answers(targets, targets == 0))
    assert "anna@" not in json.dumps(found.as_dict())


def test_the_page_shows_the_mistakes_once_and_marks_them():
    data, targets, probabilities, _ = planted(0.1)
    known = dataset_of(*topic_rows(600, seed=9))
    section = judge_errors(ONE, data, targets, probabilities, known=known)
    report = dataclasses.replace(
        make_report(),
        mistakes=most_confident_mistakes(ONE, data, targets, probabilities),
        sections=(section,),
    )
    html = report.to_html()
    Page(html)
    assert html.count("The most confident mistakes</h") == 1
    assert "label likely wrong" in html
