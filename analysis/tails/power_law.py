"""Pure power law p(x) = (alpha - 1) / xmin (x / xmin)^-alpha on x >= xmin.

Clauset, Shalizi, Newman 2009, equations 2.2 and 3.1. Not covered: the search for xmin (analysis/powerlaw.py).
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.tail import TailFit, log_excess, power_density

LAW = "power_law"


def fit(x: FloatArray, xmin: float) -> TailFit | None:
    """Closed form alpha = 1 + n / sum ln(x / xmin); None where `log_excess` is.

    x is the tail (n,), ascending, >= xmin; ValueError where it is not.
    Equivalent to powerlaw.Fit(x, xmin=xmin).power_law.
    """
    u = log_excess(x, xmin)
    if u is None:
        return None
    alpha = 1.0 + 1.0 / float(u.mean())
    return TailFit(LAW, xmin, len(u), {"alpha": alpha}, float(power_density(u, alpha, xmin).sum()))


def loglikelihoods(x: FloatArray, tail: TailFit) -> FloatArray:
    """Log-density of every value, (n,)."""
    return power_density(np.log(x / tail.xmin), tail.parameters["alpha"], tail.xmin)
