"""What a night brought: models that are new, changed, worse, gone, and failures that are new, known or over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from zoospectra.warehouse.arrow import over
from zoospectra.warehouse.build import renew
from zoospectra.warehouse.connect import newest
from zoospectra.warehouse.reader import Reader

SQL = {
    "models": "SELECT model_id, hash(revision) AS revision FROM models WHERE latest",
    "failures": "SELECT DISTINCT model_id, tensor, reason FROM skipped WHERE failed",
    "reported": """SELECT model_id, dataset, metric, value, coalesce(higher_is_better, false) AS higher_is_better
        FROM reported_newest() WHERE value IS NOT NULL""",
}
"""What is compared, before and after."""

DIFFERENCES = {
    "new": """SELECT model_id FROM scope SEMI JOIN models_after USING (model_id)
        ANTI JOIN models_before USING (model_id)""",
    "changed": """SELECT model_id FROM scope JOIN models_before AS b USING (model_id)
        LEFT JOIN models_after AS a USING (model_id) WHERE a.revision IS DISTINCT FROM b.revision""",
    "gone": """SELECT model_id FROM models_before ANTI JOIN scope USING (model_id)
        WHERE starts_with(model_id, $zoo || '/')""",
    "worse": """SELECT model_id, metric, dataset, b.value AS old, a.value AS new
        FROM reported_after AS a JOIN reported_before AS b USING (model_id, dataset, metric)
        SEMI JOIN scope USING (model_id) WHERE if(a.higher_is_better, a.value < b.value, a.value > b.value)""",
    "new_failures": "FROM after EXCEPT FROM before",
    "known_failures": "FROM after INTERSECT FROM before",
    "mended": "FROM before EXCEPT FROM after",
}
"""Field of Night -> its rows; `before` and `after` are the failures of the run's models."""


class Failure(NamedTuple):
    """One thing that failed."""

    model_id: str
    """Whose."""
    tensor: str | None
    """Which tensor; None for the whole model."""
    reason: str
    """Stable code, see zoo.checkpoint.trouble."""


@dataclass(frozen=True, slots=True)
class State:
    """What a warehouse says at one time."""

    generation: Path | None = None
    """Where it says so; None where there is none yet."""
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    """A table for each name in SQL."""


@dataclass(frozen=True, slots=True)
class Night:
    """The difference that a run made; every list is sorted."""

    new: tuple[str, ...]
    """Models of the run that the warehouse did not know."""
    changed: tuple[str, ...]
    """Models of the run with another revision."""
    worse: tuple[str, ...]
    """Reported numbers that went in the wrong direction, in words."""
    gone: tuple[str, ...]
    """Models of the run's zoo that its catalog no longer lists; none where only some were asked for."""
    new_failures: tuple[Failure, ...]
    """Failures of the run's models that were not there before."""
    known_failures: tuple[Failure, ...]
    """Failures of the run's models that were there before."""
    mended: tuple[Failure, ...]
    """Failures of the run's models that are over."""


def state(warehouse: Path, before: State | None = None) -> State:
    """The state of a warehouse; an empty one where there is none yet. One of another version is built anew first.

    before: what it was, which is returned where nothing was published since. Raises ValueError as `build.renew` does.
    """
    if not (warehouse / "warehouse.duckdb").exists():
        return State()
    renew(warehouse)
    generation = newest(warehouse)
    if before is not None and before.generation == generation:
        return before
    with Reader(generation) as reader:
        return State(generation, {name: reader.table(sql) for name, sql in SQL.items()})


def night(before: State, after: State, scope: Iterable[str], *, zoo: str | None) -> Night:
    """What changed for the models `scope` of a run; `zoo`: whose ids it listed whole, None where some were chosen."""
    tables = {"scope": pa.table({"model_id": pa.array(scope, pa.string()).unique()})}
    for name, table in after.tables.items():
        tables |= {f"{name}_after": table, f"{name}_before": before.tables.get(name, table.schema.empty_table())}
    for side in ("before", "after"):
        tables[side] = over(tables, f"FROM failures_{side} SEMI JOIN scope USING (model_id)")
    rows = {name: over(tables, sql, {"zoo": zoo} if "$zoo" in sql else None) for name, sql in DIFFERENCES.items()}
    lists = {name: rows[name]["model_id"].to_pylist() for name in ("new", "changed", "gone")}
    lists["worse"] = [
        f"{row['model_id']}: {row['metric']} on {row['dataset']} {row['old']:g} -> {row['new']:g}"
        for row in rows["worse"].to_pylist()
    ]
    new, known, mended = (
        tuple(sorted((Failure(**row) for row in rows[name].to_pylist()), key=str))
        for name in ("new_failures", "known_failures", "mended")
    )
    names = {name: tuple(sorted(lines)) for name, lines in lists.items()}
    return Night(**names, new_failures=new, known_failures=known, mended=mended)
