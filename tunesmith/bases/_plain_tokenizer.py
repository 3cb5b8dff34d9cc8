"""A base's tokenizer by the library `tokenizers` alone, for where transformers is not installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import BaseModelError

__all__ = ["PlainTokenizer"]

_FILE = "tokenizer.json"


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
    def load(
        cls, folder: Path, *, pad_id: int, token_types: bool, split_special_tokens: bool
    ) -> PlainTokenizer:
        """Reads the folder's tokenizer.json.

        Args:
            pad_id, token_types, split_special_tokens: as the tokenizer of transformers has them.

        Raises:
            BaseModelError: there is none, or it cannot be read.
        """
        from tokenizers import Tokenizer

        file = folder / _FILE
        try:
            backend = Tokenizer.from_buffer(file.read_bytes())
        # The library raises bare exceptions, whatever is wrong with the file.
        except Exception as error:
            raise BaseModelError(
                f"its tokenizer cannot be opened ({str(error)[:200]})",
                where=str(file),
                mend="a runtime without torch needs tokenizer.json",
            ) from error
        names = ("input_ids", *(["token_type_ids"] if token_types else []), "attention_mask")
        return cls(backend, pad_id, names, split_special_tokens)
