"""Writes the tables of docs/configuration.md from the settings' own descriptions.

    python scripts/settings_table.py           # writes
    python scripts/settings_table.py --check   # exits 1 where the page is not what would be written

Keeps what stands outside the two comments in the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tunesmith.config import RunConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def table(title: str, rows: dict[str, FieldInfo]) -> str:
    """One section's settings: name, default, meaning."""
    lines = [f"### {title}\n", "| setting | default | meaning |", "|---|---|---|"]
    for name, info in rows.items():
        meaning = " ".join((info.description or "").split()).replace("|", "\\|")
        if choices := list(dict.fromkeys(choices_of(info.annotation))):
            meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        lines.append(f"| `{name}` | {shown(info.default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def choices_of(annotation: Any) -> Iterator[str]:
    """The words that a setting admits, wherever in its type they stand."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    else:
        for inner in get_args(annotation):
            yield from choices_of(inner)


def shown(value: Any) -> str:
    """A default as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if value in ("", ()):
        return "none"
    return f"`{value}`"


def tables() -> str:
    """All sections, then what stands outside any of them."""
    sections: list[str] = []
    single: dict[str, FieldInfo] = {}
    for name, info in RunConfig.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            fields = {f"{name}.{inner}": own for inner, own in section.model_fields.items()}
            sections.append(table(f"{name}: {section.__doc__}", fields))
        else:
            single[name] = info
    return "\n".join([*sections, table("The run itself", single)])


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    written = f"{before}{BEGIN}\n{tables()}\n{END}{after}"
    if "--check" in sys.argv[1:]:
        sys.exit(f"{PAGE.name} is out of date: run {sys.argv[0]}" if written != text else 0)
    PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
