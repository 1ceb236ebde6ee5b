"""Stretched exponential (Weibull) tail: survival function exp((Lambda xmin)^beta - (Lambda x)^beta) on x >= xmin.

In u = ln(x / xmin) and a = (Lambda xmin)^beta it is a Gompertz density, beta a exp(beta u - a (e^(beta u) - 1)); a
has a closed form given beta, so one bracketed root in beta remains. As beta -> 0 with a beta fixed the law becomes
the power law; where the data prefer that limit there is no finite (Lambda, beta) and the fit says so. Not covered:
beta < 0. Clauset, Shalizi, Newman 2009, table 2.1.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.tail import TailFit, at_limit, degenerate, log_excess, power_density

LAW = "stretched_exponential"
STEEP = 500.0
"""Largest exponent that is raised directly: e^500 times any spectrum still fits in float64."""


def fit(x: FloatArray, xmin: float) -> TailFit | None:
    """Maximum over Lambda > 0, beta > 0; None where `log_excess` is.

    x is the tail (n,), ascending, >= xmin; ValueError where it is not.
    Parameters 'Lambda' and 'beta'; beta = 0 without Lambda at the power-law limit. Equivalent to
    powerlaw.Fit(x, xmin=xmin).stretched_exponential, whose simplex search may stop below this maximum.
    """
    u = log_excess(x, xmin)
    if u is None:
        return None
    if degenerate(u):
        return at_limit(LAW, u, xmin, {"beta": 0.0})
    mean = float(u.mean())
    v = u / mean  # beta is then of order 1
    low, high = _bracket(v)
    beta = float(brentq(_score, low, high, args=(v,), xtol=1e-300, rtol=1e-14))
    log_a = -_log_growth(beta, v)
    log_rate = log_a * mean / beta - math.log(xmin)
    if not -700.0 < log_rate < 700.0:  # so close to the limit that Lambda has no float64 value
        return at_limit(LAW, u, xmin, {"beta": 0.0})
    value = len(u) * (math.log(beta / mean) + log_a - 1.0 - math.log(xmin)) + (beta - mean) * float(v.sum())
    return TailFit(LAW, xmin, len(u), {"Lambda": math.exp(log_rate), "beta": beta / mean}, value)


def loglikelihoods(x: FloatArray, tail: TailFit) -> FloatArray:
    """Log-density of every value, (n,); those of the limiting power law where the fit has degenerated to it."""
    u = np.log(x / tail.xmin)
    if tail.limit_alpha is not None:
        return power_density(u, tail.limit_alpha, tail.xmin)
    rate, beta = tail.parameters["Lambda"], tail.parameters["beta"]
    log_a = beta * (math.log(rate) + math.log(tail.xmin))
    steep = beta * float(u.max()) > STEEP  # e^(beta u) alone would overflow; a is then tiny
    growth = np.exp(log_a + beta * u) - math.exp(log_a) if steep else math.exp(log_a) * np.expm1(beta * u)
    return math.log(beta) + log_a + (beta - 1.0) * u - math.log(tail.xmin) - growth


def _log_growth(beta: float, v: FloatArray) -> float:
    """Log of mean(e^(beta v) - 1), without overflow."""
    top = beta * float(v[-1])
    if top < STEEP:
        return math.log(float(np.expm1(beta * v).mean()))
    return top + math.log(float(np.exp(beta * v - top).mean()))


def _score(beta: float, v: FloatArray) -> float:
    """Slope of the profile log-likelihood in beta: 1/beta - mean(v e^(beta v)) / mean(e^(beta v) - 1) + mean v."""
    if beta * float(v[-1]) < STEEP:
        weight = np.exp(beta * v)
        total = np.expm1(beta * v).sum()
    else:
        weight = np.exp(beta * (v - v[-1]))
        total = weight.sum()
    return 1.0 / beta - float((v * weight).sum() / total) + float(v.mean())


def _bracket(v: FloatArray) -> tuple[float, float]:
    """An interval with a positive score at its lower and a negative one at its upper end."""
    high = 1.0
    while _score(high, v) > 0.0:
        high *= 2.0
    low = high / 2.0
    while _score(low, v) <= 0.0:
        low /= 2.0
    return low, high
