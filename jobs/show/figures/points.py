"""Models as points of figures: averages, reported number and group in one tidy table for every population; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from zoospectra.analysis.studies.options import PopulationOptions
from zoospectra.analysis.studies.population import METRICS, Population, populations
from zoospectra.analysis.studies.record import Row, among


def points(population: Population, grouping: str = "series", metrics: Sequence[str] = METRICS) -> pa.Table:
    """One row a model: model_id, group, profile, dataset, target, reported, train, and the metrics.

    Raises ValueError for a grouping that is no column of the catalog, naming those that are.
    """
    among("group", [grouping], population.catalog)
    labels = population.labels(grouping)
    target = population.target
    shared = {"profile": population.label.partition(" / ")[0], "dataset": target.dataset, "target": target.metric}
    rows = [
        {"model_id": row["model_id"], "group": None if label is None else str(label), **shared}
        | {"reported": y, "train": train}
        | {name: row.get(name) for name in metrics}
        for row, label, y, train in zip(population.rows, labels, population.y, population.train, strict=True)
    ]
    return points_table(rows, metrics)


def points_table(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str] = METRICS) -> pa.Table:
    """Rows as a table with the columns of `points`; what a row lacks is NULL."""
    texts = [(name, pa.string()) for name in ("model_id", "group", "profile", "dataset", "target")]
    reals = [(name, pa.float64()) for name in dict.fromkeys(("reported", "train", *metrics))]
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema([*texts, *reals]))


def population_of(
    rows: Mapping[str, Sequence[Row]], profile: str, target: str | None = None, dataset: str | None = None
) -> Population | None:
    """The population of most models under a profile, or None when nothing is reported.

    Raises ValueError for a profile, target or data set that is not there, naming those that are.
    """
    wanted, datasets = [] if target is None else [target], [] if dataset is None else [dataset]
    candidates = populations(rows, PopulationOptions(wanted, datasets, profile=profile))
    return max(candidates, key=lambda candidate: len(candidate.rows), default=None)
