"""Metrics that others computed stand in the same views as ours, marked with their origin."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from tests.jobs.zoos import make_zoo, weights
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


def load(path: Path, data: Path) -> int:
    return main(["scan", "zoo=published", f"zoo.path={path}", f"warehouse.dir={data}"])


def test_the_papers_layer_data(shared: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert load(shared / "reference" / "raw" / "ww-trends-2020" / "data", data) == 0
    (counts,) = query(data, "SELECT count(*) AS models FROM models WHERE zoo = 'published'").to_pylist()
    assert counts["models"] == 351
    slices = query(
        data, "SELECT count(*) AS n FROM slice_metrics WHERE profile LIKE 'published/%' AND M >= 50"
    ).to_pylist()
    assert slices == [{"n": 6993}]
    assert query(data, "SELECT count(*) AS n FROM layer_metrics WHERE profile LIKE 'published/%'").to_pylist() == [
        {"n": 2193}
    ]


def test_its_catalog_is_kept_like_any_other(shared: Path, tmp_path: Path) -> None:
    folder = shared / "reference" / "raw" / "ww-trends-2020" / "data"
    words = ["catalog", "zoo=published", f"zoo.path={folder}", "models=*vgg1*", f"warehouse.dir={tmp_path}"]
    assert main([*words, "limit=3"]) == 0
    names = query(tmp_path, "SELECT name FROM models ORDER BY name")["name"].to_pylist()
    assert names == ["vgg11", "vgg11_bn", "vgg13"]
    assert query(tmp_path, "SELECT count(*) AS n FROM layers").to_pylist() == [{"n": 0}]


@pytest.mark.oracle
def test_a_real_details_table_beside_our_own_numbers(tmp_path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        import weightwatcher

        state = {name: tensor for name, tensor in weights(0).items() if tensor.ndim in (2, 4)}
        details = weightwatcher.WeightWatcher(model=state).analyze()
    tables, data = tmp_path / "tables", tmp_path / "data"
    tables.mkdir()
    details.to_csv(tables / "net0.csv", index=False)
    zoo = make_zoo(tmp_path / "zoo", models=1)
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    assert load(tables, data) == 0
    both = """
        SELECT ours.longname, ours.alpha, theirs.alpha AS alpha_ww, ours.log_norm, theirs.log_norm AS log_norm_ww
        FROM layer_metrics AS ours JOIN layer_metrics AS theirs USING (longname)
        WHERE ours.profile = 'weightwatcher' AND theirs.profile = 'published/weightwatcher-0.7'"""
    rows = query(data, both).to_pylist()
    assert len(rows) == len(details)
    for row in rows:
        assert row["alpha"] == pytest.approx(row["alpha_ww"], rel=1e-6)
        assert row["log_norm"] == pytest.approx(row["log_norm_ww"], rel=1e-6)
    zoos = query(data, "SELECT DISTINCT zoo, profile FROM model_metrics ORDER BY ALL").to_pylist()
    assert zoos == [
        {"zoo": "local", "profile": "weightwatcher"},
        {"zoo": "published", "profile": "published/weightwatcher-0.7"},
    ]
