"""Exponential tail p(x) = Lambda exp(-Lambda (x - xmin)) on x >= xmin (Clauset, Shalizi, Newman 2009, table 2.1)."""

from __future__ import annotations

import math

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.tail import TailFit, log_excess

LAW = "exponential"


def fit(x: FloatArray, xmin: float) -> TailFit | None:
    """Lambda = 1 / (mean x - xmin), in closed form; None where `log_excess` is.

    x is the tail (n,), ascending, >= xmin; ValueError where it is not.
    Equivalent to powerlaw.Fit(x, xmin=xmin).exponential, which searches for the same number.
    """
    if log_excess(x, xmin) is None:
        return None
    rate = 1.0 / float((x / xmin - 1.0).mean())
    value = len(x) * (math.log(rate) - math.log(xmin) - 1.0)
    return TailFit(LAW, xmin, len(x), {"Lambda": rate / xmin}, value)


def loglikelihoods(x: FloatArray, tail: TailFit) -> FloatArray:
    """Log-density of every value, (n,)."""
    rate = tail.parameters["Lambda"]
    return math.log(rate) - rate * (x - tail.xmin)
