"""Writes requirements/*.lock from what is installed beside the Python that runs this.

To change a version: install it into .venv, run the tests, then `make lock`.
"""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
BUILD = ["hatchling", "editables"]
# Named by the embedded model's package for its loader, which Tunesmith does not use.
LEFT_OUT = {"sentence-transformers"}
# What `docker build --build-arg EXTRAS=…` may add to the server: each a file of its own.
SERVING_EXTRAS = ("grpc", "otel", "sign")
# Installed first and on its own, since its build depends on the machine (scripts/install.py).
TORCH = "torch"


def closure(roots: list[str]) -> dict[str, str]:
    """Each root and what it needs, as name → version."""
    found: dict[str, str] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in LEFT_OUT or (name in found and not requirement.extras):
            continue
        distribution = importlib.metadata.distribution(name)
        if name != "tunesmith":
            found[name] = distribution.version.split("+")[0]
        extras = {"", *requirement.extras}
        for line in distribution.requires or []:
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(inner)
    return found


def write(name: str, pins: dict[str, str], user: str = "scripts/install.py") -> None:
    lines = [f"{package}=={version}" for package, version in sorted(pins.items())]
    header = f"# Written by `make lock`; installed by {user} without dependencies.\n"
    (ROOT / "requirements" / f"{name}.lock").write_text(header + "\n".join(lines) + "\n")


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core, extras = project["dependencies"], project["optional-dependencies"]
    serve = closure([*core, *extras["serve"]])
    write("serve", serve, "deploy/docker/Dockerfile")
    for extra in SERVING_EXTRAS:
        added = {k: v for k, v in closure(extras[extra]).items() if k not in serve}
        write(f"serve-{extra}", added, f"deploy/docker/Dockerfile, with EXTRAS={extra},")
    runtime = closure([*core, *extras["train"], *extras["serve"], *BUILD])
    del runtime[TORCH]
    write("runtime", runtime)
    development = closure([n for n in extras["dev"] if "[all]" not in n])
    write("dev", {k: v for k, v in development.items() if k not in runtime and k != TORCH})


if __name__ == "__main__":
    main()
