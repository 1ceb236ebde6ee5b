"""Where a number comes from: versions, commit and machine, stored with every run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("zoospectra", "numpy", "scipy", "torch", "duckdb", "pyarrow", "ray", "hydra-core", "safetensors")


def versions() -> dict[str, str]:
    """Installed versions of Python and of every package that a number can depend on."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed[package] = "not installed"
    return installed


def git_commit() -> str | None:
    """Commit of the checkout this code runs from, '+dirty' when files differ; None outside a checkout."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return commit + ("+dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def machine() -> dict[str, str | int]:
    """Host, processor, cores and operating system."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "byteorder": sys.byteorder,
    }
