"""The record of one law fitted to one tail, and the tail itself in scale-free form.

Every law is fitted to u = ln(x / xmin), so the parameters found do not depend on the unit of x beyond the exact
rescaling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.rounding import FLAT

MIN_TAIL = 3
"""Fewer values than this cannot tell a law of two parameters from any other."""

SPAN = 345.0
"""Tails of more than e^345 (150 decades) are not fitted: the square of x / xmin would overflow."""


@dataclass(frozen=True, slots=True)
class TailFit:
    """Maximum-likelihood fit of one law to the values x >= xmin."""

    law: str
    """'power_law', 'truncated_power_law', 'exponential', 'stretched_exponential' or 'lognormal'."""
    xmin: float
    """Start of the tail, in the unit of x."""
    n: int
    """Number of values in the tail."""
    parameters: Mapping[str, float]
    """The law's own parameters by name; those that have no finite value at the power-law limit are absent."""
    loglikelihood: float
    """Sum of the natural logs of the densities of x (not of ln x)."""
    limit_alpha: float | None = None
    """Exponent of the power law that the best member of the family has degenerated to; None for an interior maximum."""


def log_excess(x: FloatArray, xmin: float) -> FloatArray | None:
    """Logs u = ln(x / xmin) of a tail, (n,) ascending and >= 0; None where no law can be fitted.

    x: (n,) float64, ascending, every value >= xmin > 0. None is for fewer than `MIN_TAIL` values, for a tail
    that is one repeated value and for one that spans more than 150 decades. Raises ValueError on anything that is
    not an ascending tail above a positive xmin.
    """
    if x.ndim != 1:
        raise ValueError(f"x: expected one axis, got shape {x.shape}; pass the pooled tail of one ESD")
    if not (math.isfinite(xmin) and xmin > 0):
        raise ValueError(f"xmin: expected a positive number, got {xmin}; a power law has no tail at or below 0")
    if len(x) < MIN_TAIL:
        return None
    if not (np.isfinite(x[-1]) and x[0] >= xmin and bool(np.all(x[1:] >= x[:-1]))):
        raise ValueError(
            f"x: expected finite ascending values >= xmin = {xmin}, got {x[0]}..{x[-1]}; sort and cut it first"
        )
    if math.log(x[-1]) - math.log(xmin) > SPAN:
        return None
    u: FloatArray = np.log(x / xmin)
    if u[-1] <= FLAT or u[-1] - u[0] <= FLAT * u[-1]:
        return None
    return u


def degenerate(u: FloatArray) -> bool:
    """True where the tail u = ln(x / xmin), (n,), makes a family's likelihood grow all the way to its power-law limit.

    The lognormal, the stretched exponential and the truncated law all contain the power law as a limit. For the first
    two the likelihood rises towards that limit when mean(u^2) >= 2 mean(u)^2, the value of an exactly exponential u;
    within 1e-7 of it the gain in likelihood, of order n 1e-14, is below rounding and the limit is taken.
    """
    first = float(u.mean())
    return float(np.square(u).mean()) >= 2.0 * first * first * (1.0 - 1e-7)


def at_limit(law: str, u: FloatArray, xmin: float, parameters: Mapping[str, float]) -> TailFit:
    """The fit of a family whose best member is the power law itself: its likelihood on u = ln(x / xmin), (n,), and the
    exponent kept.
    """
    alpha = 1.0 + 1.0 / float(u.mean())
    value = float(power_density(u, alpha, xmin).sum())
    return TailFit(law, xmin, len(u), parameters, value, alpha)


def power_density(u: FloatArray, alpha: float, xmin: float) -> FloatArray:
    """Natural log of the power-law density (alpha - 1) / xmin (x / xmin)^-alpha, (n,), from u = ln(x / xmin)."""
    return math.log(alpha - 1.0) - math.log(xmin) - alpha * u
