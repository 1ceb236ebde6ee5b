"""A file that is another one where it is read than where it was listed: no result bears the wrong name."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from zoospectra.jobs.main import main
from zoospectra.jobs.work import tasks
from zoospectra.jobs.work.analyse import analyse
from zoospectra.jobs.work.batch import open_batch
from zoospectra.warehouse.query import query


def values(seed: int) -> dict[str, np.ndarray]:
    return {"fc.weight": np.random.default_rng(seed).standard_normal((60, 40)).astype("f4")}


@pytest.mark.parametrize(
    ("stage", "in_place"),
    [
        pytest.param(open_batch, False, marks=pytest.mark.slow),
        pytest.param(analyse, False, marks=pytest.mark.slow),
        (analyse, True),
    ],
)
def test_a_file_that_another_takes_the_place_of_is_read_again_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: object, in_place: bool
) -> None:
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    save_file(values(0), zoo / "a.safetensors")
    save_file(values(1), zoo / "b.safetensors")

    def swapped(*arguments: object) -> object:
        save_file(values(2), tmp_path / "new")
        if in_place:  # what is mapped already changes too
            shutil.copyfile(tmp_path / "new", zoo / "a.safetensors")
        else:
            os.replace(tmp_path / "new", zoo / "a.safetensors")
        return stage(*arguments)  # type: ignore[operator]

    monkeypatch.setattr(tasks, "open_batch", swapped if stage is open_batch else open_batch)
    monkeypatch.setattr("zoospectra.jobs.work.batch.analyse", swapped if stage is analyse else analyse)
    scan = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={tmp_path / 'w'}"]
    assert main(scan) == 3
    monkeypatch.undo()
    sql = "SELECT model_id, reason FROM skipped WHERE failed"
    assert query(tmp_path / "w", sql).to_pylist() == [
        {"model_id": "local/a.safetensors", "reason": "changed_meanwhile"}
    ]
    norms = "SELECT DISTINCT norm FROM layer_metrics ORDER BY norm"
    (only,) = query(tmp_path / "w", norms)["norm"].to_pylist()
    assert only == pytest.approx(np.sum(values(1)["fc.weight"].astype("f8") ** 2), rel=1e-6)
    assert main(scan) == 0
    expected = sorted(float(np.sum(values(seed)["fc.weight"].astype("f8") ** 2)) for seed in (1, 2))
    assert query(tmp_path / "w", norms)["norm"].to_pylist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "place",
    [
        "index.read_hashed",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("index.open_checkpoint", "analyse.read_layer")),
    ],
)
def test_a_copy_under_way_is_no_verdict_on_the_bytes_that_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A file cut short while it is read and then whole again has the revision that it had: its trouble may not last."""
    file, rest = tmp_path / "zoo" / "a.safetensors", values(0) | {f"{n}.weight": values(n)["fc.weight"] for n in (1, 2)}
    file.parent.mkdir()
    save_file(rest, file)
    whole, (module, name) = file.read_bytes(), place.split(".")
    real = getattr(importlib.import_module(f"zoospectra.jobs.work.{module}"), name)

    def cut_short(*words: object) -> object:
        os.truncate(file, 300)
        return real(*words)

    monkeypatch.setattr(f"zoospectra.jobs.work.{place}", cut_short)
    scan = ["scan", "zoo=local", f"zoo.path={file.parent}", "cluster=inline", f"warehouse.dir={tmp_path / 'w'}"]
    assert main(scan) == 3
    reasons = query(tmp_path / "w", "SELECT DISTINCT reason FROM skipped WHERE failed")["reason"].to_pylist()
    assert reasons == ["changed_meanwhile"]
    monkeypatch.undo()
    file.write_bytes(whole)
    assert main(scan) == 0
    counts = "SELECT (SELECT count(*) FROM layer_metrics), (SELECT count(*) FROM skipped)"
    assert list(query(tmp_path / "w", counts).to_pylist()[0].values()) == [3, 0]
