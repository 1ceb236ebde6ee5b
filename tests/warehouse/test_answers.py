"""Macros and checks against plain Python and scipy over made-up warehouses."""

from __future__ import annotations

import itertools
import math
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.warehouse.plain import (
    grouped,
    layers,
    measured,
    same,
)
from tests.warehouse.world import Row, answer, day, warehouse
from zoospectra.warehouse.definitions import names, text


def test_the_newest_run_of_kin_stands_for_all() -> None:
    pair = {"model_id": "a", "revision": "r", "relative_id": "b", "verdict": "copy", "cosine": 0.5, "p_adjusted": 0.1}
    old = [pair | {"relative_id": "old"}]
    new = [pair, pair | {"relative_id": "c", "cosine": 0.9}, pair | {"relative_id": "d", "verdict": "independent"}]
    new += [pair | {"relative_id": "e", "verdict": "undetermined"}, pair | {"model_id": "b", "relative_id": "a"}]
    rows = [row | {"written": day(2)} for row in new] + [row | {"written": day(1)} for row in old]
    families = [{"model_id": m, "family": f, "written": day(w)} for m, f, w in (("a", 1, 2), ("b", 1, 2), ("c", 2, 1))]
    moved = [{"model_id": "a", "base_id": "b", "longname": "l", "profile": "p", "distance": float(w)} for w in (1, 2)]
    moved = [row | {"written": day(row["distance"])} for row in moved]
    with warehouse({"kinship": rows, "families": families, "delta_metrics": moved}) as connection:
        assert len(answer(connection, "FROM kinship")) == 5
        found = answer(connection, "SELECT relative_id FROM relatives('a')")
        assert [row["relative_id"] for row in found] == ["c", "b"]  # the most similar first, who is none left out
        assert len(answer(connection, "FROM relatives('*')")) == 3
        assert answer(connection, "SELECT model_id FROM families") == [{"model_id": "a"}, {"model_id": "b"}]
        assert answer(connection, "SELECT distance FROM delta_metrics") == [{"distance": 2.0}]


def test_layers_beside_each_other(made) -> None:
    raw, connection = made
    sketches = {
        rows[0]["content_hash"]: max(rows, key=lambda r: (r["written"], r["code_version"]))
        for rows in grouped(raw["sketches"], "content_hash").values()
    }
    of = {m: {r["longname"]: r for r in rows if r["latest"]} for (m,), rows in grouped(layers(raw), "model_id").items()}

    def matched(a: str, b: str) -> dict[str, tuple[float, float, bool]]:
        found = {}
        for name in of[a].keys() & of[b].keys():
            one, two = (sketches[of[m][name]["content_hash"]] for m in (a, b))
            if one["elements"] == two["elements"]:
                u, v = np.array(one["sketch"], "f4"), np.array(two["sketch"], "f4")
                cosine = float(u @ v / np.sqrt(float(u @ u) * float(v @ v)))
                far = float(np.linalg.norm(u - v) / np.linalg.norm(v))
                found[name] = (cosine, far, of[a][name]["content_hash"] == of[b][name]["content_hash"])
        return found

    every = sorted(of)
    for a, b in itertools.pairwise(every):
        rows = answer(connection, f"FROM kin_layers('{a}', '{b}')")
        expected = matched(a, b)
        assert {r["longname"]: (r["cosine"], r["distance"], r["same_bytes"]) for r in rows} == {
            name: pytest.approx(value, abs=1e-5) for name, value in expected.items()
        }
        metrics = {
            m: {r["longname"]: r for r in measured(raw, "layer_metrics")
                if r["latest"] and r["model_id"] == m and r["profile"] == "kept"} for m in (a, b)
        }  # fmt: skip
        expected = []
        for name in metrics[a].keys() | metrics[b].keys():
            one, two = (metrics[m].get(name, {}) for m in (a, b))
            row = {"longname": name}
            for column in ("alpha", "log_norm", "log_spectral_norm"):
                x, y = one.get(column), two.get(column)
                row |= {f"{column}_a": x, f"{column}_b": y}
                row[f"{column}_change"] = None if x is None or y is None else y - x
            both = one and two
            row["same_bytes"] = one["content_hash"] == two["content_hash"] if both else None
            expected.append(row)
        mine = answer(connection, f"FROM compare_models('{a}', '{b}', profile_name := 'kept')")
        same([{name: row[name] for name in expected[0]} for row in mine], expected)
    rows = answer(connection, f"FROM nearest('{every[0]}')")
    expected = {b: list(matched(every[0], b).values()) for b in every[1:]}
    assert {r["model_id"]: (r["layers"], r["cosine"], r["equal_bytes"]) for r in rows} == {
        b: pytest.approx((len(v), np.median([x[0] for x in v]), np.mean([x[2] for x in v])), abs=1e-5)
        for b, v in expected.items()
        if v
    }
    assert [r["cosine"] for r in rows] == sorted((r["cosine"] for r in rows), reverse=True)


CHECKS: dict[str, tuple[str, list[Row]]] = {
    "a_fit_is_an_alpha": (
        "layer_metrics_history",
        [{"outcome": "fit", "alpha": None}, {"outcome": "failed", "alpha": 2.0}, {"outcome": "odd", "alpha": None}],
    ),
    "one_latest_revision": ("models", [{"model_id": "none", "latest": False}]),
}
"""Check -> the table it reads, and rows that break it; the others refuse a row that is there twice."""


@pytest.mark.parametrize("check", names("checks"))
def test_every_check_returns_what_breaks_it_and_nothing_else(check: str) -> None:
    sql = text("checks", check)
    table = re.search(r"FROM (\w+)", sql)[1]
    keys = re.match(r"SELECT (.+?)(?:, count|\n)", sql)[1].split(", ")
    good = [dict.fromkeys(keys, "x") | {keys[0]: "fine", "latest": True, "outcome": "fit", "alpha": 2.0}]
    good += [
        good[0] | {key: "y", "latest": key == keys[0]} for key in keys if key not in good[0] or good[0][key] == "x"
    ]
    if check == "a_fit_is_an_alpha":
        good = [
            {"outcome": "fit", "alpha": 2.0},
            {"outcome": "failed", "alpha": None},
            {"outcome": "filtered", "alpha": None},
        ]
        good = [dict.fromkeys(keys, "x") | row for row in good]
    elif check == "one_latest_revision":
        good = [{"model_id": "fine", "latest": True}, {"model_id": "fine", "latest": False}]
    twice = dict.fromkeys(keys, "x") | {keys[0]: "twice", "latest": True}
    _, bad = CHECKS.get(check, (table, [twice, twice]))
    if check == "one_latest_revision":
        bad = [*bad, twice, twice]
    bad = [dict.fromkeys(keys, "x") | row for row in bad]
    columns = sorted({name for row in (*good, *bad) for name in row})
    with duckdb.connect() as connection:
        rows = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in (*good, *bad)])
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {table} AS FROM rows").fetchall()
        found = answer(connection, sql)
    assert len(found) == (2 if check == "one_latest_revision" else 3 if check == "a_fit_is_an_alpha" else 1)
    assert not any(row.get(keys[0]) == "fine" for row in found)


def test_regress_agrees_with_scipy_by_data_set_and_group_and_says_why_not() -> None:
    """44 models, one layer each: ties in both, three constant groups, some bytes twice, some sources undated or old."""
    rng = np.random.default_rng(0)
    raw: dict[str, list[Row]] = {"models": [], "layers": [], "layer_metrics": [], "reported_metrics": []}
    points = []
    for i in range(44):
        series = (
            "same x"
            if i < 5
            else "same y"
            if i < 10
            else (None, "x", "y", "few")[int(rng.choice(4, p=(0.3, 0.4, 0.25, 0.05)))]
        )
        content = f"h{i if i % 7 or i < 14 else 7}"  # every seventh is the first of them under another name
        alpha = 0.0 if i < 5 else float(np.round(rng.normal(3, 1), 1)) if content == f"h{i}" else points[7]["x"]
        value = 0.0 if 5 <= i < 10 else float(np.round(rng.normal(80, 2)))
        base = {"model_id": f"z/m{i:02d}", "revision": "r"}
        own = ("d", "e", None)[i % 3] if i >= 10 else "d"
        raw["models"].append(base | {"snapshot": "s", "zoo": "z", "series": series, "dataset": own})
        raw["layers"].append(base | {"layer_id": 0, "longname": "l", "layer_type": "dense", "content_hash": content})
        if content == f"h{i}":
            result = {"content_hash": content, "profile": "weightwatcher", "alpha": alpha, "unfold": "slices"}
            raw["layer_metrics"].append(result | {"code_version": "1", "profile_key": "k"})
        sources = [(value, "2026"), (999.0, "2025"), (-999.0, None)]
        for number, date in sources[: None if i % 11 else 0]:
            row = base | {"snapshot": "s", "metric": "acc", "value": number, "source": "s", "source_date": date}
            raw["reported_metrics"] += [row, row | {"metric": "other", "value": 1.0}]
        points.append({"d": own or "(none)", "g": series or "(none)", "x": alpha, "y": value, "content": content})
    points = [point for i, point in enumerate(points) if i % 11]
    expected = {}
    for row in points:
        for group in (row["g"], "(all)"):
            line = [p for p in points if p["d"] == row["d"] and group in (p["g"], "(all)")]
            first = {p["content"]: p for p in reversed(line)}
            expected[row["d"], group] = [(p["x"], p["y"]) for p in line if first[p["content"]] is p]
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM regress('alpha', 'acc')")
        assert {(row["dataset"], row["group"]) for row in rows} == expected.keys()
        assert [(r["dataset"], r["group"] == "(all)", r["group"]) for r in rows] == sorted(
            (d, g == "(all)", g) for d, g in expected
        )
        for row in rows:
            x, y = np.array(expected[row["dataset"], row["group"]]).T
            why = f"{len(x)} models, at least 4 are needed" if len(x) < 4 else None
            why = (
                "its data set is not known, and there may be several: dataset_name asks for it"
                if row["dataset"] == "(none)"
                else why
            )
            why = why or ("alpha is constant" if np.ptp(x) == 0 else "acc is constant" if np.ptp(y) == 0 else None)
            assert (row["n"], row["reason"]) == (len(x), why), row
            answers = [row[name] for name in ("slope", "intercept", "r2", "rmse", "kendall_tau")]
            told = [row[name] for name in ("slope_low", "slope_high", "slope_p")]
            if why:
                assert [*answers, *told, row["slope_p_adjusted"]] == [None] * 9
                continue
            line = stats.linregress(x, y)
            half = line.stderr * stats.t.ppf(0.975, len(x) - 2)
            assert told == pytest.approx([line.slope - half, line.slope + half, line.pvalue], rel=1e-9)
            rmse = math.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2))
            tau = stats.kendalltau(x, y).statistic
            assert answers == pytest.approx([line.slope, line.intercept, line.rvalue**2, rmse, tau], abs=1e-9)
        reasons = {re.sub(r"^\d+", "n", row["reason"] or "") for row in rows}
        assert len(reasons) == 5
        lines = [row for row in rows if not row["reason"]]
        adjusted = stats.false_discovery_control([row["slope_p"] for row in lines])
        assert [row["slope_p_adjusted"] for row in lines] == pytest.approx(adjusted.tolist())
        unnamed = answer(connection, "FROM regress('alpha', 'acc', dataset_name := '(none)')")
        assert {row["group"]: row["n"] for row in unnamed if row["slope"]} == {
            group: len(line) for (dataset, group), line in expected.items() if dataset == "(none)" and len(line) > 3
        }
        own = answer(
            connection, "FROM regress('alpha', 'acc', 'zoo', dataset_name := 'e', smallest := 99, not_after := '2025')"
        )
        assert [(row["dataset"], row["group"], row["reason"][3:]) for row in own] == [
            ("e", "z", "models, at least 99 are needed"),
            ("e", "(all)", "models, at least 99 are needed"),
        ]
