"""What a scan tells a person: what was left out and why, averages beside the reported metric, regressions by group."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from zoospectra.analysis.profile import Profile
from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.work.execute import Run
from zoospectra.warehouse.arrow import over
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.model import Model

METRICS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm")
"""Averages that the papers regress on reported quality."""

SHOWN_MODELS, SHOWN_LINES = 20, 20
"""Rows of the table of averages, and of regressions; the rest is one query away."""

SHOWN_FAILURES = 20
"""Groups of failures of one model and reason that are listed."""

SKIPPED = "SELECT model_id, reason, count(*) AS tensors FROM skipped WHERE NOT failed GROUP BY ALL"
FAILED = """SELECT model_id, reason, detail, count(*) AS tensors, min(tensor) AS first
    FROM skipped WHERE failed GROUP BY ALL"""
FITS = """SELECT model_id, count(*) AS layers, count(*) FILTER (WHERE outcome = 'fit') AS fits
    FROM layer_metrics GROUP BY ALL"""
"""What is counted by model in the warehouse: rows of tensors stay there."""

ADVICE = {str(reason): reason.advice for reason in Reason}
"""Code of a reason -> what it means."""

POOLED = "(all)"
"""Group of all models of a data set, as the macro `regress` calls it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The reported metric that averages are set beside."""

    metric: str
    """Its name."""
    values: Mapping[str, tuple[str, float]]
    """model_id -> (data set, value)."""


def print_summary(run: Run, models: Sequence[Model], profiles: Sequence[Profile], warehouse: Path) -> None:
    """Print the summary of one scan, read back from the warehouse it built."""
    scope = pa.table({"model_id": pa.array({model.model_id for model in models}, pa.string())})
    _print_skipped(_scoped(warehouse, SKIPPED, scope, "reason, sum(tensors)::BIGINT AS tensors", "2 DESC, 1"))
    _print_failed(_scoped(warehouse, FAILED, scope, "*", "model_id, first, reason, detail"))
    for profile in profiles:
        averages = _averages(warehouse, profile.name, scope)
        target = _target(models)
        _print_averages(averages, profile.name, target)
        if target:
            _print_regressions(warehouse, profile.name, target.metric)
    (fits,) = _scoped(warehouse, FITS, scope, "sum(fits)::BIGINT AS fits, sum(layers)::BIGINT AS layers").to_pylist()
    counts = run.counts
    work = f"{counts.analysed} tensors analysed now, {counts.fitted} fitted from stored spectra"
    print(
        f"run {run.run_id}: {counts.models} models, {counts.layers} layers ({work}), "
        f"{fits['fits'] or 0} of {fits['layers'] or 0} fits, {counts.skipped} tensors skipped by rule, "
        f"{counts.failed} failed"
    )
    print(f"warehouse: {warehouse / 'warehouse.duckdb'}")
    if sys.stdout.isatty():
        where = "" if warehouse == Path("data") else f" warehouse.dir={plain(str(warehouse))}"
        print(f"next: zoospectra report{where}, zoospectra study study=simpson{where}, zoospectra sql{where}")


def _scoped(warehouse: Path, sql: str, scope: pa.Table, columns: str, order: str = "ALL") -> pa.Table:
    """Columns, summed where they are sums, of a query's rows of the models in scope."""
    group = "" if columns == "*" else "GROUP BY ALL"
    words = f"SELECT {columns} FROM asked SEMI JOIN scope USING (model_id) {group} ORDER BY {order}"
    return over({"asked": query(warehouse, sql), "scope": scope}, words)


def _print_skipped(rows: pa.Table) -> None:
    if len(rows):
        meanings = [ADVICE.get(reason, "") for reason in rows["reason"].to_pylist()]
        print_table(pa.table({"skipped by rule": rows["reason"], "tensors": rows["tensors"], "meaning": meanings}))


def _print_failed(rows: pa.Table) -> None:
    table = rows.slice(0, SHOWN_FAILURES).select(["model_id", "reason", "tensors", "first", "detail"])
    table = table.set_column(3, "first", table["first"].fill_null("(the model)"))
    if len(table):
        print_table(
            table.rename_columns(["failed", "reason", "tensors", "such as", "detail"]), keep=("reason", "detail")
        )
    if len(rows) > SHOWN_FAILURES:
        print(f'... and {len(rows) - SHOWN_FAILURES} more groups: zoospectra sql "FROM skipped WHERE failed"')


def _averages(warehouse: Path, profile: str, scope: pa.Table) -> pa.Table:
    columns = ", ".join(("model_id", "series", "dataset", "num_layers", *METRICS))
    name = profile.replace("'", "''")
    return _scoped(warehouse, f"SELECT {columns} FROM model_metrics WHERE profile = '{name}'", scope, "*", "model_id")


def _target(models: Sequence[Model]) -> Target | None:
    """The reported metric that most models share, an accuracy before any other and a training score last."""
    counted = Counter(metric.metric for model in models for metric in model.metrics)
    if not counted:
        return None
    chosen = min(counted, key=lambda name: (name.startswith("train"), -counted[name], "acc" not in name, name))
    reported = ((model.model_id, metric) for model in models for metric in model.metrics if metric.metric == chosen)
    return Target(chosen, {model_id: (metric.dataset, metric.value) for model_id, metric in reported})


def _print_averages(rows: pa.Table, profile: str, target: Target | None) -> None:
    table = []
    for row in rows.slice(0, SHOWN_MODELS).to_pylist():
        shown = {"model": row["model_id"], "series": row["series"], "layers": row["num_layers"]}
        shown |= {metric: row[metric] for metric in METRICS}
        if target:
            shown[target.metric] = target.values.get(row["model_id"], (None, None))[1]
        table.append(shown)
    if table:
        title = f"averages over layers, profile {profile}"
        print_table(pa.Table.from_pylist(table), title, digits=4, whole=False, keep=[target.metric] if target else ())
    if len(rows) > SHOWN_MODELS:
        print(f'... and {len(rows) - SHOWN_MODELS} more: zoospectra sql "FROM model_metrics"')


def _print_regressions(warehouse: Path, profile: str, target: str) -> None:
    """The warehouse's own regressions: the reported metric on each average, by data set and series, and pooled."""
    lines = " UNION ALL ".join(
        f"SELECT '{metric}' AS metric, * FROM regress('{metric}', $target, profile_name := $profile)"
        for metric in METRICS
    )
    rows = query(warehouse, lines, {"target": target, "profile": profile}).to_pylist()
    groups = Counter(row["dataset"] for row in rows if row["metric"] == METRICS[0])
    rows = [row for row in rows if row["group"] != POOLED or groups[row["dataset"]] > 2]
    table = [
        {"dataset": row["dataset"], "series": row["group"], "metric": row["metric"], "models": row["n"]}
        | {"slope": row["slope"], "R2": row["r2"], "RMSE": row["rmse"], "Kendall tau": row["kendall_tau"]}
        for row in sorted(rows, key=lambda row: (row["dataset"], row["group"], METRICS.index(row["metric"])))
        if row["reason"] is None
    ]
    if table:
        title = f"{target} = intercept + slope * metric"
        print_table(pa.Table.from_pylist(table[:SHOWN_LINES]), title, digits=4, whole=False)
    if len(table) > SHOWN_LINES:
        more = plain(f"FROM regress('{METRICS[0]}', '{target}')")
        print(f'... and {len(table) - SHOWN_LINES} more: zoospectra sql "{more}", and other metrics')
    missing = [row for row in rows if row["reason"] is not None]
    if missing:
        reasons = dict.fromkeys(f"{row['group']} on {row['dataset']}: {row['reason']}" for row in missing)
        print(plain(f"no regression for {'; '.join(reasons)}"))
