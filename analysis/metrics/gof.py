"""Goodness of fit of the power law as columns: Clauset's bootstrap p-value; every replicate searches xmin anew.

The statistic and the search are those of analysis.uncertainty.batch, for the data as for the replicates; for untied
data of 20 values or more they are the weightwatcher rule. Under another rule gof_D and gof_xmin say what was
tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Column, Esd, Fit, Method, Value
from zoospectra.analysis.uncertainty.goodness import goodness

DEFAULTS = {"replicates": 1000, "min_tail": 2}

COLUMNS = (
    Column("gof_p", "double", "1", "share of bootstrap replicates of the fitted law with a D at least the layer's"),
    Column("gof_p_error", "double", "1", "standard error of gof_p, sqrt(p (1 - p) / replicates)"),
    Column("gof_D", "double", "1", "Kolmogorov-Smirnov distance that gof_p is about"),
    Column("gof_xmin", "double", "eigenvalue", "start of the tail that gof_p is about"),
    Column("gof_replicates", "bigint", "count", "bootstrap replicates"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None without a fit or with fewer than 8 values.

    Options: replicates (1000), min_tail (2).
    """
    chosen = METHOD.options(options)
    if fit.xmin is None:
        return dict.fromkeys(column.name for column in COLUMNS)
    result = goodness(esd.fitted, int(chosen["replicates"]), esd.seed, int(chosen["min_tail"]))
    if result is None:
        return dict.fromkeys(column.name for column in COLUMNS)
    return {
        "gof_p": result.p,
        "gof_p_error": result.error,
        "gof_D": result.D,
        "gof_xmin": result.xmin,
        "gof_replicates": result.replicates,
    }


METHOD = Method(
    name="gof",
    columns=COLUMNS,
    citation="Clauset, Shalizi, Newman 2009, SIAM Review 51:661, section 4.1",
    needs=("spectrum", "fit"),
    cost="100 to 500 ms",
    run=run,
    defaults=DEFAULTS,
)
