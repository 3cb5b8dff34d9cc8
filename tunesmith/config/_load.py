"""From a YAML file and overrides to settings, every fault at once; and back to YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tunesmith.config._schema import RunConfig, Section
from tunesmith.errors import ConfigError, Fault

__all__ = ["dump", "in_plain_words", "load", "setting_names"]

_PLAIN = {
    "bool_parsing": "must be true or false",
    "float_parsing": "must be a number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
}


def load(
    file: Path | None = None,
    overrides: Iterable[str] = (),
    settings: Mapping[str, object] | None = None,
) -> RunConfig:
    """Settings from a YAML file, then `a.b=value` overrides, then explicit settings.

    Args:
        file: YAML with the sections of `RunConfig`.
        overrides: "section.name=value" with the value in YAML ("training.epochs=4").
        settings: dotted name → value, as flags give them; None values are passed over.

    Raises:
        ConfigError: all faults at once, each with its place and, for a near miss, the name meant.
    """
    values: dict[str, Any] = _read_yaml(file) if file else {}
    faults: list[Fault] = []
    given: set[str] = set()
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            mend = "such as --set training.epochs=4"
            faults.append(Fault("is not of the form section.name=value", f"--set {override}", mend))
            continue
        try:
            _place(values, name.strip(), yaml.safe_load(text))
            given.add(name.strip())
        except (yaml.YAMLError, ConfigError) as error:
            faults.append(Fault(f"cannot be read: {_brief(error)}", f"--set {override}"))
    for name, value in (settings or {}).items():
        if value is not None:
            try:
                _place(values, name, value)
                given.add(name)
            except ConfigError as error:
                faults.append(Fault(str(error), name))
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        faults.extend(_fault(entry, file, given) for entry in error.errors())
    if faults:
        raise ConfigError.of(faults)
    return config


def dump(config: RunConfig) -> str:
    """The settings as YAML that `load` reads back to the same."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    except yaml.YAMLError as error:
        mend = "compare it with configs/default.yaml; the fault may stand in the line before"
        raise ConfigError(f"is not YAML: {_brief(error)}", where=str(file), mend=mend) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError("must hold sections such as 'training:'", where=str(file))
    return values


def _place(values: dict[str, Any], name: str, value: object) -> None:
    *sections, last = name.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if inner is None:
            inner = values[section] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{section!r} is a value, not a section")
        values = inner
    values[last] = value


def _fault(entry: Any, file: Path | None, given: Set[str]) -> Fault:
    """What is wrong with a setting; it stands in the file where it was not given beside it."""
    name = ".".join(str(part) for part in entry["loc"])
    is_given = any(f"{name}.".startswith(f"{one}.") for one in given)
    where = name if file is None or is_given else f"{file}: {name}"
    if entry["type"] == "literal_error":
        choices = _choices(entry)
        near = difflib.get_close_matches(str(entry["input"]), choices, n=1)
        mend = f"did you mean {near[0]!r}? " if near else ""
        return Fault(
            f"there is no {entry['input']!r}", where, f"{mend}choices: {', '.join(choices)}"
        )
    if entry["type"] != "extra_forbidden":
        return Fault(in_plain_words(entry), where, _default_text(name))
    known = setting_names()
    # An unknown section is reported by its own name, without the settings in it.
    peers = known if "." in name else list(RunConfig.model_fields)
    near = difflib.get_close_matches(name, peers, n=1) or [
        full for full in known if full.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]
    ]
    mend = f"did you mean {near[0]!r}?" if near else f"settings: {', '.join(known)}"
    return Fault("there is no such setting", where, mend)


def in_plain_words(entry: Any) -> str:
    """What pydantic has against a value: "must be a whole number (got 'x')"."""
    what = _PLAIN.get(entry["type"]) or entry["msg"].removeprefix("Value error, ")
    return f"{what.replace('Input should be', 'must be')} (got {entry['input']!r})"


def _brief(error: Exception) -> str:
    """What is wrong with YAML, and in which line, in one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem


def _default_text(name: str) -> str:
    """What a setting is where nothing is said; nothing for names of no setting."""
    section, _, own = name.rpartition(".")
    if section and section not in RunConfig.model_fields:
        return ""
    model: Any = RunConfig.model_fields[section].annotation if section else RunConfig
    if own not in getattr(model, "model_fields", ()):
        return ""
    default = model.model_fields[own].get_default(call_default_factory=True)
    return "leave it out for the default" + ("" if default is None else f": {default}")


def _choices(entry: Any) -> list[str]:
    """The values that a choice admits, out of pydantic's description: "'a', 'b' or 'c'"."""
    return re.findall(r"'([^']*)'", entry["ctx"]["expected"])


def setting_names() -> list[str]:
    """Every setting's dotted name, in the order of this file."""
    names: list[str] = []
    for name, info in RunConfig.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, Section):
            names.extend(f"{name}.{inner}" for inner in section.model_fields)
        else:
            names.append(name)
    return names
