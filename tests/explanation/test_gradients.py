"""Attributions of every family: whole words, the sum that they must have, and captum's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, LayerIntegratedGradients
from tiny import FAMILIES

from tunesmith.bases import attach_adapter, tokenize
from tunesmith.explanation import (
    METHODS,
    ExplainedText,
    _gradients,
    log_odds_of,
    read_texts,
    signed,
)
from tunesmith.tasks import Calibration
from tunesmith.types import Dataset

from .conftest import LABELS, Tiny, one_label, several_labels

TEXTS = [
    "my card has not arrived, where is the parcel?",
    "你好世界 我的包裹在哪里 🙂",
    "où est mon colis; naïve “quotes”",
    "สวัสดี ありがとう",
]


def rows(*columns: list[str]) -> Dataset:
    return Dataset(columns, None, np.arange(1, len(columns[0]) + 1))


def explained(tiny: Tiny, method: str, texts: list[str], **more) -> list[ExplainedText]:
    return tiny.explainer(method, **more).explain(rows(texts))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_whole_words_that_sum_up(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    for text in explained(tiny(family), "integrated-gradients", TEXTS):
        (one,) = text.explanations
        value = text.inputs[0]
        assert all(value[word.start : word.end] == word.text for word in one.words)
        assert "".join(word.text for word in one.words) == "".join(value.split())
        own = one.attribution
        assert own.other == pytest.approx(0.0, abs=1e-5), "the signs around the text stay"
        total = sum(word.attribution for word in one.words)
        assert total == pytest.approx(own.score - own.baseline_score + own.delta, abs=1e-4)
        assert own.is_converged
        assert abs(own.delta) <= max(0.05 * abs(own.score - own.baseline_score), 0.02)
        odds = one.probability / (1 - one.probability)
        assert np.log(odds) == pytest.approx(own.score, abs=1e-4)
        assert any(abs(word.attribution) > 1e-4 for word in one.words)


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "gpt2", "mamba", "t5"])
def test_integrated_gradients_are_captums(family: str, tiny: Callable[[str], Tiny]) -> None:
    model = tiny(family)
    text = explained(model, "integrated-gradients", TEXTS[:1], steps=30)[0]
    (one,) = text.explanations
    label = LABELS.index(one.label)

    readings, tokens = read_texts(model.tokenizer, [text.inputs], model.max_length)
    ids = tokens.batch(np.zeros(1, dtype=np.int64))["input_ids"]
    blank = ids.clone()
    blank[0, torch.from_numpy(readings[0].owners >= 0)] = model.tokenizer.pad_token_id
    captum = LayerIntegratedGradients(
        lambda ids: log_odds_of(model.classifier({"input_ids": ids}), label, several=False),
        model.classifier.encoder.get_input_embeddings(),
    )
    values, delta = captum.attribute(
        ids, baselines=blank, n_steps=30, return_convergence_delta=True
    )
    values = values[0].sum(dim=-1).detach().numpy()
    for place, word in enumerate(one.words):
        own = values[readings[0].owners == place].sum()
        assert word.attribution == pytest.approx(own, abs=1e-4)
    assert one.attribution.delta == pytest.approx(float(delta), abs=1e-4)
    assert one.attribution.steps == 30


def test_gradient_x_input_is_captums(tiny: Callable[[str], Tiny]) -> None:
    model = tiny("bert")
    (one,) = explained(model, "gradient-x-input", TEXTS[:1])[0].explanations
    label = LABELS.index(one.label)
    tokens = tokenize(model.tokenizer, [(TEXTS[0],)], model.max_length)
    batch = tokens.batch(np.zeros(1, dtype=np.int64))
    table = model.classifier.encoder.get_input_embeddings()
    vectors = table(batch["input_ids"]).detach().requires_grad_()

    def forward(given: torch.Tensor) -> torch.Tensor:
        states = model.classifier.backbone(
            inputs_embeds=given, token_type_ids=batch["token_type_ids"]
        ).last_hidden_state
        return log_odds_of(model.classifier.head(states.mean(dim=1)), label, several=False)

    values = InputXGradient(forward).attribute(vectors)[0].sum(dim=-1).detach().numpy()
    assert sum(word.attribution for word in one.words) == pytest.approx(
        values[1:-1].sum(), abs=1e-4
    )
    assert one.attribution.other == pytest.approx(values[0] + values[-1], abs=1e-4)
    assert one.attribution.delta is None


def test_more_steps_until_the_delta_is_small(
    tiny: Callable[[str], Tiny], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("gpt2")
    few = explained(model, "integrated-gradients", TEXTS[:1], steps=1)[0]
    monkeypatch.setattr(_gradients, "_RELATIVE", 0.0)
    monkeypatch.setattr(_gradients, "_ABSOLUTE", 0.0)
    monkeypatch.setattr(_gradients, "_MOST_STEPS", 90)
    most = explained(model, "integrated-gradients", TEXTS[:1])[0].explanations[0].attribution
    assert (most.steps, most.is_converged) == (80, False), "20, doubled as often as there is room"
    assert abs(most.delta) < abs(few.explanations[0].attribution.delta)
    assert few.explanations[0].attribution.steps == 1


def test_the_model_is_left_as_it_was(tiny: Callable[[str], Tiny]) -> None:
    model = tiny("bert")
    before = {name: value.clone() for name, value in model.classifier.state_dict().items()}
    model.classifier.train()
    explained(model, "integrated-gradients", TEXTS[:1])
    assert model.classifier.training
    model.classifier.eval()
    assert not model.classifier.encoder.get_input_embeddings()._forward_hooks
    assert all(p.grad is None for p in model.classifier.parameters())
    for name, value in model.classifier.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_adapter_on_the_base(tiny: Callable[[str], Tiny]) -> None:
    import copy

    model = tiny("bert")
    other = Tiny(copy.deepcopy(model.classifier), model.tokenizer, model.max_length)
    attach_adapter(other.classifier, "lora", rank=2)
    with torch.no_grad():
        for name, parameter in other.classifier.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    plain, adapted = (
        explained(one, "integrated-gradients", TEXTS[:1])[0] for one in (model, other)
    )
    assert adapted.explanations[0].attribution.is_converged
    assert plain.prediction != adapted.prediction


@pytest.mark.parametrize("method", ["integrated-gradients", "gradient-x-input", "leave-one-out"])
def test_texts_that_are_cut_are_explained_as_far_as_they_are_read(
    method: str, tiny: Callable[[str], Tiny]
) -> None:
    text = explained(tiny("bert"), method, ["where is the parcel " * 40])[0]
    assert text.is_cut
    assert (text.num_tokens, text.full_tokens > 60) == (60, True)
    words = text.explanations[0].words
    assert len(words) < 60
    assert all(text.inputs[0][word.start : word.end] == word.text for word in words)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "gpt2"])
def test_the_words_of_both_texts(family: str, tiny: Callable[[str], Tiny]) -> None:
    task = one_label("question", "answer")
    explainer = tiny(family).explainer("integrated-gradients", task)
    text = explainer.explain(rows(["where is it"], ["包裹 came"]))[0]
    words = [(word.field, word.text) for word in text.explanations[0].words]
    assert words[:3] == [("question", "where"), ("question", "is"), ("question", "it")]
    assert "".join(word for field, word in words if field == "answer") == "包裹came"
    assert text.as_dict()["inputs"] == {"question": "where is it", "answer": "包裹 came"}


def test_each_label_of_several(tiny: Callable[[str], Tiny]) -> None:
    explainer = tiny("bert").explainer("integrated-gradients", several_labels())
    (given,) = explainer.explain(rows(TEXTS[:1]))
    labels = given.prediction.labels
    wanted = list(labels) or [max(LABELS, key=lambda name: given.prediction.probabilities[name])]
    assert [one.label for one in given.explanations] == wanted
    for one in given.explanations:
        own = one.attribution
        assert 1 / (1 + np.exp(-own.score)) == pytest.approx(one.probability, abs=1e-5)
    (asked,) = explainer.explain(rows(TEXTS[:1]), label="money")
    assert [one.label for one in asked.explanations] == ["money"]


CALIBRATIONS = {
    "temperature": Calibration("temperature", (0.4,)),
    "vector": Calibration("vector", (0.4, 0.9, 1.3), (0.5, -0.2, 0.1)),
}


@pytest.mark.parametrize("kind", CALIBRATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_explained_is_the_probability_that_is_shown(
    kind: str, method: str, tiny: Callable[[str], Tiny]
) -> None:
    task = replace(one_label(), calibration=CALIBRATIONS[kind])
    (one,) = tiny("bert").explainer(method, task).explain(rows(TEXTS[:1]))[0].explanations
    own = one.attribution
    assert own.probability == pytest.approx(one.probability, abs=1e-5)
    assert not own.is_before_isotonic
    if method == "integrated-gradients":
        total = sum(word.attribution for word in one.words) + own.other
        assert total == pytest.approx(own.score - own.baseline_score + own.delta, abs=1e-4)
        assert own.is_converged
        assert f"add up to {signed(total)}" in one.facts()


def test_several_labels_are_calibrated_each_by_itself(tiny: Callable[[str], Tiny]) -> None:
    platt = Calibration("platt", (0.3, 0.5, 2.0), (1.0, -1.0, 0.2))
    task = replace(several_labels(), calibration=platt)
    for label in LABELS:
        model = tiny("bert").explainer("integrated-gradients", task)
        (one,) = model.explain(rows(TEXTS[:1]), label=label)[0].explanations
        assert one.attribution.probability == pytest.approx(one.probability, abs=1e-5)


@pytest.mark.parametrize("method", ["integrated-gradients", "gradient-x-input"])
def test_isotonic_regression_is_flat_so_what_comes_before_it_is_explained(
    method: str, tiny: Callable[[str], Tiny]
) -> None:
    flat = ((0.0, 1.0), (0.2, 0.2))
    isotonic = Calibration("isotonic", (0.4,), knots=(flat, flat, flat))
    task = replace(one_label(), calibration=isotonic)
    (one,) = tiny("bert").explainer(method, task).explain(rows(TEXTS[:1]))[0].explanations
    plain = replace(task, calibration=Calibration("temperature", (0.4,)))
    model = tiny("bert").explainer(method, plain)
    (before,) = model.explain(rows(TEXTS[:1]), label=one.label)[0].explanations
    assert any(abs(word.attribution) > 1e-4 for word in one.words)
    assert one.attribution.score == pytest.approx(before.attribution.score, abs=1e-5)
    assert one.probability == pytest.approx(1 / 3)
    assert one.as_dict()["is_before_isotonic"]
    said = f"({before.probability:.1%}) before isotonic regression, which makes it 33.3%"
    assert said in one.facts()
