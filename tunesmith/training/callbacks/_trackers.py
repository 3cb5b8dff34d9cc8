"""Programs and services that draw losses and metrics of runs: TensorBoard, MLflow and others."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunesmith.config import Tracker
from tunesmith.errors import Fault, MissingDependencyError, OutputError
from tunesmith.training.callbacks._callback import EpochRecord

__all__ = ["Trackers", "check_trackers"]

_STEPS_A_POINT = 10

_PACKAGES: dict[Tracker, str] = {"comet_ml": "comet-ml"}  # where it is not the tracker's name

_NO_TELEMETRY = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "COMET_ERROR_TRACKING_ENABLE": "false",
    "DVC_NO_ANALYTICS": "true",
}


class Trackers:
    """Tells one or several trackers of every tenth step and of every epoch.

    They run on accelerate's tracking classes. Addresses and keys come from where each tracker looks
    for them (MLFLOW_TRACKING_URI, WANDB_API_KEY…). What is printed, which may hold texts, is kept
    from them, and so is reporting to their makers; some note the machine and its packages. One that
    fails while training goes on is left out from then on.

    Args:
        names: the trackers; what they write as files comes into `folder`.
        project: what groups runs that are to be compared.
        config: the run's settings; sections may be nested.
        warn: is told why a tracker was left out.

    Raises:
        MissingDependencyError: a tracker's package is not installed; names all that are missing.
    """

    def __init__(
        self,
        names: Sequence[Tracker],
        project: str,
        run_name: str,
        config: Mapping[str, Any],
        folder: Path,
        *,
        warn: Callable[[str], None] = warnings.warn,
    ) -> None:
        check_trackers(names)
        self._names = tuple(dict.fromkeys(names))
        self._project = project
        self._run_name = run_name
        self._config = dict(_flat(config))
        self._folder = folder
        self._warn = warn
        self._running: dict[Tracker, Any] = {}

    def on_start(self, total_steps: int, first_step: int) -> None:
        """Opens the trackers.

        Raises:
            OutputError: a tracker cannot be opened, so that nobody waits hours for curves in vain.
        """
        # Here rather than above: it takes a second, and few runs are tracked.
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        if not PartialState().is_main_process:
            return
        for variable, value in _NO_TELEMETRY.items():
            os.environ.setdefault(variable, value)
        self._folder.mkdir(parents=True, exist_ok=True)
        steps = {"run.total_steps": total_steps, "run.first_step": first_step}
        for name in self._names:
            try:
                tracker = LOGGER_TYPE_TO_CLASS[name](**self._arguments(name))
                tracker.start()
                self._running[name] = tracker
                tracker.store_init_configuration({**self._config, **steps})
            except Exception as error:
                raise OutputError(
                    f"tracker {name} cannot be opened ({_brief(error)})",
                    where="training.track",
                    mend="check its address and key, or leave it out",
                ) from error

    def on_step(self, step: int, loss: float, rate: float) -> None:
        """Sends every tenth step."""
        if step % _STEPS_A_POINT == 0:
            self._send({"train/loss": loss, "train/rate": rate}, step)

    def on_less_memory(self, max_tokens: int) -> None: ...

    def on_epoch(self, record: EpochRecord) -> None:
        """Sends the epoch's figures."""
        figures = record.as_dict()
        step = figures.pop("step")
        known = {f"epoch/{name}": value for name, value in figures.items() if value is not None}
        self._send(known, step)

    def on_end(self) -> None:
        """Closes the trackers."""
        for name, tracker in self._running.items():
            try:
                tracker.finish()
            except Exception as error:  # noqa: BLE001 - another program's fault must not cost the run
                self._warn(f"tracker {name} could not be closed ({_brief(error)})")
        self._running = {}

    def _send(self, figures: dict[str, float], step: int) -> None:
        for name, tracker in list(self._running.items()):
            try:
                tracker.log(figures, step=step)
            except Exception as error:  # noqa: BLE001 - another program's fault must not cost the run
                del self._running[name]
                self._warn(f"tracker {name} failed, and is left out from now on ({_brief(error)})")

    def _arguments(self, name: Tracker) -> dict[str, Any]:
        """What accelerate's class for the tracker takes; its `run_name` is mostly the project."""
        own, project = str(self._folder / name), {"run_name": self._project}
        arguments: dict[Tracker, dict[str, Any]] = {
            # TensorBoard names a run after its folder, which is the run's already.
            "tensorboard": {"run_name": name, "logging_dir": str(self._folder)},
            "mlflow": {"experiment_name": self._project, "run_name": self._run_name},
            "wandb": {
                **project,
                "name": self._run_name,
                "dir": str(self._folder),
                "settings": {"console": "off"},
            },
            "trackio": {**project, "name": self._run_name},
            "comet_ml": project,
            "aim": {
                "run_name": self._run_name,
                "logging_dir": str(self._folder),
                "experiment": self._project,
                "capture_terminal_logs": False,
            },
            "clearml": {
                **project,
                "task_name": self._run_name,
                "auto_connect_arg_parser": False,
                "auto_connect_frameworks": False,
                "auto_connect_streams": False,
                "auto_resource_monitoring": False,
            },
            # Left alone it would commit to the user's git repository.
            "dvclive": {"dir": own, "save_dvc_exp": False, "dvcyaml": None},
            "swanlab": {**project, "experiment_name": self._run_name, "logdir": own},
        }
        return arguments[name]


def check_trackers(names: Sequence[Tracker]) -> None:
    """Checks that the trackers' packages are installed.

    Raises:
        MissingDependencyError: some are not; names all that are missing.
    """
    faults: list[Fault] = []
    for name in names:
        found = find_spec(name)
        # A folder of that name in the working directory, such as wandb makes, is no package.
        if found is None or found.origin is None:
            package = _PACKAGES.get(name, name)
            what = f"tracker {name} needs the package {package}, which is not installed"
            faults.append(Fault(what, "training.track", f"pip install {package}"))
    if faults:
        raise MissingDependencyError.of(faults)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """ "section.name" → value, of the kinds that every tracker takes."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            yield f"{prefix}{name}", value
        elif isinstance(value, Sequence):
            yield f"{prefix}{name}", ", ".join(str(item) for item in value)
        else:
            yield f"{prefix}{name}", "null" if value is None else str(value)


def _brief(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
