"""From what a user wrote to a search space, every fault at once.

    training.learning_rate: {low: 1e-5, high: 1e-3, log: true}
    training.epochs: {low: 2, high: 8}
    training.batch_size: [16, 32, 64]

Names may also stand under their section, as in a file of settings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tunesmith import config
from tunesmith.errors import ConfigError, Fault
from tunesmith.search._space import Dimension, Range, Scalar, Space, ValueList

__all__ = ["parse_space", "read_space", "searchable_settings", "setting_value", "with_settings"]

_FIELDS = ("low", "high", "log", "step")
_GRAMMAR = "write {low: 1, high: 8}, with log: true or step: 1 if wanted, or a list of values"
# Other rows would make trials incomparable; the rest changes how a run goes on, not its result, or
# what follows the choice of a model, which trials do not do.
_FIXED_SECTIONS = ("data", "evaluation")
_FIXED = {
    *("output", "seed", "training.budget_s", "training.threads", "training.track"),
    *("training.checkpoint_interval_s", "training.checkpoints_kept", "adapter.targets"),
    *("adapter.keep", "training.refit", "training.model_soup"),
}
_RATES = ("learning_rate",)  # their ranges are logarithmic unless said otherwise


def searchable_settings() -> list[str]:
    """The dotted names of the settings that a space may hold."""
    return [
        name
        for name in config.setting_names()
        if name not in _FIXED and name.partition(".")[0] not in _FIXED_SECTIONS
    ]


def setting_value(run: config.RunConfig, name: str) -> Any:
    """The value of the setting with this dotted name."""
    value: Any = run
    for part in name.split("."):
        value = getattr(value, part)
    return value


def with_settings(run: config.RunConfig, values: Mapping[str, Any]) -> config.RunConfig:
    """The same settings with some of them replaced.

    Args:
        values: dotted name → value.

    Raises:
        ConfigError: a value cannot be used.
    """
    plain = run.model_dump(exclude_unset=True)
    for name, value in values.items():
        section, _, field = name.rpartition(".")
        (plain.setdefault(section, {}) if section else plain)[field] = value
    try:
        return config.RunConfig.model_validate(plain)
    except ValidationError as error:
        faults = [(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
        raise ConfigError.of(Fault(what, where) for where, what in faults) from None


def read_space(file: Path) -> Space:
    """The space that a YAML file describes.

    Raises:
        ConfigError: the file cannot be read, or all that is wrong in it.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file)) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", where=str(file)) from error
    if not isinstance(values, dict) or not values:
        mend = "training.learning_rate: {low: 1e-5, high: 1e-3, log: true}"
        raise ConfigError("must hold settings with ranges", where=str(file), mend=mend)
    return parse_space(values, where=str(file))


def parse_space(values: Mapping[str, Any], *, where: str = "") -> Space:
    """The space that nested or dotted names with ranges and lists describe.

    Args:
        values: setting → {low, high, log, step} or a list of values.
        where: the file, for the errors.

    Raises:
        ConfigError: all that is wrong, each with its place and, for a near miss, the name meant.
    """
    dimensions: dict[str, Dimension] = {}
    faults: list[Fault] = []
    for name, value in _flat(values):
        place = f"{where}: {name}" if where else name
        try:
            if name in dimensions:
                raise ConfigError("is there twice")
            _check_name(name)
            dimensions[name] = _dimension(name, value)
        except ConfigError as error:
            faults.extend(_placed(fault, place) for fault in error.faults)
    if faults:
        raise ConfigError.of(faults)
    return Space(dimensions)


def _placed(fault: Fault, place: str) -> Fault:
    """The fault at `place`, with its own place (`low`, `values`) behind that."""
    return Fault(fault.what, f"{place}, {fault.where}" if fault.where else place, fault.mend)


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings with dotted names, whether they were written so or under their section."""
    sections = {name.partition(".")[0] for name in config.setting_names() if "." in name}
    for name, value in values.items():
        if name in sections and isinstance(value, dict):
            yield from ((f"{name}.{inner}", one) for inner, one in value.items())
        else:
            yield str(name), value


def _check_name(name: str) -> None:
    known = searchable_settings()
    if name in known:
        return
    if name in config.setting_names():
        raise ConfigError("cannot be searched over", mend="fix it with --set, or in --config")
    same = [full for full in known if full.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    near = " or ".join(map(repr, same or difflib.get_close_matches(name, known, n=1)))
    mend = f"did you mean {near}?" if near else f"settings: {', '.join(known)}"
    raise ConfigError("there is no such setting", mend=mend)


def _dimension(name: str, value: object) -> Dimension:
    if isinstance(value, dict):
        return _range(name, value)
    if isinstance(value, list):
        return _choice(name, value)
    raise ConfigError(f"is neither a range nor a list (got {value!r})", mend=_GRAMMAR)


def _choice(name: str, values: list[object]) -> ValueList:
    faults: list[Fault] = []
    found: list[Scalar] = []
    for value in values:
        try:
            found.append(_checked(name, value))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError.of(faults)
    if len(set(found)) < len(found):
        raise ConfigError("a value is there twice")
    if len(found) < 2:
        raise ConfigError("a list needs two values at least", mend="one value belongs to --set")
    return ValueList(tuple(found))


def _range(name: str, given: Mapping[str, Any]) -> Range:
    faults = [
        Fault(f"a range has no {field!r}", mend=_near(field, _FIELDS) or _GRAMMAR)
        for field in map(str, given)
        if field not in _FIELDS
    ]
    faults += [Fault(f"{end} is missing", mend=_GRAMMAR) for end in _FIELDS[:2] if end not in given]
    ends: dict[str, int | float] = {}
    for end in _FIELDS[:2]:
        if end in given:
            try:
                ends[end] = _number(_checked(name, given[end]), given[end])
            except ConfigError as error:
                faults += [Fault(fault.what, end, fault.mend) for fault in error.faults]
    log = given.get("log", name.rsplit(".", 1)[-1] in _RATES and "step" not in given)
    if not isinstance(log, bool):
        faults.append(Fault(f"log is true or false (got {log!r})"))
    if faults:
        raise ConfigError.of(faults)
    return _checked_range(ends["low"], ends["high"], log=log, step=given.get("step"))


def _checked_range(low: int | float, high: int | float, *, log: bool, step: object) -> Range:
    if low >= high:
        raise ConfigError(f"low must be below high (got {low:g} and {high:g})")
    if log and low <= 0:
        raise ConfigError("a logarithmic range must begin above 0", mend="leave out log")
    if step is None:
        return Range(low, high, log=log)
    if log:
        raise ConfigError("a range has a step or is logarithmic, not both")
    width = _as_number(step)
    if width is None or not 0 < width <= high - low:
        raise ConfigError(f"step must be a number above 0 that fits the range (got {step!r})")
    if isinstance(low, int) and isinstance(high, int):
        if width != int(width):
            raise ConfigError(f"the setting takes whole numbers: so must step (got {step!r})")
        width = int(width)
    # The last number that steps reach, counted in decimals so that 0.3 is three times 0.1.
    count = int((Decimal(str(high)) - Decimal(str(low))) / Decimal(str(width)))
    last = Decimal(str(low)) + count * Decimal(str(width))
    return Range(low, int(last) if isinstance(low, int) else float(last), step=width)


def _checked(name: str, value: object) -> Scalar:
    """A value as the setting holds it, which is where "1e-5" becomes a number.

    Raises:
        ConfigError: the setting cannot have it.
    """
    try:
        if value is None:
            held = setting_value(config.load(overrides=[f"{name}=null"]), name)
        else:
            held = setting_value(config.load(settings={name: value}), name)
    except ConfigError as error:
        raise ConfigError.of(Fault(fault.what, mend=fault.mend) for fault in error.faults) from None
    if not isinstance(held, str | int | float | None):
        raise ConfigError("holds lists, which cannot be searched over")
    return held


def _number(held: Scalar, given: object) -> int | float:
    if isinstance(held, bool) or not isinstance(held, int | float):
        raise ConfigError(f"a range is for numbers (got {given!r})", mend="write a list of values")
    return held


def _as_number(value: object) -> int | float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _near(name: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else ""
