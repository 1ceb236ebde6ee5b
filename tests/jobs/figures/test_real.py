"""Every figure drawn from real scans, the digits zoo and the published data: its numbers are those of the warehouse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.jobs.verbs.figure import NAMES
from zoospectra.warehouse.query import query

pytest.importorskip("matplotlib")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ONE_LAYER = ("esd", "search")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    assert main(["scan", "cluster=inline", f"warehouse.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def published(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    call("scan", "zoo=published", f"zoo.path={shared / 'reference' / 'raw'}", f"warehouse.dir={folder}")
    return folder


def drawn(name: str, warehouse: Path, folder: Path, *words: str) -> list[dict]:
    """The rows behind a figure."""
    path = call("figure", name, *words, f"warehouse.dir={warehouse}", f"to={folder}", "format=png")
    assert path.stat().st_size > 10_000
    rows: list[dict] = pq.read_table(path.with_suffix(".parquet")).to_pylist()
    assert len(rows) == len(path.with_suffix(".csv").read_text().splitlines()) - 1
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_of_the_digits_zoo(name: str, digits: Path, tmp_path: Path) -> None:
    words = ["digits/mlp4-w96-b16-e32-d0", "features.4"] if name in ONE_LAYER else []
    rows = drawn(name, digits, tmp_path, *words)
    models = query(digits, "SELECT model_id, alpha FROM model_metrics").to_pylist()
    layers = query(digits, "SELECT alpha FROM layer_metrics")["alpha"].to_pylist()
    if name in ("quality", "train-test", "shape-scale"):
        assert {row["model_id"]: row["alpha"] for row in rows} == {row["model_id"]: row["alpha"] for row in models}
    elif name == "counts":
        assert sum(row["n"] for row in rows) == len(models)
    elif name in ("depth", "histogram"):
        assert sorted(row["alpha"] for row in rows) == sorted(layers)
    elif name == "bars":
        quality = drawn("quality", digits, tmp_path)
        x, y = (np.array([row[column] for row in quality]) for column in ("alpha", "reported"))
        (bar,) = (row for row in rows if (row["group"], row["metric"]) == ("all", "alpha"))
        assert (bar["r2"], bar["kendall_tau"]) == pytest.approx(
            (stats.linregress(x, y).rvalue ** 2, stats.kendalltau(x, y).statistic)
        )
    else:
        sql = """SELECT alpha, D, xmin FROM layer_metrics WHERE longname = 'features.4'
                 AND model_id = 'digits/mlp4-w96-b16-e32-d0'"""
        (fit,) = query(digits, sql).to_pylist()
        if name == "search":
            (chosen,) = (row for row in rows if row["chosen"])
            assert (chosen["alpha"], chosen["D"], chosen["xmin"]) == pytest.approx(
                (fit["alpha"], fit["D"], fit["xmin"])
            )
        else:
            tail = [row["eigenvalue"] for row in rows if row["of"] == "layer" and row["eigenvalue"] >= fit["xmin"]]
            hill = 1 + len(tail) / np.sum(np.log(np.array(tail) / fit["xmin"]))
            assert hill == pytest.approx(fit["alpha"], rel=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*ONE_LAYER, "train-test")])
def test_of_the_published_data(name: str, published: Path, tmp_path: Path) -> None:
    rows = drawn(name, published, tmp_path, "profiles=published/weightwatcher-0.2")
    if name in ("quality", "shape-scale"):
        assert {row["dataset"] for row in rows} == {"imagenet-1k"}
        assert len(rows) == len({row["model_id"] for row in rows}) > 150
    assert len(rows) >= 20
