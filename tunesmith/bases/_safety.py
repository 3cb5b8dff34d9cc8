"""What is looked at before any library opens a model's folder.

Python files, `auto_map` and pickled weights run code of the folder's author when they are opened
(CWE-502); a folder that has them is refused here, by name, and nothing in it is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.errors import BaseModelError

__all__ = [
    "ADAPTER_CONFIG",
    "ADAPTER_WEIGHTS",
    "HEAD_FILE",
    "check_adapter",
    "check_folder",
    "read_json",
]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
HEAD_FILE = "head.safetensors"
"""Beside the weights of a model in a bundle; no part of what can be a base."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.msgpack", "*.h5")
_WITHOUT_CODE = "use a model that needs no code of its own"


def check_folder(folder: Path) -> dict[str, Any]:
    """Checks that `folder` is a Hugging Face model that can be opened safely.

    Returns:
        Its `config.json`.

    Raises:
        BaseModelError: it is not a model, wants to run code, or has pickled weights only.
    """
    where = str(folder)
    if not (folder / "config.json").is_file():
        raise BaseModelError(
            "is not a model: there is no config.json",
            where=where,
            mend="give a folder in Hugging Face layout (config.json, model.safetensors, tokenizer)",
        )
    if (folder / ADAPTER_CONFIG).is_file():
        # Libraries that find this file open the model that it names, and not the one beside it.
        raise BaseModelError(
            f"has {ADAPTER_CONFIG} beside a model: one of the two must go",
            where=where,
            mend="put the adapter in a folder of its own",
        )
    config = read_json(folder / "config.json")
    _check_no_code(folder)
    _check_weights(folder, config)
    if "model_type" not in config:
        raise BaseModelError("config.json names no model_type", where=where)
    return config


def check_adapter(folder: Path) -> dict[str, Any]:
    """Checks that `folder` is an adapter in PEFT's format that can be opened safely.

    Returns:
        Its `adapter_config.json`.

    Raises:
        BaseModelError: it is none, wants to run code, or has pickled weights only.
    """
    where = str(folder)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise BaseModelError(f"is not an adapter: there is no {ADAPTER_CONFIG}", where=where)
    config = read_json(folder / ADAPTER_CONFIG)
    _check_no_code(folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        _refuse_pickles(folder)
        raise BaseModelError(f"has no weights ({ADAPTER_WEIGHTS})", where=where)
    return config


def _check_no_code(folder: Path) -> None:
    where = str(folder)
    scripts = sorted(path.name for path in folder.rglob("*.py"))
    if scripts:
        raise BaseModelError(
            f"brings code of its own ({scripts[0]})", where=where, mend=_WITHOUT_CODE
        )
    for name in ("config.json", "tokenizer_config.json", ADAPTER_CONFIG):
        if (folder / name).is_file() and "auto_map" in read_json(folder / name):
            raise BaseModelError(
                f"{name} asks to run code (auto_map)", where=where, mend=_WITHOUT_CODE
            )


def _refuse_pickles(folder: Path) -> None:
    pickled = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickled:
        raise BaseModelError(
            f"has pickled weights only ({pickled[0]}), which can run code when opened",
            where=str(folder),
            mend="convert them with `model.save_pretrained(folder)` where you trust them",
        )


def _check_weights(folder: Path, config: dict[str, Any]) -> None:
    """Checks that all weights that a library would open are safetensors in this very folder."""
    where = str(folder)
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if not (whole.is_file() or index.is_file()):
        _refuse_pickles(folder)
        raise BaseModelError("has no weights (model.safetensors)", where=where)
    named = [config["transformers_weights"]] if "transformers_weights" in config else []
    for name in named + ([] if whole.is_file() else _shards(index)):
        if not str(name).endswith(".safetensors") or Path(name).name != name:
            raise BaseModelError(
                f"names weights that are no safetensors file beside it ({name})",
                where=where,
                mend="get the folder again, with its weights as model*.safetensors",
            )
        if not (folder / name).is_file():
            raise BaseModelError(
                f"lacks a part of its weights ({name})",
                where=where,
                mend="get the folder again, whole",
            )


def _shards(index: Path) -> list[str]:
    parts = read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise BaseModelError("names no weights (weight_map)", where=str(index))
    return sorted({str(part) for part in parts.values()})


def read_json(file: Path) -> dict[str, Any]:
    """A JSON file that must hold an object.

    Raises:
        BaseModelError: it does not.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseModelError(f"cannot be read: {error}", where=str(file)) from error
    if not isinstance(values, dict):
        raise BaseModelError("must hold a JSON object", where=str(file))
    return values
