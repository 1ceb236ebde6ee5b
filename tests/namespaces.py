"""Mount namespaces: what is mounted in one is seen by one command alone, and gone with it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

UNSHARED = ["unshare", "-m", "bash", "-c"]
"""Runs the code that follows in a namespace of its own."""

THERE = subprocess.run([*UNSHARED, "true"], check=False, capture_output=True).returncode == 0

mounts = pytest.mark.skipif(not THERE, reason="needs the right to mount in a namespace of its own")


def unshared(code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code of bash in a namespace of its own; environment: variables beside this process's."""
    options: dict[str, Any] = {"env": os.environ | environment, "cwd": cwd, "timeout": 280}
    return subprocess.run([*UNSHARED, code], check=False, capture_output=True, text=True, **options)
