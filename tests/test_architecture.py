"""What may import what, and how large a file may grow."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith

PACKAGE = Path(tunesmith.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers", "accelerate", "sklearn", "scipy", "pandas", "matplotlib"}
MAX_LINES = 450


def modules_after(statement: str) -> set[str]:
    """The names of all modules that a fresh interpreter holds after `statement`."""
    code = f"import json, sys; {statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_tunesmith_brings_hardly_anything() -> None:
    brought = modules_after("import tunesmith") - modules_after("pass")
    assert not brought & (HEAVY | {"numpy", "pydantic", "yaml", "typer", "rich", "safetensors"})
    assert {name for name in brought if name.startswith("tunesmith")} == {
        *("tunesmith", "tunesmith.errors"),
        *("tunesmith._api", "tunesmith._api._shared"),
        *(f"tunesmith._api.{part}" for part in ("_judging", "_learning", "_using")),
    }
    assert len(brought) < 40, sorted(brought)


@pytest.mark.parametrize(
    "name",
    [
        *("bundles", "cli", "config", "data", "runtimes", "runtimes.onnx_runtime", "search"),
        *("serving", "storage", "tasks", "types", "bases"),
    ],
)
def test_what_serves_and_reads_does_not_bring_torch(name: str) -> None:
    assert not modules_after(f"import tunesmith.{name}") & (HEAVY - {"pandas", "scipy"})


@pytest.mark.parametrize(
    "words",
    [
        "train none.csv --target label",
        "train README.md --target label --test none.csv",
        "check none.csv",
        "evaluate bundle none.csv",
        "predict bundle none.csv -o labelled.csv",
    ],
)
def test_a_missing_file_is_said_before_torch_is_loaded(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").touch()
    monkeypatch.chdir(tmp_path)
    run = (
        "import tunesmith.cli, contextlib; sys.argv = ['tunesmith', *" + repr(words.split()) + "]\n"
        "with contextlib.suppress(SystemExit): tunesmith.cli.main()\n"
    )
    assert not modules_after(run + "pass") & (HEAVY - {"pandas", "scipy"})


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed beside this Python")
    done = subprocess.run(
        [str(command), "--no-cache"], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_file_says_what_it_is_and_stays_small(file: Path) -> None:
    content = file.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(content))
    assert content.count("\n") <= MAX_LINES


def test_public_names_exist_and_are_sorted() -> None:
    for file in FILES:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names = ast.literal_eval(node.value)
                assert len(names) == len(set(names)), file
                constants = [name for name in names if name.isupper()]
                classes = [name for name in names if not name.isupper() and name[0].isupper()]
                others = [name for name in names if name[0].islower() or name[0] == "_"]
                assert names == sorted(constants) + sorted(classes) + sorted(others), file
