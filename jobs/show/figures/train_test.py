"""The number reported on the test set against that on the training set: contest, figure 3."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.jobs.show.figures.lines import SMALLEST
from zoospectra.jobs.show.figures.quantities import on_data_set
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.scatter import Scatter, scatter


def train_test(table: pa.Table, grouping: str = "series", smallest: int = SMALLEST) -> Figure:
    """The figure of one population; test = a + b * training.

    table: as for `quality`, with a column `train`.
    """
    first = (table.slice(0, 1).to_pylist() or [{"dataset": None, "target": "number"}])[0]
    number = str(first["target"]).removeprefix("test_")
    what = Scatter(
        f"train-test-by-{grouping}",
        f"Training and test: {number}",
        on_data_set(first["dataset"]),
        "train",
        "reported",
        f"{number} on the training set, as reported",
        f"{number} on the test set, as reported",
        grouping,
        smallest,
    )
    return scatter(table, what)
