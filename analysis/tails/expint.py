"""The normaliser of the truncated power law, E_alpha(lam) = integral_1^inf t^-alpha e^(-lam t) dt, for any real alpha.

E_alpha(lam) = lam^(alpha-1) Gamma(1 - alpha, lam): the upper incomplete gamma function of negative first argument,
which neither numpy nor scipy has for real order. With t = e^u the integrand exp((1 - alpha) u - lam e^u) is smooth
and log-concave, so Gauss-Legendre panels over the range where it is above e^-40 of its peak give it, and the
moments of u and e^u - 1 that the score and the information matrix need, to about 1e-14 of relative accuracy.
Vectorised over pairs (alpha, lam). Not covered: complex arguments; lam = 0, the plain power law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray

DROP = 40.0
"""The integrand is cut where it is below e^-40 = 4e-18 of its peak."""
PANELS = 4
ORDER = 16
"""Two stretches (before and after the knee lam e^u = 1/20) of 4 panels of 16 nodes: 128 nodes a pair."""


def _unit_rule() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the composite rule on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(ORDER)
    start = np.arange(PANELS)[:, None]
    return ((start + 0.5 * (node + 1.0)) / PANELS).ravel(), np.tile(0.5 * weight / PANELS, PANELS)


NODE, WEIGHT = _unit_rule()
POSITIVE = "lam: expected a value > 0; at lam = 0 the law is the plain power law, use its closed form"


@dataclass(frozen=True, slots=True)
class Moments:
    """Normaliser and first two moments of p(t) ~ t^-alpha e^(-lam t), t >= 1."""

    log_norm: float
    """Natural log of E_alpha(lam)."""
    u: float
    """E[ln t]."""
    s: float
    """E[t - 1]."""
    uu: float
    """Var(ln t)."""
    us: float
    """Cov(ln t, t)."""
    ss: float
    """Var(t)."""


def log_expint(alpha: FloatArray | float, lam: FloatArray | float) -> FloatArray:
    """Natural log of E_alpha(lam), alpha and lam of any shapes that broadcast; ValueError unless lam > 0.

    Equivalent to mpmath.log(mpmath.expint(alpha, lam)).
    """
    a, lam = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.asarray(lam, dtype=np.float64))
    if not bool(np.all(lam > 0)):
        raise ValueError(POSITIVE)
    ranges = [_range(1.0 - p, x) for p, x in zip(a.ravel().tolist(), lam.ravel().tolist(), strict=True)]
    low, knee, high = np.array(ranges).T.reshape((3, *a.shape, 1))
    before, after = knee - low, high - knee
    u = np.concatenate([low + before * NODE, knee + after * NODE], axis=-1)
    weight = np.concatenate([before * WEIGHT, after * WEIGHT], axis=-1)
    log_density = (1.0 - a[..., None]) * u - lam[..., None] * np.expm1(u)
    peak = log_density.max(axis=-1)
    total = (weight * np.exp(log_density - peak[..., None])).sum(axis=-1)
    return np.asarray(np.log(total) + peak - lam)


def moments(alpha: float, lam: float) -> Moments:
    """Normaliser, means and covariances of (ln t, t) under the truncated power law with xmin = 1.

    Raises ValueError unless lam > 0: at lam = 0 the moments need not exist.
    """
    if not lam > 0.0:
        raise ValueError(POSITIVE)
    low, knee, high = _range(1.0 - alpha, lam)
    before, after = knee - low, high - knee
    u = np.concatenate((low + before * NODE, knee + after * NODE))
    weight = np.concatenate((before * WEIGHT, after * WEIGHT))
    s = np.expm1(u)
    log_density = (1.0 - alpha) * u - lam * s
    peak = float(log_density.max())
    weight *= np.exp(log_density - peak)
    total = float(weight.sum())
    weight /= total
    mean_u, mean_s = float(weight @ u), float(weight @ s)
    u -= mean_u
    s -= mean_s
    weighted = weight * s
    return Moments(
        log_norm=math.log(total) + peak - lam,
        u=mean_u,
        s=mean_s,
        uu=float((weight * u) @ u),
        us=float(weighted @ u),
        ss=float(weighted @ s),
    )


def _range(power: float, lam: float) -> tuple[float, float, float]:
    """Where power u - lam (e^u - 1) is within `DROP` of its maximum over u >= 0, and the knee where the cut sets in.

    (low, knee, high) from closed-form bounds of the exact roots, at most about twice as wide.
    """
    inside = power > lam  # the maximum is inside, at e^u = power / lam
    fall = DROP / (power if inside else lam)  # e^v - 1 - v = fall is where the curvature alone has brought it down
    cut = min(math.log1p(fall + 2.0 * math.log1p(fall)), math.sqrt(2.0 * fall))
    if inside:
        top = math.log(power / lam)
        low = max(0.0, top - 0.5 * (fall + math.sqrt(fall * fall + 8.0 * fall)))
        high = top + cut
    else:
        low = 0.0
        high = min(cut, DROP / (lam - power)) if lam > power else cut
    knee = min(max(-math.log(20.0 * lam), low), high)
    return low, knee, high
