"""Table macros in a built warehouse; their answers against plain Python: test_statements.py."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from zoospectra.warehouse.build import build
from zoospectra.warehouse.definitions import of_kind
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS


def test_regress_refuses_a_column_that_is_not_there(whole: Path) -> None:
    with pytest.raises(ValueError, match="empty set of columns"):
        query(whole, "FROM regress('alhpa', 'acc')")


def test_layer_profile_and_compare_models(whole: Path) -> None:
    rows = query(whole, "SELECT layer_id, depth, alpha FROM layer_profile('local/a')").to_pylist()
    assert rows == [{"layer_id": 0, "depth": 0.0, "alpha": 2.0}, {"layer_id": 1, "depth": 1.0, "alpha": 4.0}]
    sql = "SELECT longname, alpha_a, alpha_b, alpha_change, same_bytes FROM compare_models('local/a', 'local/b')"
    assert query(whole, sql).to_pylist() == [
        {"longname": "l0", "alpha_a": 2.0, "alpha_b": 2.0, "alpha_change": 0.0, "same_bytes": True},
        {"longname": "l1", "alpha_a": 4.0, "alpha_b": None, "alpha_change": None, "same_bytes": False},
    ]


def test_every_macro_has_its_comment(whole: Path) -> None:
    sql = """SELECT function_name, any_value(comment) AS comment FROM duckdb_functions()
             WHERE NOT internal AND function_type IN ('macro', 'table_macro') GROUP BY 1"""
    found = {row["function_name"]: row["comment"] for row in query(whole, sql).to_pylist()}
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
