"""Metrics that weigh the scale of a layer with the exponent of its tail: alpha-hat and the log alpha-norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value

COLUMNS = (
    Column("alpha_weighted", "double", "log10", "alpha * log10 of the largest eigenvalue (alpha hat)"),
    Column("log_alpha_norm", "double", "log10", "log10 of sum lam^alpha, the alpha-Schatten norm of X"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None without a fit.

    Option: drop_smallest, how many of the smallest eigenvalues to leave out of the sum (0).
    """
    dropped = int(METHOD.options(options)["drop_smallest"])
    if fit.alpha is None or not esd.evals[-1] > 0:
        return {"alpha_weighted": None, "log_alpha_norm": None}
    lam = esd.evals[dropped:]
    return {
        "alpha_weighted": fit.alpha * float(np.log10(esd.evals[-1])),
        "log_alpha_norm": log_power_sum(lam, fit.alpha),
    }


def log_power_sum(lam: FloatArray, alpha: float) -> float:
    """log10 of sum lam^alpha for lam (K,), ascending, lam[-1] > 0; the sum itself may be beyond float64.

    Equivalent to `scipy.special.logsumexp(alpha * np.log(lam)) / np.log(10)`.
    """
    positive = lam if lam[0] > 0 else lam[lam > 0]
    ratios: FloatArray = np.log(positive)
    ratios -= np.log(positive[-1])
    ratios *= alpha
    np.exp(ratios, out=ratios)
    return float(alpha * np.log10(positive[-1]) + np.log10(ratios.sum()))


METHOD = Method(
    name="alpha_norms",
    columns=COLUMNS,
    citation="Martin, Peng and Mahoney 2021, Nature Communications 12:4122; WeightWatcher 0.7.7",
    needs=("spectrum", "fit"),
    cost="0.02 ms",
    run=run,
    defaults={"drop_smallest": 0},
)
