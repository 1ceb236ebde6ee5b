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
from zoospectra.warehouse.reader import Reader, read_newest
from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.model import Model

METRICS = ("alpha", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm")
"""Averages that the papers regress on reported quality."""

SHOWN_MODELS, SHOWN_LINES = 20, 20
"""Rows of the table of averages, and of regressions; the rest is one query away."""

SHOWN_FAILURES = 20
"""Groups of failures of one model and reason that are listed."""

SKIPPED = """SELECT reason AS "skipped by rule", count(*) AS tensors
    FROM skipped SEMI JOIN scope USING (model_id) WHERE NOT failed GROUP BY ALL ORDER BY 2 DESC, 1"""
FAILED = f"""SELECT model_id AS failed, reason, count(*) AS tensors, coalesce(min(tensor), '(the model)') AS "such as",
        detail, count(*) OVER () AS groups
    FROM skipped SEMI JOIN scope USING (model_id) WHERE failed GROUP BY model_id, reason, detail
    ORDER BY model_id, min(tensor), reason, detail LIMIT {SHOWN_FAILURES}"""
FITS = """SELECT count(*) AS layers, count(*) FILTER (WHERE outcome = 'fit') AS fits
    FROM layer_metrics SEMI JOIN scope USING (model_id)"""
FIRST = f"""SELECT count(*), min(model_id, {SHOWN_MODELS}) FROM model_metrics SEMI JOIN scope USING (model_id)
    WHERE profile = $profile AND model_id BETWEEN $low AND $high"""
AVERAGES = f"""SELECT {", ".join(("model_id", "series", "dataset", "num_layers", *METRICS))} FROM model_metrics
    WHERE profile = $profile AND model_id IN ({{names}}) ORDER BY model_id"""
"""What is read of the models in `scope`: the warehouse counts and chooses, and nothing grows with them here."""

TOGETHER = 20_000
"""Models whose averages are made together."""

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
    scope = {"scope": pa.table({"model_id": pa.array((model.model_id for model in models), pa.string())})}
    target = _target(models)
    with read_newest(warehouse) as reader:
        _print_skipped(reader.table(SKIPPED, tables=scope))
        _print_failed(reader.table(FAILED, tables=scope))
        for profile in profiles:
            _print_averages(reader, scope, profile.name, target)
            if target:
                _print_regressions(reader, profile.name, target.metric)
        ((layers, fits),) = reader.rows(FITS, tables=scope)
    counts = run.counts
    work = f"{counts.analysed} tensors analysed now, {counts.fitted} fitted from stored spectra"
    print(
        f"run {run.run_id}: {counts.models} models, {counts.layers} layers ({work}), "
        f"{fits} of {layers} fits, {counts.skipped} tensors skipped by rule, "
        f"{counts.failed} failed"
    )
    print(f"warehouse: {warehouse / 'warehouse.duckdb'}")
    if sys.stdout.isatty():
        where = "" if warehouse == Path("data") else f" warehouse.dir={plain(str(warehouse))}"
        print(f"next: zoospectra report{where}, zoospectra study study=simpson{where}, zoospectra sql{where}")


def _print_skipped(rows: pa.Table) -> None:
    if len(rows):
        print_table(rows.append_column("meaning", [[ADVICE.get(reason.as_py(), "") for reason in rows[0]]]))


def _print_failed(rows: pa.Table) -> None:
    if len(rows):
        print_table(rows.drop_columns("groups"), keep=("reason", "detail"))
        left = rows["groups"][0].as_py() - len(rows)
        if left:
            print(f'... and {left} more groups: zoospectra sql "FROM skipped WHERE failed"')


def _target(models: Sequence[Model]) -> Target | None:
    """The reported metric that most models share, an accuracy before any other and a training score last."""
    counted = Counter(metric.metric for model in models for metric in model.metrics)
    if not counted:
        return None
    chosen = min(counted, key=lambda name: (name.startswith("train"), -counted[name], "acc" not in name, name))
    reported = ((model.model_id, metric) for model in models for metric in model.metrics if metric.metric == chosen)
    return Target(chosen, {model_id: (metric.dataset, metric.value) for model_id, metric in reported})


def _first(reader: Reader, scope: pa.Array, profile: str) -> tuple[int, list[str]]:
    """How many of these models have averages, and the first of them by name; asked for TOGETHER at a time."""
    ordered, models, first = scope.sort(), 0, list[str]()
    for at in range(0, len(ordered), TOGETHER):
        some = ordered.slice(at, TOGETHER)
        values = {"profile": profile, "low": some[0].as_py(), "high": some[-1].as_py()}
        ((count, names),) = reader.rows(FIRST, values, {"scope": pa.table({"model_id": some})})
        models += count
        first += names or []
    return models, sorted(first)[:SHOWN_MODELS]


def _print_averages(reader: Reader, scope: Mapping[str, pa.Table], profile: str, target: Target | None) -> None:
    models, first = _first(reader, scope["scope"]["model_id"].combine_chunks(), profile)
    if not models:
        return
    names = {f"model{n}": model_id for n, model_id in enumerate(first)}
    sql = AVERAGES.format(names=", ".join(f"${name}" for name in names))  # constants: only these models are averaged
    table = []
    for row in reader.table(sql, {"profile": profile, **names}).to_pylist():
        shown = {"model": row["model_id"], "series": row["series"], "layers": row["num_layers"]}
        shown |= {metric: row[metric] for metric in METRICS}
        if target:
            shown[target.metric] = target.values.get(row["model_id"], (None, None))[1]
        table.append(shown)
    title = f"averages over layers, profile {profile}"
    print_table(pa.Table.from_pylist(table), title, digits=4, whole=False, keep=[target.metric] if target else ())
    if left := models - len(first):
        print(f'... and {left} more: zoospectra sql "FROM model_metrics"')


def _print_regressions(reader: Reader, profile: str, target: str) -> None:
    """The warehouse's own regressions: the reported metric on each average, by data set and series, and pooled."""
    names = ("dataset", "group", "n", "slope", "r2", "rmse", "kendall_tau", "reason")
    asked = ", ".join(f'"{name}"' for name in names)
    lines = " UNION ALL ".join(
        f"SELECT '{metric}', {asked} FROM regress('{metric}', $target, profile_name := $profile)" for metric in METRICS
    )
    answer = reader.rows(lines, {"target": target, "profile": profile})  # DuckDB plans these once, for Arrow twice
    rows = [dict(zip(("metric", *names), row, strict=True)) for row in answer]
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
