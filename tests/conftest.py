"""Fixtures that every room's tests share."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parent.parent

# Workers import nothing from the current folder, but what PYTHONPATH names: the tests' own tasks are found by it.
os.environ["PYTHONPATH"] = os.pathsep.join(
    dict.fromkeys([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
)

# Hundreds of processes import the package, and several the tests: compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# More processes than cores: a thread that waits spinning takes the core from the process it waits for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

# Imports and collection make a million objects that stay: they are looked through for waste neither now nor later.
gc.disable()

LONGEST = (
    "jobs/test_scan.py",
    "test_readme.py",
    "door/test_hostile_folder.py",
    "jobs/test_nights.py",
    "zoo/sources/digits/test_faults.py",
    "jobs/test_executors.py",
    "zoo/sources/digits/test_digits.py",
    "jobs/test_cluster.py",
    "warehouse/test_contract.py",
    "jobs/test_two_scans.py",
    "jobs/test_disks.py",
    "jobs/test_coming.py",
    "jobs/test_what_a_night_brought.py",
    "analysis/test_hostile_spectra.py",
    "jobs/test_damage.py",
    "jobs/test_large_models.py",
    "warehouse/test_publish.py",
    "jobs/studies/test_natcomm2021.py",
    "analysis/test_weightwatcher_oracle.py",
    "test_contributing.py",
    "door/test_weightwatcher.py",
    "jobs/test_misuse.py",
)
"""Files that take longest, first: else a process ends with one of them alone. The others follow by count of tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, in the order given."""
    files = [item.path.relative_to(ROOT / "tests").as_posix() for item in items]
    count = Counter(files)
    order = {name: place - len(LONGEST) for place, name in enumerate(LONGEST)}
    known = {name: order.get(name, 0) for name in count}
    ranked = sorted(zip(files, items, strict=True), key=lambda pair: (known[pair[0]], -count[pair[0]]))
    items[:] = [item for _, item in ranked]


def pytest_collection_finish() -> None:
    """One thread in this process, whatever was imported: its tests run beside those of two others."""
    gc.freeze()
    gc.enable()
    threadpool_limits(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real weights and reference data; the test is skipped where it is not at hand."""
    folder = Path(os.environ.get("ZOOSPECTRA_SHARED", ROOT.parent / "shared"))
    if not (folder / "zoo" / "catalog.csv").is_file():
        pytest.skip(f"no reference data at {folder}: set ZOOSPECTRA_SHARED to its folder")
    return folder
