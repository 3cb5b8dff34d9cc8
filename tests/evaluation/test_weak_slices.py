"""A search for conditions under which a model errs: planted ones are found, chance is not."""

from __future__ import annotations

import json

import numpy as np

from tunesmith.evaluation._weak_slices import WeakSlices, find_weak_slices

from .rows_for_tests import ONE, SEVERAL, answers, dataset_of, random_texts


def searched(seed, plant=None, num_rows=800, **options):
    """Rows of which one in ten is wrong by chance, and those that `plant` says nearly always."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(3, size=num_rows)
    texts = random_texts(generator, num_rows)
    chosen = np.zeros(num_rows, bool)
    if plant is not None:
        texts, chosen = plant(texts, generator)
    error = np.where(chosen, 0.8, 0.1)
    wrong = generator.random(num_rows) < error
    return find_weak_slices(
        ONE, dataset_of(texts), targets, answers(targets, wrong), seed=seed, **options
    )


def with_word(word, share=0.06):
    def plant(texts, generator):
        chosen = generator.random(len(texts)) < share
        words = zip(texts, chosen, strict=True)
        return [f"{text} {word}" if has else text for text, has in words], chosen

    return plant


def test_chance_is_not_found():
    found = [searched(seed) for seed in range(15)]
    assert sum(len(one.slices) for one in found) <= 2
    assert all(one.num_conditions > 200 for one in found)
    assert found[0].sentences() == ()


def test_a_planted_word_is_found():
    for seed in range(3):
        found = searched(seed, with_word("Zebra"))
        (weak,) = found.slices
        (condition,) = weak.conditions
        assert (condition.kind, condition.value) == ("word", "zebra")
        assert weak.estimate.high < weak.rest.low
        assert weak.num_rows + weak.num_found < 100
        assert len(weak.rows) == 5
        assert WeakSlices.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_a_planted_chinese_word_is_found():
    def plant(texts, generator):
        chosen = generator.random(len(texts)) < 0.08
        sentences = ["房间很干净", "早餐一般而已", "位置不错离地铁站很近", "不太好"]
        plain = [sentences[place % 4] for place in range(len(texts))]
        pairs = zip(plain, chosen, strict=True)
        return [f"{text}赠品" if has else text for text, has in pairs], chosen

    (weak, *_) = searched(0, plant).slices
    assert weak.conditions[0].value in {"赠品", "赠", "品"}


def test_a_missing_word_and_a_column_are_found():
    def plant(texts, generator):
        chosen = generator.random(len(texts)) < 0.1
        return [text if bad else f"{text} please" for text, bad in
                zip(texts, chosen, strict=True)], chosen  # fmt: skip

    (weak,) = searched(0, plant).slices
    assert weak.sentence() == "the text lacks “please”"

    def of_shop(texts, _):
        return texts, np.arange(len(texts)) % 10 == 0

    shops = [f"shop {place % 10}" for place in range(800)]
    (weak,) = searched(0, of_shop, columns={"shop": shops}).slices
    assert weak.sentence() == "shop is shop 0"


def test_two_conditions_that_are_harmless_alone():
    def plant(texts, generator):
        first, second = generator.random((2, len(texts))) < 0.3
        texts = [f"{text} ape" if has else text for text, has in zip(texts, first, strict=True)]
        texts = [f"{text} bee" if has else text for text, has in zip(texts, second, strict=True)]
        return texts, first & second

    (weak, *_) = searched(1, plant, num_rows=2000).slices
    assert {condition.value for condition in weak.conditions} == {"ape", "bee"}
    assert " and " in weak.sentence()


def test_groups_stay_in_one_half_and_several_labels_work():
    generator = np.random.default_rng(0)
    targets = (generator.random((600, 3)) < 0.5).astype(np.float32)
    texts, chosen = with_word("zebra", 0.1)(random_texts(generator, 600), generator)
    probabilities = np.clip(targets + generator.normal(0, 0.25, targets.shape), 0.01, 0.99)
    probabilities[chosen] = 1 - probabilities[chosen]
    found = find_weak_slices(
        SEVERAL, dataset_of(texts), targets, probabilities, groups=np.arange(600) // 2
    )
    assert all(size % 2 == 0 for size in found.num_rows)
    assert found.slices[0].conditions[0].value == "zebra"
    assert found.slices[0].metric == "micro_f1"


def test_too_little_to_search():
    assert searched(0, num_rows=90) is None
    targets = np.zeros(300, int)
    data = dataset_of(["a text"] * 300)
    assert find_weak_slices(ONE, data, targets, answers(targets, targets > 0)) is None


def test_personal_data_is_no_condition():
    found = searched(0, with_word("anna@example.com"))
    assert "example" not in json.dumps(found.as_dict())
