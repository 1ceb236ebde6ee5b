"""What a scan tells a person: counts, what was left out and why, averages beside the reported metric, regressions by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.profile import Profile
from analysis.regression import regression
from jobs.campaign import Counts
from jobs.sql import print_table
from warehouse.query import query
from zoo.model import Model
from zoo.skip import REASONS

METRICS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm")
"""Averages that the papers regress on reported quality."""

SHOWN_MODELS = 60
"""Rows of the table of averages; the rest is one query away."""

SHOWN_FAILURES = 20
"""Failures listed one by one."""

SMALLEST_GROUP = 4
"""Models that a regression needs at least, as in the papers."""


def print_summary(
    run_id: str, counts: Counts, models: Sequence[Model], profiles: Sequence[Profile], warehouse: Path
) -> None:
    """Print the summary of one scan, read back from the warehouse it built."""
    scope = {model.model_id for model in models}
    skipped = _scoped(warehouse, "SELECT model_id, tensor, reason, detail, failed FROM skipped ORDER BY ALL", scope)
    _print_skipped([row for row in skipped if not row["failed"]])
    _print_failed([row for row in skipped if row["failed"]])
    for profile in profiles:
        averages = _averages(warehouse, profile.name, scope)
        target = _target(models)
        _print_averages(averages, profile.name, target)
        if target:
            _print_regressions(averages, target)
    fits = _scoped(warehouse, "SELECT model_id, status FROM layer_metrics", scope)
    fitted = sum(row["status"] == "success" for row in fits)
    print(
        f"run {run_id}: {counts.models} models, {counts.layers} layers ({counts.analysed} tensors analysed now), "
        f"{fitted} of {len(fits)} fits, {counts.skipped} tensors skipped by rule, {counts.failed} failed"
    )
    print(f"warehouse: {warehouse / 'warehouse.duckdb'}")


def _scoped(warehouse: Path, sql: str, scope: set[str]) -> list[dict[str, Any]]:
    return [row for row in query(warehouse, sql).to_pylist() if row["model_id"] in scope]


def _print_skipped(rows: Sequence[dict[str, Any]]) -> None:
    counted = Counter(row["reason"] for row in rows)
    if counted:
        table = [
            {"skipped by rule": reason, "tensors": n, "meaning": REASONS.get(reason, "")}
            for reason, n in counted.most_common()
        ]
        print_table(pa.Table.from_pylist(table))


def _print_failed(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        table = [
            {"failed": row["model_id"], "tensor": row["tensor"], "reason": row["reason"], "detail": row["detail"]}
            for row in rows
        ]
        print_table(pa.Table.from_pylist(table[:SHOWN_FAILURES]))
        if len(rows) > SHOWN_FAILURES:
            print(f"... and {len(rows) - SHOWN_FAILURES} more: SELECT * FROM skipped WHERE failed")


def _averages(warehouse: Path, profile: str, scope: set[str]) -> list[dict[str, Any]]:
    columns = ", ".join(("model_id", "series", "dataset", "num_layers", *METRICS))
    name = profile.replace("'", "''")
    return _scoped(warehouse, f"SELECT {columns} FROM model_metrics WHERE profile = '{name}' ORDER BY model_id", scope)


def _target(models: Sequence[Model]) -> dict[str, tuple[str, str, float]] | None:
    """The reported metric that most models share (a test score before a training score): model_id -> (dataset, metric, value)."""
    counted = Counter(metric.metric for model in models for metric in model.metrics)
    if not counted:
        return None
    chosen = min(
        counted, key=lambda name: (name.startswith("train"), -counted[name], not name.startswith("test"), name)
    )
    return {
        model.model_id: (metric.dataset, chosen, metric.value)
        for model in models
        for metric in model.metrics
        if metric.metric == chosen
    }


def _print_averages(
    rows: Sequence[dict[str, Any]], profile: str, target: dict[str, tuple[str, str, float]] | None
) -> None:
    table = []
    for row in rows[:SHOWN_MODELS]:
        shown = {"model": row["model_id"], "series": row["series"], "layers": row["num_layers"]}
        shown |= {metric: row[metric] for metric in METRICS}
        if target:
            _, name, value = target.get(row["model_id"], (None, None, None))
            shown[next(iter(target.values()))[1]] = value
        table.append(shown)
    if table:
        print_table(pa.Table.from_pylist(table), title=f"averages over layers, profile {profile}")
    if len(rows) > SHOWN_MODELS:
        print(f"... and {len(rows) - SHOWN_MODELS} more: SELECT * FROM model_metrics")


def _print_regressions(rows: Sequence[dict[str, Any]], target: dict[str, tuple[str, str, float]]) -> None:
    """Ordinary least squares of the reported metric on each average, by series and pooled over a data set."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["model_id"] in target:
            dataset = target[row["model_id"]][0]
            groups.setdefault((dataset, row["series"] or "(no series)"), []).append(row)
            groups.setdefault((dataset, "(all series)"), []).append(row)
    reported = next(iter(target.values()))[1]
    table, small = [], []
    for (dataset, series), members in sorted(groups.items()):
        if len(members) < SMALLEST_GROUP:
            small.append(f"{series} on {dataset} ({len(members)})")
            continue
        for metric in METRICS:
            fitted = [row for row in members if row[metric] is not None]
            found = regression([row[metric] for row in fitted], [target[row["model_id"]][2] for row in fitted])
            table.append(
                {"dataset": dataset, "series": series, "metric": metric, "models": found.n, "slope": found.slope}
                | {"R2": found.r2, "RMSE": found.rmse, "Kendall tau": found.kendall_tau}
            )
    if table:
        print_table(pa.Table.from_pylist(table), title=f"{reported} = intercept + slope * metric")
    if small:
        print(f"no regression for fewer than {SMALLEST_GROUP} models: {', '.join(small)}")
