"""What is served, by name and version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tunesmith.serving.data_plane import DataPlane
from tunesmith.serving.refusals import Refused

__all__ = ["Catalogue", "OneModel", "Served"]


@dataclass(frozen=True, slots=True)
class Served:
    """A version of a model that can be asked.

    Attributes:
        name: what clients call the model.
        plane: what answers.
        details: JSON facts about its bundle.
    """

    name: str
    plane: DataPlane
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the bundle's digest."""
        return self.plane.runtime.version


class Catalogue(Protocol):
    """Finds who answers a request."""

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        """The model of this name; where there is one model only, it needs no name.

        Raises:
            Refused: there is no such model or version.
        """

    def all(self) -> Sequence[Served]:
        """Every version that can be asked, each model's default first."""


class OneModel:
    """A catalogue of one."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        served = self._served
        if name not in (None, served.name):
            raise unknown(f"there is no model of this name; here is {served.name!r}")
        if version not in (None, served.version):
            raise unknown(f"there is no such version; here is {served.version!r}")
        return served

    def all(self) -> Sequence[Served]:
        return (self._served,)


def unknown(message: str) -> Refused:
    """The refusal of a model or version that is not served."""
    return Refused("not_found", message, mend="GET /v1/models lists what is served")
