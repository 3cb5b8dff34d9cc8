"""Reports as web pages: templates with one style sheet of their own, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

__all__ = ["Templates"]


class Templates:
    """The folder `templates/` of a package: values in it are escaped, a missing one is an error."""

    def __init__(self, package: str, style: str, filters: Mapping[str, Callable[..., Any]]) -> None:
        """Reads nothing yet.

        Args:
            package: that holds the folder, by its full name.
            style: the style sheet's file name.
            filters: what templates may call, by name.
        """
        self._package = package
        self._style_name = style
        self._filters = dict(filters)

    def render(self, name: str, view: Mapping[str, Any]) -> str:
        """The template filled with `view`, and with `style` and `style_digest`.

        The digest is for a Content-Security-Policy that allows this style sheet and no more.
        """
        # The style is our own file and must come through unescaped, or its digest would not match.
        style = Markup(self._style)  # noqa: S704
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        template = self._environment.get_template(name)
        return template.render(view, style=style, style_digest=digest)

    @cached_property
    def _style(self) -> str:
        return self._read(self._style_name)

    @cached_property
    def _environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            autoescape=True,
            loader=jinja2.FunctionLoader(self._read),
            lstrip_blocks=True,
            trim_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters.update(self._filters)
        return environment

    def _read(self, name: str) -> str:
        return (resources.files(self._package) / "templates" / name).read_text(encoding="utf-8")
