"""Which reported number a study regresses on: the one asked for, or the one that most models share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zoospectra.analysis.studies.record import Row


@dataclass(frozen=True, slots=True)
class Target:
    """One reported metric and its values."""

    metric: str
    """Name, such as 'top1_error'."""
    higher_is_better: bool
    """Direction."""
    rows: tuple[Row, ...]
    """Its rows: model_id, dataset, value, source_date, ..."""

    def newest(self) -> dict[str, float]:
        """model_id -> value of the newest source; without dates the last one in order."""
        ordered = sorted(self.rows, key=lambda row: str(row.get("source_date") or ""))
        return {row["model_id"]: float(row["value"]) for row in ordered}


def choose(reported: Sequence[Row], wanted: str | None = None) -> Target | None:
    """The metric `wanted`, or the one that most models have (a test score before a training score); None when none is.

    Raises ValueError when `wanted` is not reported of any model, naming those that are.
    """
    models: dict[str, set[str]] = {}
    for row in reported:
        models.setdefault(row["metric"], set()).add(row["model_id"])
    if wanted is not None and wanted not in models:
        msg = f"target {wanted!r} is reported of no model; reported: {', '.join(sorted(models)) or 'nothing'}"
        raise ValueError(msg)
    if not models:
        return None
    name = wanted or min(
        models, key=lambda one: (one.startswith("train"), -len(models[one]), not one.startswith("test"), one)
    )
    rows = tuple(row for row in reported if row["metric"] == name)
    directions = Counter(bool(row["higher_is_better"]) for row in rows)
    return Target(name, directions.most_common(1)[0][0], rows)
