"""Small new models are analysed by the task that opens them: the same rows as of models that are listed first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.jobs.test_scan import assert_same
from tests.jobs.zoos import make_zoo, weights
from zoospectra.jobs.call import call
from zoospectra.jobs.work import batch, engine, opening
from zoospectra.jobs.work.analyse import Analysed, analyse
from zoospectra.jobs.work.batch import Batch, Opened, open_batch
from zoospectra.jobs.work.job import Counts
from zoospectra.jobs.work.plan import Shard
from zoospectra.warehouse.identity import seed_of
from zoospectra.warehouse.query import query


def scan(zoo: Path, data: Path) -> Counts:
    words = ("zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", "shard_seconds=0.02")
    return call("scan", *words).run.counts  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models, one with a part of another, a copy, one with NaN, and half a file."""
    zoo = make_zoo(tmp_path_factory.mktemp("batch") / "zoo", models=3)
    first = load_file(zoo / "net0.safetensors")
    save_file(weights(7) | {"fc1.weight": first["fc1.weight"]}, zoo / "tuned.safetensors")
    damaged = weights(8)
    damaged["fc2.weight"][0, 0] = float("nan")
    save_file(damaged, zoo / "nan.safetensors")
    shutil.copy(zoo / "net1.safetensors", zoo / "copy.safetensors")
    (zoo / "cut.safetensors").write_bytes((zoo / "net0.safetensors").read_bytes()[:9000])
    return zoo


@pytest.fixture(scope="module")
def listed(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counts]:
    """A warehouse, every model of which was listed before it was analysed."""
    data = tmp_path_factory.mktemp("listed") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "SMALL", -1)
        return data, scan(zoo, data)


@pytest.mark.parametrize("seconds", [batch.SECONDS, 3e-4])
def test_both_ways_leave_the_same_rows_and_what_is_too_much_is_left_to_others(
    zoo: Path, listed: tuple[Path, Counts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    left: list[int] = []

    def watched(work: Batch) -> Opened:
        given = open_batch(work)
        assert work.profiles
        left.append(sum(layer.layer is not None for model in given.models for layer in model.layers))
        return given

    monkeypatch.setattr(batch, "SECONDS", seconds)
    monkeypatch.setattr("zoospectra.jobs.work.tasks.open_batch", watched)
    assert scan(zoo, tmp_path / "data") == listed[1]
    assert (sum(left) > 0) == (seconds < 1.0)
    assert_same(tmp_path / "data", listed[0])
    found = query(tmp_path / "data", "SELECT count(*) AS n FROM spectra GROUP BY content_hash, unfold, slice_id")
    assert set(found["n"].to_pylist()) == {1}


def test_what_has_results_is_not_analysed_again(zoo: Path, listed: tuple[Path, Counts], tmp_path: Path) -> None:
    data = shutil.copytree(listed[0], tmp_path / "data", symlinks=True)
    other = tmp_path / "other"
    other.mkdir()
    for file in ("net0", "net2", "tuned"):
        save_file(load_file(zoo / f"{file}.safetensors"), other / f"new-{file}.safetensors", {"a": "header"})
    counts = scan(other, data)
    assert (counts.indexed, counts.layers, counts.analysed, counts.failed) == (3, 12, 0, 0)


def test_a_tensor_whose_analysis_breaks_costs_nothing_else(
    zoo: Path, listed: tuple[Path, Counts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT DISTINCT content_hash FROM layers WHERE model_id = 'local/net2.safetensors' AND longname = 'fc1'"
    guilty = seed_of(query(listed[0], sql)["content_hash"][0].as_py())

    def breaks(shard: Shard, *values: Any) -> Analysed:
        assert guilty not in {seed_of(item.content_hash) for item in shard.items}, "the guilty one"
        return analyse(shard, *values)

    monkeypatch.setattr(batch, "analyse", breaks)
    monkeypatch.setattr(engine, "analyse", breaks)
    data = tmp_path / "data"
    counts = scan(zoo, data)
    assert (counts.analysed, counts.failed) == (listed[1].analysed - 1, listed[1].failed + 1)
    rows = query(data, "SELECT model_id, tensor, reason FROM skipped WHERE detail LIKE '%the guilty one%'").to_pylist()
    assert rows == [{"model_id": "local/net2.safetensors", "tensor": "fc1.weight", "reason": "error"}]
