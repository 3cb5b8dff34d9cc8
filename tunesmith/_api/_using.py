"""Putting a model to use: load, optimise, predict, serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith._api._shared import console

if TYPE_CHECKING:
    from tunesmith.bundles import Bundle
    from tunesmith.recipes import (
        Listener,
        Optimized,
    )
    from tunesmith.runtimes import Runtime
    from tunesmith.types import Prediction

__all__ = ["load", "optimize", "predict", "serve"]


def load(
    bundle: str | Path | Bundle, runtime: str | None = None, *, allow_unverified: bool = False
) -> Runtime:
    """Verifies a bundle and loads it; `.predict(["…"])` answers.

    Args:
        runtime: one of the bundle's, such as "onnx-int8" or "torch-fp32"; None: the best that
            passed the parity gate and can run here.
        allow_unverified: whether it may be one that did not pass.

    Raises:
        BundleError: it is no bundle, or was changed after it was written.
        ConfigError: it has no such runtime, or one that did not pass.
        MissingDependencyError: what the runtime needs is not installed.
    """
    from tunesmith import runtimes

    return runtimes.load(bundle, runtime, allow_unverified=allow_unverified)


def optimize(
    bundle: str | Path | Bundle,
    *,
    output: str | Path | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    data: str | Path | None = None,
    max_drop: float = 0.3,
    min_agreement: float = 0.99,
    latency_ms: float | None = None,
    keep: Sequence[str] = (),
    distil: bool | int | Sequence[int] = False,
    distil_data: str | Path | None = None,
    distil_budget_s: float | None = None,
    distil_agreement: float = 0.9,
    resume: bool = False,
    listener: Listener | None = None,
) -> Optimized:
    """Writes a bundle with the fastest runtime of this machine that keeps the model's answers.

    Args:
        output: a new or empty folder; None: `optimized` beside the bundle.
        data: labelled rows that answers are compared on; None: those that the bundle keeps.
        max_drop: points that the leading metric may drop by.
        min_agreement: share of rows that must get the same label.
        latency_ms: 95 of 100 single texts must take no longer.
        keep: candidates to keep too, even where they did not pass.
        distil: whether to teach a smaller model of half the layers as well; or how many layers it
            shall have, or several students. One that passes is a child of the bundle.
        distil_data: further texts for that, with or without labels.
        distil_budget_s: about how long that may take.
        distil_agreement: share of rows on which a student must give its teacher's label.
        resume: go on with a distillation that was stopped.
        listener: hears of the progress; None: lines on standard error.

    Raises:
        InputError: something given cannot be used; the message says what, where and the mend.
        Interrupted: the user stopped a distillation; `resume` goes on.
    """
    from tunesmith import recipes
    from tunesmith.optimization import Tolerances

    wanted = None
    if distil is not False and distil != ():
        sizes = () if distil is True else (distil,) if isinstance(distil, int) else tuple(distil)
        wanted = recipes.Distillation(sizes, distil_data, distil_budget_s, distil_agreement)

    return recipes.optimize(
        bundle,
        output=None if output is None else Path(output),
        device=device,
        data=data,
        latency_ms=latency_ms,
        tolerances=Tolerances(min_agreement=min_agreement, max_drop=max_drop),
        keep=tuple(keep),
        distil=wanted,
        resume=resume,
        listener=listener or console(),
    )


def predict(
    model: str | Path | Bundle | Runtime,
    items: Sequence[object],
    *,
    abstain_below: float | None = None,
    precision: float | None = None,
    coverage: float | None = None,
    scope: bool = False,
) -> list[Prediction]:
    """Answers a list of texts, and says how far the answers can be trusted.

    Args:
        model: a bundle, or one that `load` gave, which saves loading it again.
        items: texts; for models that read two, pairs or mappings by field name.
        abstain_below: answers that are less likely get `abstained`.
        precision: the same, so that so many of the others are right, such as 0.95.
        coverage: each answer gets a `label_set` that holds the true label so often.
        scope: each answer says whether the text is `in_scope`: like the training data.

    Raises:
        ConfigError: the model's validation rows do not vouch for what is asked.
        BundleError: it is no bundle, or was changed.
        DataError: an item is not what the model reads.
    """
    from tunesmith import runtimes
    from tunesmith.tasks import Wanted

    wanted = Wanted(abstain_below, precision, coverage, scope)
    runtime = model if isinstance(model, runtimes.Runtime) else runtimes.load(model)
    return runtimes.answer(runtime, items, wanted)


def serve(
    bundle: str | Path | Bundle,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    insecure: bool = False,
    keys: str | Path | None = None,
    no_auth: bool = False,
) -> None:
    """Serves a bundle over HTTP until interrupted.

    Args:
        bundle: the bundle, or its folder.
        host: a name or an address of this machine.
        port: 0 picks a free one.
        insecure: whether to listen beyond loopback without TLS.
        keys: a file of `tunesmith keys`; where there is none, a key is made for this start.
        no_auth: whether no key is needed; on loopback only.

    Raises:
        ConfigError: the key file cannot be used, or `no_auth` was given beyond loopback.
        OutputError: the address cannot or may not be listened on.
        BundleError: it is no bundle, or was changed.
    """
    from tunesmith import serving

    def ready(served: serving.Serving) -> None:
        print(served.page, flush=True)  # noqa: T201 - where a notebook's user must go
        if served.key is not None:
            print(f"Authorization: Bearer {served.key}", flush=True)  # noqa: T201

    security = serving.Security(
        keys=None if keys is None else Path(keys), no_auth=no_auth, insecure=insecure
    )
    serving.serve(bundle, host=host, port=port, security=security, on_ready=ready)
