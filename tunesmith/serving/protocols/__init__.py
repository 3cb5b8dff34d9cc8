"""What clients may speak: each file translates between HTTP and the data plane; none decides."""

from __future__ import annotations

from tunesmith.serving.protocols import native, open_inference, openai, tei

__all__ = ["native", "open_inference", "openai", "tei"]
