"""The native protocol's JSON, as models for reading and as schemas for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tunesmith.serving.limits import Limits
from tunesmith.serving.protocols._explanation import Explanation
from tunesmith.tasks import MultiLabelClassification, Task, TextClassification, Wanted

__all__ = ["PredictRequest", "request_body", "response_model"]

_IN_SCOPE = "Whether the text is like the training data; there where asked"
_EXPLANATION = "What each word adds to the likeliest label; there where asked"


class PredictRequest(BaseModel):
    """A request as far as it is alike for all tasks; `Task.read` knows what an item may be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[Any] = Field(min_length=1)
    top_k: int | None = Field(None, ge=1)
    model: str | None = None
    version: str | None = None
    abstain_below: float | None = None
    precision: float | None = None
    coverage: float | None = None
    scope: bool = False
    explain: bool = False

    @property
    def wanted(self) -> Wanted:
        """What the answers should say beside the labels."""
        return Wanted(self.abstain_below, self.precision, self.coverage, self.scope)


class LabelAnswer(BaseModel):
    """The likeliest label; the probabilities of all labels sum to 1."""

    label: str
    probability: float = Field(ge=0, le=1)
    probabilities: dict[str, float]
    abstained: bool | None = Field(None, description="Too unsure to be used; there where asked")
    label_set: list[str] | None = Field(
        None, description="Hold the true label as often as was asked; there where asked"
    )
    in_scope: bool | None = Field(None, description=_IN_SCOPE)
    explanation: Explanation | None = Field(None, description=_EXPLANATION)


class LabelsAnswer(BaseModel):
    """Every label whose probability reaches its threshold, the likeliest first."""

    labels: list[str]
    probabilities: dict[str, float]
    in_scope: bool | None = Field(None, description=_IN_SCOPE)
    explanation: Explanation | None = Field(None, description=_EXPLANATION)


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str = Field(description="The first 12 hexadecimal digits of the bundle's digest")


Answer = TypeVar("Answer", LabelAnswer, LabelsAnswer)


class PredictResponse(BaseModel, Generic[Answer]):
    """One prediction for each text, in the order of the texts."""

    predictions: list[Answer]
    model: ModelName
    warnings: list[str] = Field(
        default_factory=list,
        description="Texts that are cut or explained by pieces; absent where there are none",
    )


def response_model(task: Task) -> type[BaseModel]:
    """What a task's answers look like."""
    if isinstance(task, MultiLabelClassification):
        return PredictResponse[LabelsAnswer]
    return PredictResponse[LabelAnswer]


def request_body(task: Task, limits: Limits) -> dict[str, Any]:
    """The OpenAPI description of a request for this task, under these limits."""
    schema = {
        "type": "object",
        "required": ["texts"],
        "additionalProperties": False,
        "properties": {
            "texts": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.max_texts,
                "items": _item(task, limits),
                "description": "What to answer. A text may not be blank.",
            },
            "top_k": {
                "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
                "description": "Give the probabilities of only so many labels, the likeliest.",
            },
            "model": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "Which model, where there are several.",
            },
            "version": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "Which of its versions; else the one that answers now.",
            },
            "explain": {
                "type": "boolean",
                "description": "Say what each word adds to the likeliest label, of at most "
                f"{limits.explained_texts} texts; the key needs the scope explain.",
            },
            **_options(task),
        },
    }
    example = {"texts": [_example(task)]}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _options(task: Task) -> dict[str, Any]:
    """What may be asked of this task beside the labels, with the levels that it has."""
    options: dict[str, Any] = {}
    if isinstance(task, TextClassification):
        share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
        options["abstain_below"] = {
            "anyOf": [share, {"type": "null"}],
            "description": "Mark answers that are less likely as abstained.",
        }
        if task.selective is not None and task.selective.thresholds:
            options["precision"] = {
                "enum": [level for level, _ in task.selective.thresholds] + [None],
                "description": "The same, so that so many of the others are right.",
            }
        if task.conformal is not None and task.conformal.quantiles:
            options["coverage"] = {
                "enum": [level for level, _ in task.conformal.quantiles] + [None],
                "description": "Give a set of labels that holds the true one so often.",
            }
    if getattr(task, "scope", None) is not None:
        options["scope"] = {
            "type": "boolean",
            "description": "Say whether each text is like the training data.",
        }
    return options


def _item(task: Task, limits: Limits) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": limits.max_characters}
    names = [field.name for field in task.fields]
    forms: list[dict[str, Any]] = [
        {
            "type": "array",
            "items": text,
            "minItems": len(names),
            "maxItems": len(names),
            "description": f"In this order: {', '.join(names)}.",
        },
        {"type": "object", "required": names, "properties": dict.fromkeys(names, text)},
    ]
    return {"anyOf": [text, *forms] if len(names) == 1 else forms}


def _example(task: Task) -> object:
    names = [field.name for field in task.fields]
    if len(names) == 1:
        return "What the model should read"
    return {name: f"What the model should read as {name}" for name in names}
