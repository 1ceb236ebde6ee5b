"""Which models count as one under two names: every side of both rules, one pair of planted models each."""

from __future__ import annotations

from tests.warehouse.world import PRINTED, Row, answer, day, warehouse

BYTES = {
    "same bytes": (["h1", "h2"], ["h1", "h2"], True),
    "another order": (["h3", "h4"], ["h4", "h3"], True),
    "one layer more": (["h5", "h6"], ["h5", "h6", "h7"], False),
    "one layer twice": (["h8"], ["h8", "h8"], False),
}
"""Name -> layers of the first and the second model, and whether they are one."""
PRINTS = {
    "equal": ({}, {}, True),
    "norm within": ({}, {"log_norm": 1.0 + 0.9e-5}, True),
    "norm below": ({}, {"log_norm": 1.0 - 0.9e-5}, True),
    "norm beyond": ({}, {"log_norm": 1.0 + 1.1e-5}, False),
    "norm beyond below": ({}, {"log_norm": 1.0 - 1.1e-5}, False),
    "no norm": ({}, {"log_norm": None}, False),
    "alpha within": ({}, {"alpha": 3.009}, True),
    "alpha below": ({}, {"alpha": 2.991}, True),
    "alpha beyond": ({}, {"alpha": 3.011}, False),
    "alpha beyond below": ({}, {"alpha": 2.989}, False),
    "alpha at the bound": ({"alpha": 0.0}, {"alpha": 0.01}, False),
    "another profile": ({}, {"profile": "published/other"}, False),
    "our profile": ({"profile": "weightwatcher"}, {"profile": "weightwatcher"}, False),
    "another rule": ({"rule": "mean over layers"}, {"rule": "mean over layers"}, False),
    "one of another rule": ({}, {"rule": "mean over layers"}, False),
    "another data set": ({"dataset": "other"}, {}, False),
    "no data set": ({"dataset": None}, {"dataset": None}, False),
}
"""Name -> what the published averages of both differ in from log_norm 1 and alpha 3, and whether they are one."""


def test_two_models_are_one_where_the_rules_say_so() -> None:
    raw: dict[str, list[Row]] = {"models": [], "layers": [], "model_averages": []}
    expected = {}
    for name, (*both, one) in BYTES.items():
        for half, contents in zip("ab", both, strict=True):
            base = {"snapshot": "s", "model_id": f"{name}/{half}", "revision": "r"}
            raw["models"].append(base)
            raw["layers"] += [base | {"layer_id": i, "content_hash": h} for i, h in enumerate(contents)]
        expected |= {f"{name}/b": (f"{name}/a", "all layers have the same bytes")} if one else {}
    for name, (*both, one) in PRINTS.items():
        for half, changes in zip("ab", both, strict=True):
            base = {"snapshot": "s", "model_id": f"{name}/{half}", "revision": "r", "dataset": name} | changes
            raw["models"].append(base)
            row = {"profile": "published/p", "rule": "mean over slices", "alpha": 3.0, "log_norm": 1.0} | base
            raw["model_averages"] += [row, row | {"revision": "older", "log_norm": 1.0, "alpha": 3.0}]
            raw["models"].append(base | {"snapshot": "older", "revision": "older"})
        expected |= {f"{name}/b": (f"{name}/a", "published mean log_norm and alpha agree")} if one else {}
    for row in raw["models"]:
        row["written"] = day(row["snapshot"] == "s")
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM doubles")
    assert {row["model_id"]: (row["double_of"], row["rule"]) for row in rows} == expected
    assert [row["model_id"] for row in rows] == sorted(expected)


def test_slices_of_published_rows_count_and_the_first_of_three_stands_for_all() -> None:
    raw: dict[str, list[Row]] = {"models": [], "layers": [], "slice_metrics": []}
    for name, log_norm in (("c", 1.0), ("b", 1.0), ("a", 1.0), ("other", 2.0)):
        base = {"model_id": name, "revision": "r", "dataset": "d", "content_hash": f"h{name}", "layer_id": 0}
        raw["models"].append(base | {"snapshot": "s"})
        raw["layers"].append(base | {"layer_type": "dense"})
        row = base | {"profile": PRINTED, "unfold": "slices", "alpha": 2.0, "log_norm": log_norm}
        raw["slice_metrics"].append(row | {"slice_id": 0, "outcome": "fit", "code_version": "1", "profile_key": "k"})
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM doubles")
    why = "published mean log_norm and alpha agree"
    assert rows == [{"model_id": name, "double_of": "a", "rule": why} for name in "bc"]
