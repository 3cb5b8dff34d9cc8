"""The published JSON Schema of report.json."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from tunesmith.evaluation._report import SCHEMA_VERSION, Report

__all__ = ["report_schema"]

_TEXT: dict[str, Any] = {"type": "string"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Any] = {"type": "number"}
_SECONDS: dict[str, Any] = {"type": "number", "minimum": 0}
_ANYTHING: dict[str, Any] = {"type": "object"}
_ANSWER: dict[str, Any] = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _object(required: dict[str, Any], others: Any = False) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required,
        "required": list(required),
        "additionalProperties": others,
    }


_DEFINITIONS: dict[str, Any] = {
    "estimate": {
        "description": "A figure and the ends of its interval; null where no interval can be had, "
        "as from one row or one group.",
        **_object({"value": _NUMBER, "low": _or_null(_NUMBER), "high": _or_null(_NUMBER)}),
    },
    "label": {
        "description": "Figures of one label, null where the rows do not define them: precision "
        "where no row was given it, recall where none has it, f1 where neither; roc_auc and pr_auc "
        "where all rows have it, or none.",
        **_object(
            {
                "precision": _or_null(_ref("estimate")),
                "recall": _or_null(_ref("estimate")),
                "f1": _or_null(_ref("estimate")),
                "support": _COUNT,
                "roc_auc": _or_null(_ref("estimate")),
                "pr_auc": _or_null(_ref("estimate")),
            }
        ),
    },
    "metrics": {
        "description": "Metric → figure. Metrics that the rows do not define are absent, and a "
        "note says why.",
        **_object(
            {
                "labels": {"type": "object", "additionalProperties": _ref("label")},
                "num_examples": {"type": "integer", "minimum": 1},
                "confidence": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "notes": _list(_TEXT),
            },
            _ref("estimate"),
        ),
    },
    "candidate": _object({"name": _TEXT, "metrics": _ref("metrics"), "seconds": _SECONDS}),
    "mistake": {
        "description": "A wrong answer; personal data in its texts is masked.",
        **_object(
            {
                "row": _COUNT,
                "inputs": _list(_TEXT),
                "target": _ANSWER,
                "predicted": _ANSWER,
                "probability": {"type": "number", "minimum": 0, "maximum": 1},
            }
        ),
    },
    "task": {
        "type": "object",
        "properties": {
            "name": _TEXT,
            "fields": _list(_object({"name": _TEXT, "modality": _TEXT})),
            "labels": _list(_TEXT),
        },
        "required": ["name", "fields", "labels"],
    },
    "forgetting": _object(
        {
            "parent": _TEXT,
            "metric": _TEXT,
            "before": _ref("metrics"),
            "after": _ref("metrics"),
            "change": _ref("estimate"),
            "num_left_out": _COUNT,
            "num_replayed": _COUNT,
        }
    ),
}

_FIELDS: dict[str, dict[str, Any]] = {
    "title": _TEXT,
    "task": _ref("task"),
    "created": {"type": "string", "format": "date-time"},
    "candidates": _list(_ref("candidate")),
    "chosen": _TEXT,
    "metrics": _ref("metrics"),
    "split_sizes": {"type": "object", "additionalProperties": _COUNT},
    "split_source": _TEXT,
    "data": _ANYTHING,
    "base": _ANYTHING,
    "config": _ANYTHING,
    "versions": {"type": "object", "additionalProperties": _TEXT},
    "seconds": _SECONDS,
    "machine": _TEXT,
    "advantage": _or_null(_ref("estimate")),
    "advantage_over": _TEXT,
    "method": _TEXT,
    "fit": _ANYTHING,
    "contenders": _list(_ANYTHING),
    "notes": _list(_TEXT),
    "history": _list(_ANYTHING),
    "confusion": _or_null(_list(_list(_COUNT))),
    "mistakes": _list(_ref("mistake")),
    "forgetting": _or_null(_ref("forgetting")),
    "sections": {
        "description": "Section → its values; each section's own page in the guide describes them.",
        "type": "object",
        "additionalProperties": _ANYTHING,
    },
    "kind": {"enum": ["training", "evaluation"]},
}


def report_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the report.json that is written now.

    Fields are only ever added within a version of the schema; a version that takes one away or
    changes its meaning gets a number of its own, and older reports stay readable.
    """
    described = {entry.name for entry in fields(Report)}
    assert described == set(_FIELDS), "every field of a report is described"
    optional = {entry.name for entry in fields(Report) if entry.default is not MISSING}
    head = {
        "schema_version": {"const": SCHEMA_VERSION},
        "headline": {"description": "One sentence; no gain on a baseline comes first.", **_TEXT},
        "better": {
            "description": "Whether the model is significantly better than the best baseline; null "
            "where nothing was compared.",
            "type": ["boolean", "null"],
        },
    }
    required = [*head, *(name for name in _FIELDS if name not in optional)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:tunesmith:report:{SCHEMA_VERSION}",
        "title": "Tunesmith report.json",
        "type": "object",
        "properties": {**head, **_FIELDS},
        "required": required,
        "additionalProperties": False,
        "$defs": _DEFINITIONS,
    }
