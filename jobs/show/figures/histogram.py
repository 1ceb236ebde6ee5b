"""How a metric is spread over the layers of models or series: Nature Communications 2021, figures 4 and 6."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from zoospectra.jobs.show.figures.palette import MOST
from zoospectra.jobs.show.figures.quantities import quantity
from zoospectra.jobs.show.figures.record import Axis, Figure, Mark, Panel, numbers

FEW = 5
"""Layers below which a histogram means nothing."""
MOST_BINS = 40


def histogram(table: pa.Table, metric: str = "alpha", by: str = "model_id") -> Figure:
    """Densities on common bins, a colour each of up to seven groups; medians in the legend.

    table: profile, the metric and the column `by`, one row a layer. Bins: Freedman and Diaconis on all values
    (numpy.histogram_bin_edges, 'fd'), at most 40.
    """
    groups: dict[str, list[float]] = {}
    for row in table.select([by, metric]).to_pylist():
        if row[metric] is not None:
            groups.setdefault(str(row[by] or f"no {by}"), []).append(float(row[metric]))
    large = {name: values for name, values in groups.items() if len(values) >= FEW}
    drawn = dict(list(large.items())[:MOST])
    values = np.array([value for group in drawn.values() for value in group])
    profile = table["profile"][0].as_py() if len(table) else "none"
    caption = f"profile {profile}; n = {len(values)} layers"
    caption += f"; {len(large) - len(drawn)} more in the table" if len(large) > len(drawn) else ""
    small = len(groups) - len(large)
    caption += f"; left out: {small} with fewer than {FEW} layers" if small else ""
    axes = Axis(quantity(metric)), Axis("density, share of layers per unit")
    name, title = f"histogram-{metric}", f"Distribution of {metric} over layers"
    if not drawn:
        panel = Panel("", *axes, note=f"nothing has {metric} of {FEW} layers")
        return Figure(name, title, caption, (panel,), {"data": table}, 1)
    edges = _edges(values)
    marks = []
    for i, (group, sample) in enumerate(drawn.items()):
        density, _ = np.histogram(sample, edges, density=True)
        label = f"{group}: n {len(sample)}, mean {np.mean(sample):.2f}, median {np.median(sample):.2f}"
        marks.append(Mark("steps", numbers(edges), numbers(density), label=label, colour=i, dashed=i % 2 == 1))
    return Figure(name, title, caption, (Panel("", *axes, tuple(marks)),), {"data": table}, 1)


def _edges(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Common bins; far outliers make them wider rather than more than MOST_BINS."""
    edges = np.histogram_bin_edges(values, "fd")
    return edges if len(edges) <= MOST_BINS + 1 else np.linspace(values.min(), values.max(), MOST_BINS + 1)
