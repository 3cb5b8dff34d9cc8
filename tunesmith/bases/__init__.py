"""Base models: find one, check it, open it, put a head on it.

Each name is imported on first use: most bring torch. What reads texts without it (`PlainTokenizer`,
`tokenize`, `TokenizedDataset.arrays`, `sorted_batches`, `available_cores`) does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunesmith.bases._find import EMBEDDED, Base, Pooling, find_base

if TYPE_CHECKING:
    from tunesmith.bases._adapter_files import load_adapter, save_adapter
    from tunesmith.bases._adapter_kinds import ADAPTERS
    from tunesmith.bases._adapters import (
        attach_adapter,
        drop_in_adapter,
        has_adapter,
        merge_adapter,
    )
    from tunesmith.bases._batches import sorted_batches
    from tunesmith.bases._classifier import (
        DTYPES,
        Classifier,
        Precision,
        load_classifier,
        new_classifier,
    )
    from tunesmith.bases._cores import available_cores
    from tunesmith.bases._fewer_layers import spread_layers, with_layers
    from tunesmith.bases._four_bit import check_four_bit
    from tunesmith.bases._freezing import PartialMethod, train_only
    from tunesmith.bases._inference import (
        TokenSource,
        extract_features,
        score,
        score_features,
    )
    from tunesmith.bases._layers import layers_of, lists_of_layers
    from tunesmith.bases._machine import (
        choose_device,
        choose_precision,
        device_name,
        matrix_rate,
        matrix_rates,
        set_threads,
    )
    from tunesmith.bases._packing import PackedTokens, packed
    from tunesmith.bases._places import TokenPlaces, find_places
    from tunesmith.bases._plain_tokenizer import PlainTokenizer
    from tunesmith.bases._prefix import PrefixCache
    from tunesmith.bases._token_cache import CacheEntry, TokenCache
    from tunesmith.bases._tokens import (
        TokenBatch,
        TokenizedDataset,
        gathered,
        load_tokenizer,
        tokenize,
    )

__all__ = [
    "ADAPTERS",
    "DTYPES",
    "EMBEDDED",
    "Base",
    "CacheEntry",
    "Classifier",
    "PackedTokens",
    "PartialMethod",
    "PlainTokenizer",
    "Pooling",
    "Precision",
    "PrefixCache",
    "TokenBatch",
    "TokenCache",
    "TokenPlaces",
    "TokenSource",
    "TokenizedDataset",
    "attach_adapter",
    "available_cores",
    "check_four_bit",
    "choose_device",
    "choose_precision",
    "device_name",
    "drop_in_adapter",
    "extract_features",
    "find_base",
    "find_places",
    "gathered",
    "has_adapter",
    "layers_of",
    "lists_of_layers",
    "load_adapter",
    "load_classifier",
    "load_tokenizer",
    "matrix_rate",
    "matrix_rates",
    "merge_adapter",
    "new_classifier",
    "packed",
    "save_adapter",
    "score",
    "score_features",
    "set_threads",
    "sorted_batches",
    "spread_layers",
    "tokenize",
    "train_only",
    "with_layers",
]

_HEAVY = {
    "load_adapter": "_adapter_files",
    "save_adapter": "_adapter_files",
    "ADAPTERS": "_adapter_kinds",
    "attach_adapter": "_adapters",
    "drop_in_adapter": "_adapters",
    "has_adapter": "_adapters",
    "merge_adapter": "_adapters",
    "DTYPES": "_classifier",
    "Classifier": "_classifier",
    "load_classifier": "_classifier",
    "new_classifier": "_classifier",
    "Precision": "_classifier",
    "spread_layers": "_fewer_layers",
    "with_layers": "_fewer_layers",
    "PartialMethod": "_freezing",
    "train_only": "_freezing",
    "available_cores": "_cores",
    "check_four_bit": "_four_bit",
    "choose_device": "_machine",
    "choose_precision": "_machine",
    "device_name": "_machine",
    "matrix_rate": "_machine",
    "matrix_rates": "_machine",
    "set_threads": "_machine",
    "extract_features": "_inference",
    "score": "_inference",
    "score_features": "_inference",
    "layers_of": "_layers",
    "lists_of_layers": "_layers",
    "PackedTokens": "_packing",
    "packed": "_packing",
    "TokenPlaces": "_places",
    "find_places": "_places",
    "PlainTokenizer": "_plain_tokenizer",
    "PrefixCache": "_prefix",
    "sorted_batches": "_batches",
    "TokenSource": "_inference",
    "CacheEntry": "_token_cache",
    "TokenCache": "_token_cache",
    "TokenBatch": "_tokens",
    "TokenizedDataset": "_tokens",
    "gathered": "_tokens",
    "load_tokenizer": "_tokens",
    "tokenize": "_tokens",
}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        import importlib

        return getattr(importlib.import_module(f"tunesmith.bases.{_HEAVY[name]}"), name)
    raise AttributeError(name)
