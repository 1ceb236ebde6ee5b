"""What a night brought: models that are new, changed, worse, gone, and failures that are new, known or over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zoospectra.warehouse.build import renew
from zoospectra.warehouse.query import query

SQL = {
    "models": "SELECT model_id, revision FROM models",
    "failures": "SELECT DISTINCT model_id, tensor, reason FROM skipped WHERE failed ORDER BY ALL",
    "reported": """SELECT model_id, dataset, metric, value, higher_is_better FROM reported_metrics
        WHERE value IS NOT NULL""",
}
"""What is compared, before and after."""


class Failure(NamedTuple):
    """One thing that failed."""

    model_id: str
    """Whose."""
    tensor: str | None
    """Which tensor; None for the whole model."""
    reason: str
    """Stable code, see zoo.checkpoint.trouble."""


class Number(NamedTuple):
    """One reported number."""

    value: float
    """As reported."""
    higher_is_better: bool
    """Its direction."""


@dataclass(frozen=True, slots=True)
class State:
    """What a warehouse says at one time."""

    revisions: Mapping[str, str] = field(default_factory=dict)
    """model_id -> newest revision."""
    failures: frozenset[Failure] = frozenset()
    """Everything that failed in the newest revisions."""
    reported: Mapping[tuple[str, str, str], Number] = field(default_factory=dict)
    """(model_id, data set, metric) -> the newest number."""


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


def state(warehouse: Path) -> State:
    """The state of a warehouse; an empty one where there is none yet. One of another version is built anew first.

    Raises ValueError as `build.renew` does.
    """
    if not (warehouse / "warehouse.duckdb").exists():
        return State()
    renew(warehouse)
    rows = {name: query(warehouse, sql).to_pylist() for name, sql in SQL.items()}
    return State(
        {row["model_id"]: row["revision"] for row in rows["models"]},
        frozenset(Failure(row["model_id"], row["tensor"], row["reason"]) for row in rows["failures"]),
        {
            (row["model_id"], row["dataset"], row["metric"]): Number(row["value"], bool(row["higher_is_better"]))
            for row in rows["reported"]
        },
    )


def night(before: State, after: State, scope: Collection[str], *, zoo: str | None) -> Night:
    """What changed for the models `scope` of a run; `zoo`: whose ids it listed whole, None where some were chosen."""
    known, now = before.revisions, after.revisions
    old = {failure for failure in before.failures if failure.model_id in scope}
    new = {failure for failure in after.failures if failure.model_id in scope}
    gone = [model for model in known if zoo is not None and model.startswith(f"{zoo}/") and model not in scope]
    worse = [
        f"{model}: {metric} on {dataset} {before.reported[key].value:g} -> {number.value:g}"
        for key, number in after.reported.items()
        for model, dataset, metric in [key]
        if model in scope and key in before.reported and _is_worse(before.reported[key], number)
    ]
    return Night(
        tuple(sorted(model for model in scope if model in now and model not in known)),
        tuple(sorted(model for model in scope if model in known and now.get(model) != known[model])),
        tuple(sorted(worse)),
        tuple(sorted(gone)),
        tuple(sorted(new - old, key=str)),
        tuple(sorted(new & old, key=str)),
        tuple(sorted(old - new, key=str)),
    )


def _is_worse(old: Number, new: Number) -> bool:
    return new.value < old.value if new.higher_is_better else new.value > old.value
