"""Which models count as one under two names: every side of both rules, one pair of planted models each."""

from __future__ import annotations

import pyarrow as pa
import pytest

from zoospectra.warehouse.parts import write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS

BYTES = {
    "same bytes": (["h1", "h2"], ["h1", "h2"], True),
    "another order": (["h3", "h4"], ["h4", "h3"], True),
    "one layer more": (["h5", "h6"], ["h5", "h6", "h7"], False),
    "one layer twice": (["h8"], ["h8", "h8"], False),
}
"""Name -> layers of the first and the second model, and whether they are one."""
PRINTED = {
    "equal": ({}, {}, True),
    "norm within": ({}, {"log_norm": 1.0 + 0.9e-5}, True),
    "norm below": ({}, {"log_norm": 1.0 - 0.9e-5}, True),
    "norm beyond": ({}, {"log_norm": 1.0 + 1.1e-5}, False),
    "norm beyond below": ({}, {"log_norm": 1.0 - 1.1e-5}, False),
    "alpha within": ({}, {"alpha": 3.009}, True),
    "alpha below": ({}, {"alpha": 2.991}, True),
    "alpha beyond": ({}, {"alpha": 3.011}, False),
    "alpha beyond below": ({}, {"alpha": 2.989}, False),
    "another profile": ({}, {"profile": "published/other"}, False),
    "our profile": ({"profile": "weightwatcher"}, {"profile": "weightwatcher"}, False),
    "another rule": ({"rule": "mean over layers"}, {"rule": "mean over layers"}, False),
}
"""Name -> what the published averages of both differ in from log_norm 1 and alpha 3, and whether they are one."""


@pytest.mark.parametrize("name", BYTES)
def test_equal_bytes(lake, name: str) -> None:
    first, second, one = BYTES[name]
    lake.catalog("s1", [("z/b", "r"), ("z/a", "r"), ("z/other", "r")])
    for model, layers in (("z/b", second), ("z/a", first), ("z/other", ["h9"])):
        lake.model(model, "r", layers)
    lake.build()
    expected = [{"model_id": "z/b", "double_of": "z/a", "rule": "all layers have the same bytes"}]
    assert query(lake.directory, "FROM doubles").to_pylist() == (expected if one else [])


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("dataset", ["d", "e"])
def test_equal_averages(lake, name: str, dataset: str) -> None:
    first, second, one = PRINTED[name]
    base = {"revision": "r", "profile": "published/p", "rule": "mean over slices", "alpha": 3.0, "log_norm": 1.0}
    rows = [base | {"model_id": "z/a"} | first, base | {"model_id": "z/b"} | second]
    models = [{"snapshot": "s", "model_id": "z/a", "revision": "r", "zoo": "z", "dataset": "d"}]
    models.append({**models[0], "model_id": "z/b", "dataset": dataset})
    write(lake.directory, "models", "s", pa.Table.from_pylist(models, PARTS["models"]))
    write(lake.directory, "model_averages", "k", pa.Table.from_pylist(rows, PARTS["model_averages"]))
    lake.build()
    expected = [{"model_id": "z/b", "double_of": "z/a", "rule": "published mean log_norm and alpha agree"}]
    assert query(lake.directory, "FROM doubles").to_pylist() == (expected if one and dataset == "d" else [])


def test_of_three_the_first_by_name_stands_for_the_others(lake) -> None:
    lake.catalog("s1", [(f"z/{one}", "r") for one in "cba"])
    for one in "cba":
        lake.model(f"z/{one}", "r", ["h1"])
    lake.build()
    rows = query(lake.directory, "SELECT model_id, double_of FROM doubles").to_pylist()
    assert rows == [{"model_id": "z/b", "double_of": "z/a"}, {"model_id": "z/c", "double_of": "z/a"}]
