"""Reports as web pages: templates with one style sheet of their own, and nothing from elsewhere."""

from __future__ import annotations

from tunesmith.pages._shades import shades_of
from tunesmith.pages._templates import Templates
from tunesmith.pages._ticks import even_ticks

__all__ = ["Templates", "even_ticks", "shades_of"]
