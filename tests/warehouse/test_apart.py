"""A build in a process of its own is the build: same tables, same refusals, and a flag that nothing was new."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from zoospectra.warehouse import apart
from zoospectra.warehouse.build import Built, build
from zoospectra.warehouse.connect import generations
from zoospectra.warehouse.query import query


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "MODELS", 0)


def test_a_build_apart_is_the_build(filled, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        here.setattr("zoospectra.warehouse.build._publish", None)  # nothing is built in this process
        built = apart.refresh(filled.directory, keep=3)
        again = apart.refresh(filled.directory, keep=3)
    assert isinstance(built, Built)
    assert (built.generation, built.published, built.broken) == (1, True, ())
    assert built.path == generations(filled.directory)[-1][1]
    assert (again.path, again.published, again.rows) == (built.path, False, built.rows)
    rows = query(filled.directory, "FROM layer_metrics ORDER BY ALL")
    assert built.rows["layer_metrics_history"] == len(rows) == 4
    build(filled.directory)
    assert query(filled.directory, "FROM layer_metrics ORDER BY ALL").equals(rows)


def test_what_a_build_apart_raises_is_raised_here(filled, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep=0: expected at least 1 generation"):
        apart.refresh(filled.directory, keep=0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as error:
        apart.refresh(tmp_path / "file" / "inside", keep=3)
    assert error.value.errno == errno.ENOTDIR
