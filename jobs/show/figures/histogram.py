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
    (numpy.histogram_bin_edges, 'fd'); where far values would make that more than 40, those beyond three times the range
    of the middle half are counted in the caption and not drawn.
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
    far = int(np.sum((values < edges[0]) | (values > edges[-1])))
    caption += f"; {far} outside {edges[0]:.3g} to {edges[-1]:.3g} are not drawn" if far else ""
    marks = []
    for i, (group, sample) in enumerate(drawn.items()):
        density = np.histogram(sample, edges)[0] / (len(sample) * np.diff(edges))
        label = f"{group}: n {len(sample)}, mean {np.mean(sample):.2f}, median {np.median(sample):.2f}"
        marks.append(Mark("steps", numbers(edges), numbers(density), label=label, colour=i, dashed=i % 2 == 1))
    return Figure(name, title, caption, (Panel("", *axes, tuple(marks)),), {"data": table}, 1)


def _edges(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Common bins, at most MOST_BINS; where that is too few for all values, of those that are not far out."""
    edges = np.histogram_bin_edges(values, "fd")
    if len(edges) <= MOST_BINS + 1:
        return edges
    first, third = np.quantile(values, [0.25, 0.75])
    low, high = first - 3.0 * (third - first), third + 3.0 * (third - first)
    near = values[(values >= low) & (values <= high)]
    near = near if near.min() < near.max() else values
    count = min(MOST_BINS, len(np.histogram_bin_edges(near, "fd")) - 1)
    return np.linspace(near.min(), near.max(), count + 1)
