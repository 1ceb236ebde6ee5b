"""How well metrics follow the reported number in every sub-group: bars of R2 and Kendall's tau; contest, figure 6."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.jobs.show.figures.lines import SMALLEST, fitted
from zoospectra.jobs.show.figures.palette import MOST
from zoospectra.jobs.show.figures.record import Axis, Figure, Mark, Panel
from zoospectra.jobs.show.figures.scatter import POOLED

MOST_GROUPS = 30
STRENGTH = pa.schema(
    [
        ("group", pa.string()),
        ("metric", pa.string()),
        ("n", pa.int64()),
        ("r2", pa.float64()),
        ("kendall_tau", pa.float64()),
    ]
)
"""Of the table behind bars."""
WORDS = {"r2": "R2, share of variance explained", "kendall_tau": "Kendall's tau-b"}
"""Statistic -> what its axis says."""


def strength(points: pa.Table, metrics: Sequence[str], smallest: int = SMALLEST) -> pa.Table:
    """The table of `bars` for one population: a row for each metric and group, and for all models together.

    points: as for `quality`. Groups with fewer than `smallest` models have no numbers.
    """
    named = set(points["group"].to_pylist())
    groups = sorted(named - {None}) if len(named) > 1 else []  # one group is all
    rows = []
    for group in (POOLED, *groups):
        inside = points if group == POOLED else points.filter(pc.equal(points["group"], group))
        for metric in metrics:
            both = zip(inside[metric].to_pylist(), inside["reported"].to_pylist(), strict=True)
            known = [(x, y) for x, y in both if x is not None and y is not None]
            row = fitted(group, [x for x, _ in known], [y for _, y in known], smallest=smallest).row
            rows.append({name: row.get(name) for name in STRENGTH.names} | {"metric": metric})
    return pa.Table.from_pylist(rows, STRENGTH)


def bars(table: pa.Table, title: str = "How well metrics follow the reported number", caption: str = "") -> Figure:
    """A panel for R2 and one for tau, a group of bars for each sub-group, a colour for each metric.

    table: group, metric, n, and columns r2 and kendall_tau, of which either may be NULL.
    """
    rows = table.to_pylist()
    metrics = list(dict.fromkeys(str(row["metric"]) for row in rows))[:MOST]
    sizes: dict[str, int] = {}
    for row in rows:
        if any(row[name] is not None for name in WORDS):
            sizes[str(row["group"])] = max(sizes.get(str(row["group"]), 0), int(row["n"] or 0))
    groups = list(sizes)[:MOST_GROUPS]
    categories = tuple(f"{name}: n {sizes[name]}" for name in groups)
    left = len(sizes) - len(groups)
    caption += f"; {left} more groups are in the table" if left else ""
    if not groups:
        panel = Panel("", Axis("R2"), Axis("group"), note="no group has enough models for a line")
        return Figure("bars", title, caption, (panel,), {"data": table}, 1)
    width = 0.8 / len(metrics)
    panels = []
    for statistic, label in WORDS.items():
        marks = []
        for i, metric in enumerate(metrics):
            known = [r for r in rows if r["metric"] == metric and r["group"] in groups and r[statistic] is not None]
            values = tuple(float(row[statistic]) for row in known)
            y = tuple(groups.index(row["group"]) + (i - (len(metrics) - 1) / 2) * width for row in known)
            names = tuple(f"{row['group']}: {metric}" for row in known)
            if values and all(map(math.isfinite, values)):
                marks.append(Mark("bars", values, y, label=metric, colour=i, names=names, width=width))
        panels.append(Panel("", Axis(label), Axis("", categories=categories), tuple(marks)))
    return Figure("bars", title, caption, tuple(panels), {"data": table})
