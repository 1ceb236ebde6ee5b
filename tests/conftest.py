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
    dict.fromkeys([str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
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
    "jobs/studies/test_studies.py",
    "test_readme.py",
    "door/test_hostile_folder.py",
    "warehouse/test_build.py",
    "jobs/test_damage.py",
    "jobs/test_cluster.py",
    "jobs/studies/test_natcomm2021.py",
    "jobs/figures/test_files.py",
    "jobs/test_executors.py",
    "warehouse/test_merge.py",
    "jobs/test_nights.py",
    "zoo/sources/digits/test_faults.py",
    "jobs/studies/test_health.py",
    "warehouse/test_publish.py",
    "analysis/test_simpson.py",
    "warehouse/test_versions.py",
    "analysis/test_calibration.py",
    "jobs/test_integrity.py",
    "jobs/test_two_scans.py",
    "jobs/test_disks.py",
    "warehouse/test_parts.py",
    "jobs/test_what_a_night_brought.py",
    "zoo/checkpoint/formats/test_hostile_pickles.py",
    "jobs/test_hub_scan.py",
    "warehouse/test_counting.py",
    "jobs/test_kin.py",
    "door/test_weightwatcher.py",
    "jobs/test_refit.py",
    "jobs/test_check.py",
    "door/test_analyze.py",
    "zoo/sources/digits/test_digits.py",
    "warehouse/test_contract.py",
    "jobs/test_coming.py",
    "test_house.py",
    "bench/test_memory.py",
    "jobs/test_sketches.py",
    "jobs/test_batch.py",
    "jobs/test_large_models.py",
    "jobs/test_help.py",
    "test_contributing.py",
    "jobs/test_misuse.py",
    "jobs/test_hydra.py",
    "jobs/test_published_scan.py",
    "analysis/test_weightwatcher_oracle.py",
    "jobs/test_du.py",
    "zoo/sources/test_published.py",
    "jobs/test_layer.py",
    "analysis/test_spectrum.py",
    "test_notebooks.py",
    "jobs/test_engine.py",
)
"""Files of more than three seconds, the longest first, those that wait apart: a process must not end with one of them.
The others follow by count of tests."""


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
