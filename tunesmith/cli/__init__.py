"""The command line: arguments → config → recipe or service; no logic."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

__all__ = ["app", "main"]

# Libraries that talk over ours are told not to before any of them is imported.
_QUIET = {
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
}
for _name, _value in _QUIET.items():
    os.environ.setdefault(_name, _value)

import typer  # noqa: E402 - after the environment is set

from tunesmith import __version__  # noqa: E402
from tunesmith.cli.check import check  # noqa: E402
from tunesmith.cli.compare import compare  # noqa: E402
from tunesmith.cli.demo import demo  # noqa: E402
from tunesmith.cli.deploy import deploy, deployments, promote, prune, roll_back  # noqa: E402
from tunesmith.cli.doctor import doctor  # noqa: E402
from tunesmith.cli.evaluate import evaluate  # noqa: E402
from tunesmith.cli.explain import explain  # noqa: E402
from tunesmith.cli.info import info  # noqa: E402
from tunesmith.cli.keys import keys  # noqa: E402
from tunesmith.cli.optimize import optimize  # noqa: E402
from tunesmith.cli.predict import predict  # noqa: E402
from tunesmith.cli.review import review  # noqa: E402
from tunesmith.cli.serve import serve  # noqa: E402
from tunesmith.cli.sign import sign, signing_key  # noqa: E402
from tunesmith.cli.train import train  # noqa: E402
from tunesmith.cli.tune import tune  # noqa: E402

if TYPE_CHECKING:
    from tunesmith.errors import TunesmithError

app = typer.Typer(
    name="tunesmith",
    help="From a labelled file to a fine-tuned, evaluated and served model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(check, review, train, tune, evaluate, compare, explain, optimize, predict, serve),
    *(deploy, promote, roll_back, prune, deployments, sign, signing_key, info, doctor, demo),
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(keys)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)  # noqa: T201 - this is the command's output
        raise typer.Exit


@app.callback(no_args_is_help=True)
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Runs a command; every expected failure is a message and an exit code, never a traceback."""
    from tunesmith.errors import MissingDependencyError, TunesmithError

    try:
        app()
    except TunesmithError as error:
        _explain(error)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tunesmith"):
            raise
        mend = "pip install 'tunesmith[all]'"
        _explain(MissingDependencyError(f"{error.name} is not installed", mend=mend))
        sys.exit(MissingDependencyError.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`… | head`): that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _explain(error: TunesmithError) -> None:
    """The message for people; for programs that asked for JSON, an object as well."""
    from rich.text import Text

    from tunesmith.cli._output import errors, print_json
    from tunesmith.errors import Interrupted

    style = "yellow" if isinstance(error, Interrupted) else "bold red"
    word = "stopped" if isinstance(error, Interrupted) else "error"
    if "--json" in sys.argv:
        faults = [asdict(fault) for fault in error.faults]
        print_json({"error": {"faults": faults, "exit_code": error.exit_code}})
    errors.print(Text.assemble((f"{word}: ", style), str(error)), soft_wrap=True)
    for note in getattr(error, "__notes__", ()):
        errors.print(Text(note), soft_wrap=True)
