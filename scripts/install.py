"""Installs the locked dependencies into the virtual environment whose Python runs this.

    python scripts/install.py runtime|dev

Where there is no GPU, torch's CPU build is taken: from where pip looks, or, where pip only knows
the large CUDA build, by uv, which knows where the CPU builds lie. Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def main() -> None:
    wanted = sys.argv[1]
    if not has_torch():
        install_torch()
    lock = ROOT / "requirements" / f"{wanted}.lock"
    say(f"installing {lock.name}")
    run([*PIP, "install", "-qq", "--no-deps", "--requirement", str(lock)])
    editable = ["install", "-qq", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run([*PIP, *editable])


def has_torch() -> bool:
    try:
        return importlib.metadata.version("torch").split("+")[0] == TORCH
    except importlib.metadata.PackageNotFoundError:
        return False


def install_torch() -> None:
    if has_gpu() or platform.system() != "Linux":
        say(f"installing torch {TORCH}")
        run([*PIP, "install", "-qq", f"torch=={TORCH}"])
        return
    say(f"installing torch {TORCH}, CPU build")
    if attempt([*PIP, "install", "-qq", f"torch=={TORCH}+cpu"]):
        return
    if attempt([*PIP, "install", "-qq", "uv"]):
        uv = [sys.executable, "-m", "uv", "pip", "install", "-qq", "--python", sys.executable]
        if attempt([*uv, "--torch-backend=cpu", f"torch=={TORCH}"]):
            return
    say("no CPU build of torch was found; the CUDA build is taken, which is several GB")
    run([*PIP, "install", "-qq", f"torch=={TORCH}"])


def has_gpu() -> bool:
    probe = shutil.which("nvidia-smi")
    return probe is not None and attempt([probe, "--list-gpus"])


def attempt(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: list[str]) -> None:
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"failed: {' '.join(command)}")


def say(text: str) -> None:
    print(f"· {text}", flush=True)


if __name__ == "__main__":
    main()
