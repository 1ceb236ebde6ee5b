"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Workers import nothing from the current folder, but what PYTHONPATH names: the tests' own tasks are found by it.
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
)

# Hundreds of processes import the package: compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real weights and reference data; the test is skipped where it is not at hand."""
    folder = Path(os.environ.get("ZOOSPECTRA_SHARED", ROOT.parent / "shared"))
    if not (folder / "zoo" / "catalog.csv").is_file():
        pytest.skip(f"no reference data at {folder}: set ZOOSPECTRA_SHARED to its folder")
    return folder
