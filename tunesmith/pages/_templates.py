"""The templates of a package, and what all reports share."""

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


_SHARED = "shared/"


class Templates:
    """The folder `templates/` of a package: values in it are escaped, a missing one is an error.

    What all reports share is in it too, by names that begin with "shared/": "shared/head.html", and
    the look, which stands before the package's own style sheet. An article of the class
    `tunesmith-report` has it; a body of the class `tunesmith-page` has its background.
    """

    def __init__(self, package: str, style: str, filters: Mapping[str, Callable[..., Any]]) -> None:
        """Reads nothing yet.

        Args:
            package: that holds the folder, by its full name.
            style: the file name of the package's own style sheet.
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
        return f"{self._read(_SHARED + 'base.css')}\n{self._read(self._style_name)}"

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
        package = "tunesmith.pages" if name.startswith(_SHARED) else self._package
        file = resources.files(package) / "templates" / name.removeprefix(_SHARED)
        return file.read_text(encoding="utf-8")
