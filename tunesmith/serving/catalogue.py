"""What is served, by name and version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from tunesmith.bundles import Bundle
from tunesmith.serving.data_plane import Answers, DataPlane
from tunesmith.serving.explaining import ExplainedInputs, predict_explained
from tunesmith.serving.limits import Limits
from tunesmith.serving.refusals import Refused
from tunesmith.tasks import Task, Wanted

__all__ = ["Catalogue", "OneModel", "Served", "bundle_details", "find_named", "unknown"]


@dataclass(frozen=True, slots=True)
class Served:
    """A version of a model that can be asked.

    Attributes:
        name: what clients call the model.
        plane: what answers.
        details: JSON facts about its bundle.
        watched: told of each request's items and answers, where they are compared.
    """

    name: str
    plane: DataPlane
    details: Mapping[str, object] = field(default_factory=dict)
    watched: Callable[[Sequence[object], Answers], None] | None = None

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the bundle's digest."""
        return self.plane.runtime.version

    async def predict(
        self,
        items: Sequence[object],
        *,
        top_k: int | None = None,
        wanted: Wanted | None = None,
        place: str = "texts",
        cuts: bool = True,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> Answers:
        """Answers every item; see `DataPlane.predict`."""
        answers = await self.plane.predict(
            items,
            top_k=top_k,
            wanted=wanted,
            place=place,
            cuts=cuts,
            abandoned=abandoned,
        )
        if self.watched is not None:
            self.watched(items, answers)
        return answers

    async def predict_explained(
        self,
        items: Sequence[object],
        *,
        top_k: int | None = None,
        wanted: Wanted | None = None,
        abandoned: Callable[[], Awaitable[bool]] | None = None,
    ) -> tuple[Answers, list[ExplainedInputs]]:
        """Answers every item, and says why; see `serving.explaining`."""
        answers, explained = await predict_explained(
            self.plane, items, top_k=top_k, wanted=wanted, abandoned=abandoned
        )
        if self.watched is not None:
            self.watched(items, answers)
        return answers, explained


class Catalogue(Protocol):
    """Finds who answers a request.

    Between finding it and asking it nothing may be awaited: a version that nobody has asked yet may
    be stopped meanwhile.
    """

    @property
    def limits(self) -> Limits:
        """The caps on requests, which are the same for all."""

    @property
    def task(self) -> Task:
        """What the first model does, or would do: for documents, before there is a request."""

    @property
    def ready(self) -> bool:
        """Whether all that was wanted at the start can be asked."""

    @property
    def waits_for(self) -> str:
        """Why it is not ready, for those who ask; empty where it is."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Answers for as long as the block lasts."""

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
        self.limits = served.plane.limits
        self.task = served.plane.task

    @property
    def ready(self) -> bool:
        return self._served.plane.ready

    @property
    def waits_for(self) -> str:
        return "" if self.ready else "the model is warming up"

    def running(self) -> AbstractAsyncContextManager[None]:
        return self._served.plane.running()

    def find(self, name: str | None = None, version: str | None = None) -> Served:
        served = self._served
        if name not in (None, served.name):
            raise unknown(f"there is no model of this name; here is {served.name!r}")
        if version not in (None, served.version):
            raise unknown(f"there is no such version; here is {served.version!r}")
        return served

    def all(self) -> Sequence[Served]:
        return (self._served,)


def find_named(catalogue: Catalogue, model: str | None, version: str | None = None) -> Served:
    """Who is meant: NAME, or NAME@VERSION where no version is asked for beside it.

    Raises:
        Refused: there is no such model or version.
    """
    own = model or ""
    if version is None and "@" in own and own not in {served.name for served in catalogue.all()}:
        model, _, version = own.rpartition("@")
    return catalogue.find(model, version)


def bundle_details(bundle: Bundle) -> dict[str, object]:
    """What clients may know of a bundle."""
    manifest = bundle.manifest
    return {
        "base": manifest.base.model_dump(),
        "created": manifest.created,
        "metrics": manifest.metrics,
    }


def unknown(message: str) -> Refused:
    """The refusal of a model or version that is not served."""
    return Refused("not_found", message, mend="GET /v1/models lists what is served")
