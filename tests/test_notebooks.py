"""The notebooks run from their first cell to their last, and what they show is what is kept in them."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
SLOW = ("meta_analysis.ipynb", "nights.ipynb")
PLACES = re.compile(r"/(?:tmp|home|root|Users|work|private|var)/|[A-Z]:\\\\")


def cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(cell: dict[str, Any]) -> list[list[str]]:
    """What kinds of output a cell has."""
    return [sorted(output.get("data", {"stream": ""})) for output in cell["outputs"]]


def test_there_is_one_for_each_kind_of_user() -> None:
    names = ("from_weightwatcher", "meta_analysis", "nights", "one_checkpoint", "sql")
    assert [f"{name}.ipynb" for name in names] == NOTEBOOKS
    readme = (ROOT / "README.md").read_text()
    assert all(f"docs/notebooks/{name}" in readme for name in NOTEBOOKS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in NOTEBOOKS]
)
def test_it_runs_and_keeps_what_it_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pandas", "matplotlib"):
        pytest.importorskip(package)
    text = (FOLDER / name).read_text()
    assert not PLACES.search(text)
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    kept = json.loads(text)
    monkeypatch.chdir(tmp_path)
    again = make.run(json.loads(text))
    for number, (before, after) in enumerate(zip(cells(kept), cells(again), strict=True), 1):
        assert before["execution_count"] == number
        assert kinds(before) == kinds(after)
        for old, new in zip(before["outputs"], after["outputs"], strict=True):
            lines = [len(output.get("text") or output["data"]["text/plain"]) for output in (old, new)]
            assert lines[0] == lines[1], "".join(new.get("text") or new["data"]["text/plain"])
    assert sum(map(bool, map(kinds, cells(kept)))) >= 3
