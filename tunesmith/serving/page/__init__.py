"""The pages that people see: one to try the model on, one that documents the routes."""

from __future__ import annotations

from tunesmith.serving.page._page import router

__all__ = ["router"]
