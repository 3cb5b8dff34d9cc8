"""What clients may speak: each file translates between HTTP and the data plane; none decides."""

from __future__ import annotations

from tunesmith.serving.protocols import native

__all__ = ["native"]
