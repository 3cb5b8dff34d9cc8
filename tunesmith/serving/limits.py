"""What one request, and all of them together, may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tunesmith.errors import ConfigError, Fault

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The caps that keep one client from taking the whole machine.

    Attributes:
        max_body_bytes: the largest request body; counted as it arrives, whatever its header says.
        max_texts: the most texts in one request.
        max_characters: the most characters in one text.
        max_queue: the most requests that are answered or waiting at once; further ones are refused.
        max_wait_s: a request that others would keep waiting longer than that, and longer than it
            takes itself, is refused at once, rather than answered late.
        timeout_s: the longest that a request's body, and then its answer, may take.
        request_timeout_s: the longest that a request may take in all, its answer's way to the
            client included.
        max_header_bytes: the most bytes of a request's first line and headers.
        header_timeout_s: the longest that these, or a TLS handshake, may take.
        max_connections: the most connections that are open at once.
        explained_texts: the most texts in one request for explanations.
        explained_words: the most pieces that a text is explained by; each is one more text for the
            model. Of a longer one, neighbouring words are taken together.
        batch_texts: the most texts that go through the model at once.
        batch_tokens: the most tokens, padding included, that go through the model at once. Small
            batches let short requests in between the parts of a long one.
    """

    max_body_bytes: int = 2 * 1024 * 1024
    max_texts: int = 1_000
    max_characters: int = 100_000
    max_queue: int = 64
    max_wait_s: float = 2.0
    timeout_s: float = 60.0
    request_timeout_s: float = 150.0
    max_header_bytes: int = 16 * 1024
    header_timeout_s: float = 10.0
    max_connections: int = 512
    explained_texts: int = 8
    explained_words: int = 128
    batch_texts: int = 32
    batch_tokens: int = 4_096

    def __post_init__(self) -> None:
        faults = [
            Fault(f"must be above zero, and is {getattr(self, field.name)}", where=field.name)
            for field in fields(self)
            if not getattr(self, field.name) > 0
        ]
        if faults:
            raise ConfigError.of(faults)
