"""Who of a model's versions answers: what an operator wants, and what a server does."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Canary", "Status", "Traffic"]

# Versions become paths, and the file may be another's: nothing else passes.
_Version: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class Canary(BaseModel):
    """A version that answers a share of the requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: _Version
    share: float = Field(gt=0, lt=1)


class Traffic(BaseModel):
    """How a model's requests are to be answered; one change after the other, by number.

    Attributes:
        change: grows with each change, so that a server knows a new one from one it has tried.
        production: the version that answers.
        canary: a version that answers a share of the requests.
        shadow: a version that is asked too, and whose answers are compared and thrown away.
        previous: the version that `production` took over from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    change: int = Field(ge=1)
    production: _Version
    canary: Canary | None = None
    shadow: _Version | None = None
    previous: _Version | None = None

    @model_validator(mode="after")
    def _one_trial(self) -> Traffic:
        if self.canary is not None and self.shadow is not None:
            raise ValueError("a version is tried as canary or as shadow, not both at once")
        return self

    @property
    def versions(self) -> tuple[str, ...]:
        """All that must be loaded, production first."""
        canary = () if self.canary is None else (self.canary.version,)
        shadow = () if self.shadow is None else (self.shadow,)
        return tuple(dict.fromkeys((self.production, *canary, *shadow)))


class Status(BaseModel):
    """What a server made of a model's traffic.

    Attributes:
        serving: what answers now; the server starts with it again, whatever was wanted since.
        tried: the number of the last change that was looked at.
        fault: why that change was not followed; empty where it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    serving: Traffic | None = None
    tried: int = 0
    fault: str = ""
