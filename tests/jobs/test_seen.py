"""A file that is another one where it is read than where it was listed: no result bears the wrong name."""

from __future__ import annotations

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
