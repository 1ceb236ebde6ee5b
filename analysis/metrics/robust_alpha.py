"""Alpha that does not hang on one xmin, and how far the choice of xmin moves it, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Column, Esd, Fit, Method, Value
from zoospectra.analysis.uncertainty.robust import MIN_TAIL, robust

DEFAULTS = {"min_tail": MIN_TAIL}
WEIGHT = "weights exp(-(D - D_best) sqrt(n_best) / 0.26)"

COLUMNS = (
    Column("robust_alpha", "double", "1", f"mean of alpha over all tail starts, {WEIGHT}"),
    Column("robust_alpha_spread", "double", "1", "its weighted standard deviation: what the choice of xmin is worth"),
    Column("alpha_min_near", "double", "1", "smallest alpha among starts with D <= D_best + 0.26 / sqrt(n_best)"),
    Column("alpha_max_near", "double", "1", "largest alpha among those starts"),
    Column(
        "alpha_xmin_slope", "double", "1/ln eigenvalue", "weighted slope of alpha against ln xmin; 0 = one power law"
    ),
    Column("num_starts", "double", "count", "effective number of tail starts, 1 / sum of squared weights"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None with fewer than 8 values or without spread.

    Option: min_tail (8).
    """
    chosen = METHOD.options(options)
    result = robust(esd.fitted, int(chosen["min_tail"]))
    if result is None:
        return dict.fromkeys(column.name for column in COLUMNS)
    return {
        "robust_alpha": result.alpha,
        "robust_alpha_spread": result.spread,
        "alpha_min_near": result.low,
        "alpha_max_near": result.high,
        "alpha_xmin_slope": result.slope,
        "num_starts": result.candidates,
    }


METHOD = Method(
    name="robust_alpha",
    columns=COLUMNS,
    citation="softmin over the candidates of Clauset, Shalizi, Newman 2009",
    needs=("spectrum", "tail"),
    cost="3 to 10 ms",
    run=run,
    defaults=DEFAULTS,
)
