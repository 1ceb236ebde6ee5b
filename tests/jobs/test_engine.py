"""A tensor that cannot be analysed is a row in every model that holds it, and no other row is lost for it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


def without_memory(zoo: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """A scan on a machine that offers next to nothing; (model, reason) of every skip that it leaves."""
    monkeypatch.setattr("zoospectra.jobs.work.executors.node.MEMORY_SHARE", 1e-12)
    run = call("scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline").run
    rows = query(data, "SELECT model_id, reason, failed FROM skipped").to_pylist()
    assert run.counts.failed == sum(row["failed"] for row in rows)
    assert run.counts.skipped == sum(not row["failed"] for row in rows)
    return Counter((row["model_id"].removeprefix("local/"), row["reason"]) for row in rows)


def test_a_later_model_with_the_same_bytes_has_the_row_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    shutil.copy(zoo / "net0.safetensors", zoo / "copy.safetensors")
    found = without_memory(zoo, tmp_path / "data", monkeypatch)
    assert found["net0.safetensors", "too_large"] == found["copy.safetensors", "too_large"] == 4


def test_a_refit_that_fails_keeps_the_rows_of_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=1), tmp_path / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    for part in data.glob("parts/log/layer_metrics-*.parquet"):
        part.unlink()
    found = without_memory(zoo, data, monkeypatch)
    assert found["net0.safetensors", "too_large"] == 4
    assert found["net0.safetensors", "vector"] == 2
    assert found["net0.safetensors", "buffer"] == 2
