"""Macros and checks against plain Python and scipy over made-up warehouses."""

from __future__ import annotations

import math
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.warehouse.world import Row, answer, day, warehouse
from zoospectra.warehouse.definitions import names, text


@pytest.mark.parametrize("seed", range(3))
def test_rank_correlations_agree_with_scipy(seed: int) -> None:
    """Of ties, gaps, negative numbers, constants, two points, and none."""
    rng = np.random.default_rng(seed)
    lists = [(rng.integers(-4, 5, n).astype(float), rng.integers(-3, 4, n).astype(float)) for n in (2, 3, 9, 40, 70)]
    lists += [(rng.normal(size=33), rng.normal(size=33)), (np.arange(65.0), -np.arange(65.0))]
    lists += [(np.ones(5), np.arange(5)), (np.arange(5), np.ones(5)), *((np.ones(n), np.ones(n)) for n in (3, 1, 0))]
    with warehouse({}) as connection:
        for x, y in lists:
            gaps = {"x": [None, 7.0, None, *x.tolist(), 8.0], "y": [1.0, None, None, *y.tolist(), None]}
            sql = "SELECT kendall_tau_b($x::DOUBLE[], $y::DOUBLE[]) AS tau, spearman($x::DOUBLE[], $y::DOUBLE[]) AS rho"
            (row,) = answer(connection, sql, **gaps)
            flat = len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0
            for mine, oracle in ((row["tau"], stats.kendalltau), (row["rho"], stats.spearmanr)):
                assert mine == (None if flat else pytest.approx(oracle(x, y).statistic, abs=1e-12)), (x, y)


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


PLANTED = {
    "four": ([1, 2, 3, 4], [4, 2, 3, 1]),
    "three": ([1, 2, 3], [4, 2, 3]),
    "unit": ([1, 3, 1, 3], [4, 2, 3, 1]),
    "exact": ([1, 2, 3, 4, 5], [3, 5, 7, 9, 11]),
    "same x": ([-2, -2, -2, -2], [1, 2, 3, 4]),
    "same y": ([1, 2, 3, 4], [-7, -7, -7, -7]),
    "zero x": ([0, 0, 0, 0], [1, 2, 3, 4]),
    "zero y": ([1, 2, 3, 4], [0, 0, 0, 0]),
    "rounded x": ([2, 2, 2, 2 * (1 + 0.8e-13)], [1, 2, 3, 4]),
    "rounded y": ([1, 2, 3, 4], [2, 2, 2, 2 * (1 + 0.8e-13)]),
    "narrow x": ([2, 2, 2, 2 * (1 + 1.3e-13)], [1, 2, 3, 4]),
    "narrow y": ([1, 2, 3, 4], [2, 2, 2, 2 * (1 + 1.3e-13)]),
}
"""Series -> metric and reported numbers of its models; the last two spread more than rounding, and no more is known."""


UNNAMED = "its data set is not known, and there may be several: dataset_name asks for it"


def points() -> list[Row]:
    """Models of one layer each: ties in both, some bytes twice, some without a number, with a data set or none."""
    rng = np.random.default_rng(0)
    rows = [
        {"g": g, "x": float(x), "y": float(y), "d": "f"}
        for g, (xs, ys) in PLANTED.items()
        for x, y in zip(xs, ys, strict=True)
    ]
    for i in range(40):
        row = {"g": (None, "x", "y")[int(rng.choice(3, p=(0.3, 0.4, 0.3)))], "d": ("d", "e", None)[i % 3]}
        row |= {"x": float(np.round(rng.normal(3, 1), 1)), "y": float(np.round(rng.normal(80, 2)))}
        rows.append(row | {"x": None} if i == 9 else row)
    for i, row in enumerate(rows):
        row |= {"model_id": f"z/m{i:02d}", "content": i, "listed": i % 11 > 0 or row["d"] == "f"}
    for row in rows[-4:]:  # the first ones of the drawn under other names, of which they have the bytes
        row |= {"content": rows[-40]["content"], "x": rows[-40]["x"], "listed": True}
    return rows


def raw_of(rows: list[Row]) -> dict[str, list[Row]]:
    raw: dict[str, list[Row]] = {"models": [], "layers": [], "layer_metrics": [], "reported_metrics": []}
    for row in rows:
        base = {"model_id": row["model_id"], "revision": "r", "snapshot": "s"}
        older = {"snapshot": "older", "revision": "q", "series": "older", "dataset": "older", "written": day(-1)}
        raw["models"] += [
            row | {"zoo": "z"} for row in (base | {"series": row["g"], "dataset": row["d"]}, base | older)
        ]
        content = {"content_hash": f"h{row['content']}"}
        raw["layers"].append(base | content | {"layer_id": 0, "longname": "l", "layer_type": "dense"})
        for profile, alpha in (("weightwatcher", row["x"]), ("kept", 1.0)):
            result = content | {"profile": profile, "alpha": alpha, "unfold": "slices", "profile_key": profile}
            raw["layer_metrics"].append(result | {"code_version": "1"})
        for metric, shift in (("acc", 0.0), ("other", 1.0)) if row["listed"] else ():
            for value, date in ((row["y"], "2026"), (999.0, "2025"), (-999.0, None)):
                number = {"metric": metric, "value": value + shift, "source": "s", "source_date": date}
                raw["reported_metrics"].append(base | number)
    return raw


def expected_lines(rows: list[Row]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """(data set, group) -> points, one for each distinct content."""
    lines: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}
    for row in rows:
        if row["listed"] and row["x"] is not None:
            for group in (row["g"] or "(none)", "(all)"):
                lines.setdefault((row["d"] or "(none)", group), {}).setdefault(row["content"], (row["x"], row["y"]))
    return {key: list(line.values()) for key, line in lines.items()}


def test_regress_agrees_with_scipy_by_data_set_and_group_and_says_why_not() -> None:
    rows, reasons = points(), set()
    expected = expected_lines(rows)
    with warehouse(raw_of(rows)) as connection:
        mine = answer(connection, "FROM regress('alpha', 'acc')")
        assert [(r["dataset"], r["group"]) for r in mine] == sorted(
            expected, key=lambda k: (k[0], k[1] == "(all)", k[1])
        )
        for row in mine:
            x, y = np.array(expected[row["dataset"], row["group"]]).T
            why = f"{len(x)} models, at least 4 are needed" if len(x) < 4 else None
            if row["dataset"] == "(none)":
                why = UNNAMED
            why = why or ("alpha is constant" if np.ptp(x) <= 1e-13 * np.abs(x).max() else None)
            why = why or ("acc is constant" if np.ptp(y) <= 1e-13 * np.abs(y).max() else None)
            assert (row["n"], row["reason"]) == (len(x), why), row
            reasons.add(re.sub(r"^\d+", "n", why or ""))
            answers = [row[name] for name in ("slope", "intercept", "r2", "rmse", "kendall_tau")]
            told = [row[name] for name in ("slope_low", "slope_high", "slope_p", "slope_p_adjusted")]
            if why:
                assert [*answers, *told] == [None] * 9
            elif not row["group"].startswith("narrow"):
                line = stats.linregress(x, y)
                rmse = math.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2))
                tau = stats.kendalltau(x, y).statistic
                assert answers == pytest.approx([line.slope, line.intercept, line.rvalue**2, rmse, tau], abs=1e-7), row
                if row["group"] != "exact":
                    half = line.stderr * stats.t.ppf(0.975, len(x) - 2)
                    low, high, p = line.slope - half, line.slope + half, line.pvalue
                    assert told[:3] == pytest.approx([low, high, p], rel=1e-8), row
        assert reasons == {"", "alpha is constant", "acc is constant", "n models, at least 4 are needed", UNNAMED}
        lines = [row for row in mine if not row["reason"]]
        adjusted = stats.false_discovery_control([row["slope_p"] for row in lines])
        assert [row["slope_p_adjusted"] for row in lines] == pytest.approx(adjusted.tolist())
        sql = "SELECT dataset, \"group\", n, reason FROM regress('alpha', 'acc', 'zoo', {}, not_after := '2025')"
        every = {d: len(line) for (d, group), line in expected.items() if group == "(all)"}
        for d, n in every.items():
            own = answer(connection, sql.format(f"dataset_name := '{d}', smallest := {n + 1}"))
            why = f"{n} models, at least {n + 1} are needed"
            assert own == [{"dataset": d, "group": group, "n": n, "reason": why} for group in ("z", "(all)")]
        constant = answer(connection, "FROM regress('alpha', 'acc', not_after := '2025') WHERE dataset = 'd'")
        assert {row["reason"] for row in constant if row["n"] >= 4} == {"acc is constant"}
        kept = answer(connection, "FROM regress('alpha', 'other', profile_name := 'kept') WHERE \"group\" = '(all)'")
        assert {row["reason"] for row in kept if row["dataset"] != "(none)"} == {"alpha is constant"}
