"""Mean alpha, the shape of spectra, against the mean log spectral norm, their scale: contest, figures 2 and 9."""

from __future__ import annotations

import pyarrow as pa

from zoospectra.jobs.show.figures.lines import SMALLEST
from zoospectra.jobs.show.figures.quantities import on_data_set, quantity
from zoospectra.jobs.show.figures.record import Figure
from zoospectra.jobs.show.figures.scatter import Scatter, scatter


def shape_scale(table: pa.Table, grouping: str = "series", smallest: int = SMALLEST) -> Figure:
    """The figure of one population; alpha = a + b * log spectral norm.

    table: as for `quality`, with columns alpha and log_spectral_norm.
    """
    first = (table.slice(0, 1).to_pylist() or [{"profile": "none", "dataset": None}])[0]
    what = Scatter(
        f"shape-scale-by-{grouping}",
        "Shape and scale of spectra",
        f"profile {first['profile']}, {on_data_set(first['dataset'])}",
        "log_spectral_norm",
        "alpha",
        quantity("log_spectral_norm", mean=True),
        quantity("alpha", mean=True),
        grouping,
        smallest,
    )
    return scatter(table, what)
