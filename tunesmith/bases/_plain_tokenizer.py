"""A base's tokenizer by the library `tokenizers` alone, for where transformers is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunesmith.bundles import Bundle, TokenizerFacts
from tunesmith.errors import BaseModelError

__all__ = ["PlainTokenizer"]

_FILE = "model/tokenizer.json"


@dataclass(frozen=True, slots=True)
class PlainTokenizer:
    """What `tokenize` takes in place of a tokenizer of transformers, and answers the same ids for.

    Attributes:
        backend_tokenizer: a `tokenizers.Tokenizer`.
        pad_token_id: what fills up short examples.
        model_input_names: what the base reads, "token_type_ids" among them or not.
        split_special_tokens: whether a special token that stands in a text is read as any text.
        unk_token_id: always None: unknown tokens are not counted.
    """

    backend_tokenizer: Any
    pad_token_id: int
    model_input_names: tuple[str, ...]
    split_special_tokens: bool = False
    unk_token_id: None = None

    @classmethod
    def load(cls, bundle: Bundle, facts: TokenizerFacts) -> PlainTokenizer:
        """Reads a bundle's tokenizer.json, verified as it is read.

        Args:
            facts: what the tokenizer of transformers has, and the file does not.

        Raises:
            BaseModelError: there is none, or it cannot be read.
            BundleError: it was changed since the bundle was opened.
        """
        from tokenizers import Tokenizer

        where, mend = str(bundle.path / _FILE), "a runtime without torch needs tokenizer.json"
        if _FILE not in bundle.manifest.files:
            raise BaseModelError("there is no such file", where=where, mend=mend)
        content = bundle.read(_FILE)
        try:
            backend = Tokenizer.from_buffer(content)
        # The library raises bare exceptions, whatever is wrong with the file.
        except Exception as error:
            what = f"its tokenizer cannot be opened ({str(error)[:200]})"
            raise BaseModelError(what, where=where, mend=mend) from error
        names = ("input_ids", *(["token_type_ids"] if facts.token_types else []), "attention_mask")
        return cls(backend, facts.pad_id, names, facts.split_special_tokens)
