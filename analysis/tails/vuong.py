"""Vuong's normalised log-likelihood ratio between two laws fitted to one tail.

Sign, normalisation and p-values are those of powerlaw 1.5's `loglikelihood_ratio(..., normalized_ratio=True)`:
Vuong 1989; Clauset, Shalizi, Newman 2009, appendix C. Not covered: corrections for the number of parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import erfc, gammaincc

from zoospectra.analysis.records import FloatArray


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which of two laws the data prefer, and how surely."""

    R: float
    """Sum of ln p1 - ln p2 over sqrt(n variance): positive where the first law is preferred, in standard deviations."""
    p: float
    """Probability of a ratio at least this far from 0 if neither were better, in [0, 1]."""


def ratio(first: FloatArray, second: FloatArray, nested: bool) -> Comparison:
    """Compare the log-likelihoods (n,) of the same values under two laws.

    nested: the first law is a special case of the second; p is then that of a chi-squared of one degree of freedom at
    2 |R unnormalised|, else erfc(|R| / sqrt 2). Two laws that agree on every value give R = 0, p = 1. Raises
    ValueError for shapes that differ.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected two vectors of one length, got {first.shape} and {second.shape}; use the same tail")
    difference = first - second
    n = len(difference)
    total = float(difference.sum())
    scale = math.sqrt(n) * float(difference.std()) if n else 0.0
    rounding = 1e-13 * float(abs(first).sum()) if n else 0.0
    if scale <= rounding / math.sqrt(max(n, 1)) or abs(total) <= rounding:
        return Comparison(0.0, 1.0)
    R = total / scale
    return Comparison(R, float(gammaincc(0.5, abs(total)) if nested else erfc(abs(R) / math.sqrt(2.0))))
