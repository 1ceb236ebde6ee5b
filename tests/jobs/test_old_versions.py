"""Warehouses that other versions of the code have made, by processes that run them: what is missing is computed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.test_nights import retrain
from tests.jobs.zoos import make_zoo
from zoospectra.warehouse.query import query

ROOT = Path(__file__).parents[2]
ROOMS = ("analysis", "conf", "jobs", "warehouse", "zoo")
COUNTS = re.compile(r"\((\d+) tensors analysed now, (\d+) fitted from stored spectra\)")

pytestmark = pytest.mark.slow


def version(folder: Path, **versions: str) -> Path:
    """The package with other versions of its spectra or fits: the folder to run it in."""
    folder.mkdir()
    shutil.copytree(ROOT / "zoospectra", folder / "zoospectra", symlinks=True)
    for room in ROOMS:
        (folder / room).symlink_to(ROOT / room)
    (folder / "analysis").unlink()
    shutil.copytree(ROOT / "analysis", folder / "analysis")
    profile = folder / "analysis" / "profile.py"
    text = profile.read_text()
    for name, number in versions.items():
        text, replaced = re.subn(rf'^{name} = "\d+"$', f'{name} = "{number}"', text, flags=re.MULTILINE)
        assert replaced == 1
    profile.write_text(text)
    return folder


def scan(code: Path, zoo: Path, data: Path) -> tuple[int, int]:
    """Tensors analysed, and fitted from stored spectra, by a scan of that code in a process of its own."""
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]
    program = (
        "import sys, zoospectra; from zoospectra.jobs.main import main;"
        f"assert zoospectra.__file__.startswith({str(code)!r}); sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], check=False, cwd=code, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    counts = COUNTS.search(ended.stdout)
    assert counts is not None, ended.stdout
    return int(counts[1]), int(counts[2])


def rows(data: Path, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in query(data, sql).to_pylist()]


def test_of_an_older_warehouse_one_changed_tensor_is_computed_and_the_rest_fitted(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    older = version(tmp_path / "older", FIT_VERSION="0")
    assert scan(older, zoo, data) == (8, 0)
    retrain(zoo, "fc1.weight")
    assert scan(ROOT, zoo, data) == (1, 7)
    assert scan(ROOT, zoo, data) == (0, 0)
    assert rows(data, "SELECT DISTINCT code_version <> '0' FROM layer_metrics") == [(True,)]
    retrain(zoo, "fc2.weight")  # spectra and fits of both versions are there
    assert scan(ROOT, zoo, data) == (1, 0)
    fresh = tmp_path / "fresh"
    scan(ROOT, zoo, fresh)
    columns = "longname, model_id, code_version, alpha, xmin, D, log_norm, status"
    numbers = f"SELECT {columns} FROM layer_metrics ORDER BY ALL"
    assert rows(data, numbers) == rows(fresh, numbers)


def test_other_spectra_are_computed_once_and_then_one_changed_tensor(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    older = version(tmp_path / "older", SPECTRUM_VERSION="0", FIT_VERSION="0")
    assert scan(older, zoo, data) == (8, 0)
    assert scan(ROOT, zoo, data) == (8, 0)
    retrain(zoo, "fc1.weight")
    assert scan(ROOT, zoo, data) == (1, 0)
    newer = version(tmp_path / "newer", FIT_VERSION="99")
    retrain(zoo, "fc2.weight")
    assert scan(newer, zoo, data) == (1, 7)
    assert rows(data, "SELECT DISTINCT code_version FROM layer_metrics") == [("99",)]
    assert scan(older, zoo, data)[0] == 2  # back again: its own spectra are there still
