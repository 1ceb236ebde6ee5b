"""A tensor that cannot be analysed is a row in every model that holds it, and no other row is lost for it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from zoospectra.jobs.work.campaign import Campaign

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.jobs.show.progress import ProgressLine
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.executors import Cluster, open_executor
from zoospectra.jobs.work.schedule import run
from zoospectra.warehouse.build import build
from zoospectra.warehouse.query import query
from zoospectra.zoo.sources.local import crawl


def without_memory(zoo: Path, data: Path) -> Counter[tuple[str, str]]:
    """A campaign on a machine that offers one byte; (model, reason) of every skip that it leaves."""
    progress = ProgressLine("test")
    models, profiles = crawl(str(zoo)), load_profiles(["weightwatcher"])
    campaign = Campaign(data, models, profiles, shard_seconds=1.0, memory=1, progress=progress)
    run(campaign.start(), open_executor(Cluster("inline")), campaign.handle)
    counts = campaign.finish()
    build(data)
    rows = query(data, "SELECT model_id, reason, failed FROM skipped").to_pylist()
    assert counts.failed == sum(row["failed"] for row in rows)
    return Counter((row["model_id"].removeprefix("local/"), row["reason"]) for row in rows)


def test_a_later_model_with_the_same_bytes_has_the_row_too(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    shutil.copy(zoo / "net0.safetensors", zoo / "copy.safetensors")
    found = without_memory(zoo, tmp_path / "data")
    assert found["net0.safetensors", "too_large"] == found["copy.safetensors", "too_large"] == 4


def test_a_refit_that_fails_keeps_the_rows_of_the_index(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=1), tmp_path / "data"
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    for part in data.glob("parts/models/*/layer_metrics-*.parquet"):
        part.unlink()
    found = without_memory(zoo, data)
    assert found["net0.safetensors", "too_large"] == 4
    assert found["net0.safetensors", "vector"] == 2
    assert found["net0.safetensors", "buffer"] == 2
