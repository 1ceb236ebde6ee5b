"""A metric against the reported quality, pooled and by group: Nature Communications 2021, figure 1; contest, 4."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.jobs.show.figures.lines import SMALLEST
from zoospectra.jobs.show.figures.quantities import on_data_set, quantity, reported
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.scatter import Scatter, scatter


def quality(table: pa.Table, metric: str = "alpha", grouping: str = "series", smallest: int = SMALLEST) -> Figure:
    """The figure of one population; reported = a + b * metric.

    table: model_id, group, profile, dataset, target, reported, and a column of the metric; one row a model, from
    jobs.work.points. `profile`, `dataset` and `target` are the same in every row.
    """
    first = (table.slice(0, 1).to_pylist() or [{"profile": "none", "dataset": None, "target": "number"}])[0]
    what = Scatter(
        f"quality-{metric}-by-{grouping}",
        f"{metric} and the reported {first['target']}",
        f"profile {first['profile']}, {on_data_set(first['dataset'])}",
        metric,
        "reported",
        quantity(metric, mean=True),
        reported(first["target"], first["dataset"]),
        grouping,
        smallest,
    )
    return scatter(table, what)
