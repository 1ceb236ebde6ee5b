"""Table macros against scipy and by hand, and their answers where there is none."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from zoospectra.warehouse.build import build
from zoospectra.warehouse.definitions import of_kind
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS


def zoo(directory, alphas, targets, series) -> None:
    """One layer a model."""
    models, reported = [], []
    for i, (alpha, target, name) in enumerate(zip(alphas, targets, series, strict=True)):
        base = {"model_id": f"z/m{i:02d}", "revision": "r"}
        models.append(base | {"snapshot": "s", "zoo": "z", "series": name})
        if target is not None:
            row = base | {"snapshot": "s", "dataset": "d", "metric": "acc", "higher_is_better": True, "source": "x"}
            reported.append(row | {"value": target, "source_date": "2026-01-02"})
            reported.append(row | {"value": 999.0, "source_date": "2025-01-02"})
        layer = base | {"layer_id": 0, "longname": "l", "layer_type": "dense", "content_hash": f"h{i}"}
        write(directory, "layers", "r", pa.Table.from_pylist([layer], PARTS["layers"]), base["model_id"])
        metric = {"content_hash": f"h{i}", "unfold": "slices", "profile": "weightwatcher", "profile_key": "k"}
        metric |= {"code_version": "1", "alpha": alpha, "status": "success"}
        write(directory, "layer_metrics", "k", pa.Table.from_pylist([metric], PARTS["layer_metrics"]), base["model_id"])
    write(directory, "models", "s", pa.Table.from_pylist(models, PARTS["models"]))
    write(directory, "reported_metrics", "s", pa.Table.from_pylist(reported, PARTS["reported_metrics"]))
    build(directory)


def test_regress_agrees_with_scipy_and_says_why_not(tmp_path) -> None:
    rng = np.random.default_rng(0)
    alphas = [*np.round(rng.normal(3, 1, 20), 1), *[2.0] * 5, *rng.normal(3, 1, 5), 1.0, 2.0]
    targets = [*np.round(rng.normal(80, 5, 20), 0), *range(5), *[7.0] * 5, 3.0, None]
    series = ["a"] * 20 + ["same x"] * 5 + ["same y"] * 5 + ["few"] * 2
    zoo(tmp_path, alphas, targets, series)
    rows = {row["group"]: row for row in query(tmp_path, "FROM regress('alpha', 'acc')").to_pylist()}
    line = stats.linregress(alphas[:20], targets[:20])
    mine = rows["a"]
    assert (mine["n"], mine["reason"]) == (20, None)
    assert mine["slope"] == pytest.approx(line.slope, abs=1e-10)
    assert mine["intercept"] == pytest.approx(line.intercept, abs=1e-10)
    assert mine["r2"] == pytest.approx(line.rvalue**2, abs=1e-10)
    residual = np.array(targets[:20]) - line.intercept - line.slope * np.array(alphas[:20])
    assert mine["rmse"] == pytest.approx(math.sqrt(np.mean(residual**2)), abs=1e-10)
    assert mine["kendall_tau"] == pytest.approx(stats.kendalltau(alphas[:20], targets[:20]).statistic, abs=1e-10)
    reasons = {group: row["reason"] for group, row in rows.items() if row["reason"]}
    assert reasons == {
        "same x": "alpha is constant",
        "same y": "acc is constant",
        "few": "1 models, at least 4 are needed",
    }
    for group in reasons:
        assert {rows[group][name] for name in ("slope", "intercept", "r2", "rmse", "kendall_tau")} == {None}
    assert rows["(all)"]["n"] == 31
    with pytest.raises(ValueError, match="empty set of columns"):
        query(tmp_path, "FROM regress('alhpa', 'acc')")


def test_layer_profile_and_compare_models(filled) -> None:
    build(filled.directory)
    rows = query(filled.directory, "SELECT layer_id, depth, alpha FROM layer_profile('local/a')").to_pylist()
    assert rows == [{"layer_id": 0, "depth": 0.0, "alpha": 2.0}, {"layer_id": 1, "depth": 1.0, "alpha": 4.0}]
    sql = "SELECT longname, alpha_a, alpha_b, alpha_change, same_bytes FROM compare_models('local/a', 'local/b')"
    assert query(filled.directory, sql).to_pylist() == [
        {"longname": "l0", "alpha_a": 2.0, "alpha_b": 2.0, "alpha_change": 0.0, "same_bytes": True},
        {"longname": "l1", "alpha_a": 4.0, "alpha_b": None, "alpha_change": None, "same_bytes": False},
    ]


def test_changed_since(filled) -> None:
    filled.catalog("s2", [("local/a", "r2"), ("local/c", "r1")])
    filled.run("run2", "s2", 1)
    build(filled.directory)
    rows = query(filled.directory, "SELECT model_id, change FROM changed_since('run1')").to_pylist()
    assert [(row["model_id"], row["change"]) for row in rows] == [
        ("local/b", "gone"),
        ("local/c", "new"),
        ("local/a", "retrained"),
    ]
    assert query(filled.directory, "FROM changed_since('run2')").num_rows == 1  # what is gone was missed by run2 itself
    assert query(filled.directory, "FROM changed_since('nothing')").num_rows == 0


def test_every_macro_has_its_comment(filled) -> None:
    build(filled.directory)
    sql = """SELECT function_name, any_value(comment) AS comment FROM duckdb_functions()
             WHERE NOT internal AND function_type IN ('macro', 'table_macro') GROUP BY 1"""
    found = {row["function_name"]: row["comment"] for row in query(filled.directory, sql).to_pylist()}
    assert found == {macro.name: macro.comment for macro in of_kind("MACRO")}


def test_published_averages_stand_beside_our_own(lake) -> None:
    lake.catalog("s1", [("paper/x", "r"), ("local/a", "r1")])
    lake.model("local/a", "r1", ["h1"])
    base = {"revision": "r", "profile": "published/p", "rule": "mean over slices", "origin": "a paper"}
    rows = [base | {"model_id": "paper/x", "alpha": 3.5, "log_norm": 1.0}]
    write(lake.directory, "model_averages", "k", pa.Table.from_pylist(rows, PARTS["model_averages"]))
    build(lake.directory)
    got = query(lake.directory, "SELECT model_id, alpha, num_layers, rule FROM model_metrics").to_pylist()
    assert got == [
        {"model_id": "paper/x", "alpha": 3.5, "num_layers": None} | {"rule": "mean over slices, as published: a paper"}
    ]
    assert query(lake.directory, "SELECT latest FROM model_averages").to_pylist() == [{"latest": True}]
