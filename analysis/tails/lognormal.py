"""Lognormal tail, truncated below at xmin: ln x is normal (mu, sigma) given x >= xmin.

With u = ln(x / xmin) and r = (mu - ln xmin) / sigma, mean(u^2) / mean(u)^2 depends on r alone and falls from 2 to
1, so the two likelihood equations are one monotone root in r. As r -> -inf the law becomes the power law; where the
data prefer that limit there is no finite (mu, sigma) and the fit says so. Clauset, Shalizi, Newman 2009, table 2.1.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import erfcx, log_ndtr

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.tail import TailFit, at_limit, degenerate, log_excess, power_density

LAW = "lognormal"
DEEP = -5.0
"""Below this r differences of Mills ratios cancel and the continued fraction takes over; it converges fast there."""
FREE = 40.0
"""Above this r the truncation removes less than exp(-800) of the law: it is fitted as an ordinary normal in ln x."""


def fit(x: FloatArray, xmin: float) -> TailFit | None:
    """Maximum over every mu and sigma > 0; None where `log_excess` is.

    x is the tail (n,), ascending, >= xmin; ValueError where it is not.
    Parameters 'mu' and 'sigma' (natural logs of x), none at the power-law limit. Equivalent to
    powerlaw.Fit(x, xmin=xmin).lognormal, whose simplex search may stop below this maximum.
    """
    u = log_excess(x, xmin)
    if u is None:
        return None
    if degenerate(u):
        return at_limit(LAW, u, xmin, {})
    mean = float(u.mean())
    spread = float(u.std())
    if mean > FREE * spread:
        r, sigma = mean / spread, spread
    else:
        ratio = 1.0 + (spread / mean) ** 2
        # r = sinh(v): even steps near 0, even steps in ln |r| far away
        root = brentq(lambda v: _moments(math.sinh(v))[1] - ratio, -15.0, 5.0, xtol=1e-15, rtol=1e-14)
        r = math.sinh(float(root))
        sigma = mean / _moments(r)[0]
    parameters = {"mu": r * sigma + math.log(xmin), "sigma": sigma}
    return TailFit(LAW, xmin, len(u), parameters, float(_density(u, r, sigma, xmin).sum()))


def loglikelihoods(x: FloatArray, tail: TailFit) -> FloatArray:
    """Log-density of every value, (n,); those of the limiting power law where the fit has degenerated to it."""
    u = np.log(x / tail.xmin)
    if tail.limit_alpha is not None:
        return power_density(u, tail.limit_alpha, tail.xmin)
    sigma = tail.parameters["sigma"]
    return _density(u, (tail.parameters["mu"] - math.log(tail.xmin)) / sigma, sigma, tail.xmin)


def _density(u: FloatArray, r: float, sigma: float, xmin: float) -> FloatArray:
    """Log of the truncated density; for r <= 0 the common factor exp(-r^2 / 2) is cancelled before it underflows."""
    z = u / sigma
    if r <= 0.0:
        shape = -0.5 * z * z + r * z - math.log(0.5 * float(erfcx(-r / math.sqrt(2.0))))
    else:
        shape = -0.5 * np.square(z - r) - float(log_ndtr(r))
    return shape - u - math.log(xmin) - math.log(sigma * math.sqrt(2.0 * math.pi))


def _moments(r: float) -> tuple[float, float]:
    """(E[u] / sigma, E[u^2] / E[u]^2) of a normal with mean r sigma truncated to u >= 0."""
    if r < DEEP:
        tail = -r
        for k in range(60, 2, -1):  # s + k/(s + (k+1)/(s + ...)): Laplace's continued fraction of the Mills ratio
            tail = -r + k / tail
        gap = 2.0 / tail
        return 1.0 / (gap - r), gap * (gap - r)
    mean = r + math.sqrt(2.0 / math.pi) / float(erfcx(-r / math.sqrt(2.0)))
    return mean, (1.0 + r * mean) / (mean * mean)
