"""What stands in model_metrics beside each mean, and what a profile leaves out of it: one rule, read off its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.warehouse.conftest import Lake, metric, table
from zoospectra.warehouse.dictionary import dictionary
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.query import query

KINDS = ["dense", "conv2d", "dense", "depthwise", "dense", "embedding"]
ALPHAS = [2.0, 4.0, 1e7, 1.5, None, 9.0]
ROWS = "SELECT num_layers, num_failed, num_left_out, num_embeddings, share_warned, alpha, alpha_median, rule FROM "


LEFT_OUT = (None, "", "degenerate_tail", "degenerate_tail, depthwise, depthwise_dense", "depthwise")
"""What a profile leaves out; None: its rows are of a version that did not say."""


@pytest.fixture(scope="module")
def averages(tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, dict]:
    """What is left out -> model_metrics of a model with a degenerate, a depthwise, a failed layer and an embedding."""
    lake = Lake(tmp_path_factory.mktemp("means") / "data")
    names = {left_out: f"local/{n}" for n, left_out in enumerate(LEFT_OUT)}
    lake.catalog("s1", [(name, "r1") for name in names.values()])
    for left_out, name in names.items():
        base = {"model_id": name, "revision": "r1"}
        listed = [base | {"layer_id": i, "layer_type": k, "content_hash": f"{name}{i}"} for i, k in enumerate(KINDS)]
        write(lake.directory, "layers", "r1", table("layers", listed), name)
        metrics = [metric(f"{name}{i}", alpha, left_out=left_out) for i, alpha in enumerate(ALPHAS)]
        for row in metrics:
            row["degenerate_tail"] = None if row["alpha"] is None or left_out is None else row["alpha"] > 1e6
        lake.metrics(name, "m1", metrics)
    lake.build()
    rows = query(lake.directory, ROWS + "model_metrics ORDER BY model_id").to_pylist()
    return dict(zip(LEFT_OUT, rows, strict=True))


@pytest.mark.parametrize(
    ("left_out", "num_layers", "num_left_out", "share", "mean", "median"),
    [
        (None, 4, 0, None, (7.5 + 1e7) / 4, 3.0),
        ("", 4, 0, 0.25, (7.5 + 1e7) / 4, 3.0),
        ("degenerate_tail", 3, 1, 0.25, 2.5, 2.0),
        ("degenerate_tail, depthwise, depthwise_dense", 2, 2, 1 / 3, 3.0, 3.0),
        ("depthwise", 3, 1, 1 / 3, (6.0 + 1e7) / 3, 4.0),
    ],
)
def test_a_profile_says_what_its_means_leave_out(averages, left_out, num_layers, num_left_out, share, mean, median):
    row = dict(averages[left_out])
    rule = row.pop("rule")
    assert row == {
        "num_layers": num_layers,
        "num_failed": 1,
        "num_left_out": num_left_out,
        "num_embeddings": 1,
        "share_warned": share if share is None else pytest.approx(share),
        "alpha": pytest.approx(mean),
        "alpha_median": pytest.approx(median),
    }
    said = {None: "", "": "; left out: nothing else"}.get(left_out, f"; left out: {left_out}")
    assert rule == f"mean over layers with a fit, each once; no embeddings, no parts of fused matrices{said}"


def test_every_mean_has_a_median_and_both_are_explained(whole: Path) -> None:
    for view in ("model_metrics", "model_slice_metrics"):
        known = {row.column: row for row in dictionary(whole) if row.table == view}
        means = {name for name, row in known.items() if row.comment.startswith("Mean, see rule")}
        assert {"alpha", "D", "stable_rank"} <= means
        for name in means:
            assert known[f"{name}_median"].comment == known[name].comment.replace("Mean,", "Median,", 1), name
            assert known[f"{name}_median"].unit == known[name].unit
        assert {name for name in known if name.endswith("_median")} == {f"{name}_median" for name in means}
        assert "degenerate" in known["share_warned"].comment
    columns = {(row.table, row.column): row.comment for row in dictionary(whole)}
    assert "left_out" in columns["layer_metrics", "left_out"]
    assert "8 eps" in columns["layer_metrics", "degenerate_tail"]


def test_the_rule_is_a_macro_that_users_can_call(whole: Path) -> None:
    sql = """SELECT in_means('dense') AS plain, in_means('depthwise') AS depthwise,
        in_means('depthwise', 'degenerate_tail, depthwise') AS named, in_means('dense', '', true) AS kept,
        in_means('dense', 'degenerate_tail', true) AS narrow, in_means('q_part') AS part,
        in_means(NULL, NULL, NULL) AS unknown"""
    assert query(whole, sql).to_pylist() == [
        {"plain": True, "depthwise": True, "named": False, "kept": True, "narrow": False, "part": False}
        | {"unknown": True}
    ]


def test_slices_of_degenerate_tails_leave_the_mean_only_where_the_profile_says(lake, make_table, make_metric) -> None:
    lake.catalog("s1", [("local/a", "r1")])
    lake.model("local/a", "r1", ["h1"])
    rows = [
        make_metric("h1", alpha, slice_id=i, profile=name, left_out=left_out, degenerate_tail=alpha > 1e6)
        for name, left_out in (("all", ""), ("some", "degenerate_tail"))
        for i, alpha in enumerate((2.0, 1e7))
    ]
    write(lake.directory, "slice_metrics", "k", make_table("slice_metrics", rows), "local/a")
    lake.build()
    sql = "SELECT profile, num_slices, share_warned, alpha, alpha_median FROM model_slice_metrics ORDER BY 1"
    assert [tuple(row.values()) for row in query(lake.directory, sql).to_pylist()] == [
        ("all", 2, 0.5, 5000001.0, 5000001.0),
        ("some", 1, 0.5, 2.0, 2.0),
    ]
