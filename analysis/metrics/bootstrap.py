"""Intervals of alpha and xmin as columns: bootstrap with the search for xmin, and the exact one for xmin held fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Column, Esd, Fit, Method, Value
from zoospectra.analysis.uncertainty.interval import LEVEL, known, searched

DEFAULTS = {"replicates": 1000, "level": LEVEL}
FIXED = "if the law held from the fit's xmin on and xmin were known"

COLUMNS = (
    Column("alpha_low", "double", "1", "lower end of the bootstrap interval of alpha, xmin searched anew each time"),
    Column("alpha_high", "double", "1", "upper end of that interval"),
    Column("xmin_low", "double", "eigenvalue", "lower end of the bootstrap interval of xmin"),
    Column("xmin_high", "double", "eigenvalue", "upper end of that interval"),
    Column("alpha_low_fixed", "double", "1", f"lower end of the exact interval of alpha {FIXED}"),
    Column("alpha_high_fixed", "double", "1", f"upper end of the exact interval of alpha {FIXED}"),
    Column("bootstrap_replicates", "bigint", "count", "resamples that had a tail to fit"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None without a fit or with fewer than 8 values.

    Options: replicates (1000), level (0.95).
    """
    chosen = METHOD.options(options)
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    if fit.xmin is None:
        return row
    level = float(chosen["level"])
    fixed = known(esd.fitted[esd.fitted >= fit.xmin], fit.xmin, level)
    if fixed is not None:
        row["alpha_low_fixed"], row["alpha_high_fixed"] = fixed.low, fixed.high
    intervals = searched(esd.fitted, int(chosen["replicates"]), esd.seed, level)
    if intervals is not None:
        row["alpha_low"], row["alpha_high"] = intervals.alpha.low, intervals.alpha.high
        row["xmin_low"], row["xmin_high"] = intervals.xmin.low, intervals.xmin.high
        row["bootstrap_replicates"] = intervals.replicates
    return row


METHOD = Method(
    name="bootstrap",
    columns=COLUMNS,
    citation="Efron 1979; Clauset, Shalizi, Newman 2009, SIAM Review 51:661",
    needs=("spectrum", "fit"),
    cost="100 to 300 ms",
    run=run,
    defaults=DEFAULTS,
)
