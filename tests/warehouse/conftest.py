"""A small lake with known content, written through the real writer."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.warehouse.world import Row, warehouse, world
from zoospectra.warehouse.build import build
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.schema import PARTS, field

DAY = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
EXTRA = field("hill_k2", pa.float64(), "1", "Hill estimator at half of the spectrum")
DEPTH = field("depth", pa.int64(), "count", "Depth of the network")


def table(kind: str, rows: list[dict[str, Any]], *extra: pa.Field) -> pa.Table:
    """Rows as a part of this kind, with extra columns."""
    return pa.Table.from_pylist(rows, pa.schema([*PARTS[kind], *extra]))


def metric(content: str, alpha: float | None = 3.0, **more: Any) -> dict[str, Any]:
    row = {"content_hash": content, "unfold": "slices", "profile": "weightwatcher", "profile_key": "k1"}
    row |= {"code_version": "1", "N": 8, "M": 4, "Q": 2.0, "rf": 1, "num_evals": 4, "alpha": alpha}
    return row | {"status": "success" if alpha is not None else "failed: zero"} | more


class Lake:
    """Writes parts of pretended scans into one folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def catalog(self, snapshot: str, models: list[tuple[str, str]], *extra: pa.Field, **more: Any) -> None:
        rows = [{"snapshot": snapshot, "model_id": m, "revision": r, "zoo": "local", **more} for m, r in models]
        write(self.directory, "models", snapshot, table("models", rows, *extra))

    def run(self, run_id: str, snapshot: str, day: int) -> None:
        started = DAY + datetime.timedelta(days=day)
        row = {"run_id": run_id, "snapshot": snapshot, "started": started, "verb": "scan", "exit_status": 0}
        row["finished"] = started + datetime.timedelta(hours=1)
        write(self.directory, "runs", run_id, table("runs", [row]))

    def model(self, model_id: str, revision: str, contents: list[str], kind: str = "dense") -> None:
        rows = [
            {"model_id": model_id, "revision": revision, "layer_id": i, "longname": f"l{i}", "tensor": f"l{i}.weight"}
            | {"layer_type": kind, "N": 8, "M": 4, "rf": 1, "shape": [8, 4], "params": 32, "content_hash": content}
            for i, content in enumerate(contents)
        ]
        write(self.directory, "layers", revision, table("layers", rows), model_id)

    def metrics(self, model_id: str, key: str, rows: list[dict[str, Any]], *extra: pa.Field) -> None:
        write(self.directory, "layer_metrics", key, table("layer_metrics", rows, *extra), model_id)

    def spectra(self, model_id: str, key: str, contents: list[str], scale: float = 1.0) -> None:
        rows = [
            {"content_hash": c, "unfold": "slices", "slice_id": s, "N": 8, "M": 4, "code_version": "1"}
            | {"evals": [scale * v for v in (0.5, 1.0, 2.0, 4.0)], "method": "gram", "device": "cpu"}
            for c in contents
            for s in range(2)
        ]
        write(self.directory, "spectra", key, table("spectra", rows), model_id)

    def build(self) -> None:
        build(self.directory)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "data")


def fill(lake: Lake) -> Lake:
    """Two models that share the bytes of one layer; the second has a failed fit."""
    lake.catalog("s1", [("local/a", "r1"), ("local/b", "r1")])
    lake.run("run1", "s1", 0)
    reported = {"snapshot": "s1", "model_id": "local/a", "revision": "r1", "dataset": "d", "metric": "top1_error"}
    write(
        lake.directory,
        "reported_metrics",
        "s1",
        table("reported_metrics", [reported | {"value": 7.5, "higher_is_better": False, "source": "paper"}]),
    )
    lake.model("local/a", "r1", ["h1", "h2"])
    lake.model("local/b", "r1", ["h1", "h3"])
    lake.metrics("local/a", "m1", [metric("h1", 2.0, hill_k2=1.5), metric("h2", 4.0, hill_k2=None)], EXTRA)
    lake.metrics("local/b", "m1", [metric("h3", None)])
    lake.spectra("local/a", "p1", ["h1", "h2"])
    lake.spectra("local/b", "p1", ["h1", "h3"])
    skip = {"model_id": "local/a", "revision": "r1", "tensor": "l0.bias", "reason": "vector", "failed": False}
    write(lake.directory, "skipped", "r1", table("skipped", [skip]), "local/a")
    return lake


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """Parts of two models, not built yet."""
    return fill(lake)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the two models, built: for tests that only read it."""
    lake = fill(Lake(tmp_path_factory.mktemp("whole") / "data"))
    lake.build()
    return lake.directory


@pytest.fixture
def published(whole: Path, tmp_path: Path) -> Lake:
    """A copy of it: for tests that change it."""
    return Lake(shutil.copytree(whole, tmp_path / "data", symlinks=True, copy_function=shutil.copy2))


@pytest.fixture
def make_table() -> Callable[..., pa.Table]:
    return table


@pytest.fixture
def make_metric() -> Callable[..., dict[str, Any]]:
    return metric


@pytest.fixture(scope="module", params=(0, 1))
def made(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, list[Row]], duckdb.DuckDBPyConnection]]:
    """Rows of the parts of a made-up warehouse, and a generation made of them, in memory."""
    raw = world(request.param)
    with warehouse(raw) as connection:
        yield raw, connection
