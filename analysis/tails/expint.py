"""The normaliser of the truncated power law, E_alpha(lam) = integral_1^inf t^-alpha e^(-lam t) dt, for any real alpha.

E_alpha(lam) = lam^(alpha-1) Gamma(1 - alpha, lam): the upper incomplete gamma function of negative first argument,
which neither numpy nor scipy has for real order. With t = e^u the integrand exp((1 - alpha) u - lam e^u) is smooth
and log-concave, so Gauss-Legendre panels over the range where it is above e^-40 of its peak give it, and the
moments of u and e^u - 1 that the score and the information matrix need, to about 1e-13 of relative accuracy.
Vectorised over pairs (alpha, lam). Not covered: complex arguments; lam = 0, the plain power law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.records import FloatArray

DROP = 40.0
"""The integrand is cut where it is below e^-40 = 4e-18 of its peak."""
PANELS = 6
ORDER = 16
"""Two stretches (before and after the knee lam e^u = 1/20) of 6 panels of 16 nodes: 192 nodes a pair."""


def _unit_rule() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the composite rule on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(ORDER)
    start = np.arange(PANELS)[:, None]
    return ((start + 0.5 * (node + 1.0)) / PANELS).ravel(), np.tile(0.5 * weight / PANELS, PANELS)


NODE, WEIGHT = _unit_rule()


@dataclass(frozen=True, slots=True)
class Moments:
    """Normaliser and first two moments of p(t) ~ t^-alpha e^(-lam t), t >= 1; arrays of the shape of (alpha, lam)."""

    log_norm: FloatArray
    """ln E_alpha(lam)."""
    u: FloatArray
    """E[ln t]."""
    s: FloatArray
    """E[t - 1]."""
    uu: FloatArray
    """Var(ln t)."""
    us: FloatArray
    """Cov(ln t, t)."""
    ss: FloatArray
    """Var(t)."""


def log_expint(alpha: FloatArray | float, lam: FloatArray | float) -> FloatArray:
    """Log of E_alpha(lam), broadcast; ValueError unless lam > 0. Equivalent to mpmath.log(mpmath.expint(...))."""
    return moments(alpha, lam).log_norm


def moments(alpha: FloatArray | float, lam: FloatArray | float) -> Moments:
    """Normaliser, means and covariances of (ln t, t) under the truncated power law with xmin = 1.

    alpha, lam: any shapes that broadcast; lam > 0. Raises ValueError for lam <= 0 (its moments need not exist).
    """
    a, lam = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.asarray(lam, dtype=np.float64))
    if not bool(np.all(lam > 0)):
        raise ValueError(
            "lam: expected every value > 0; at lam = 0 the law is the plain power law, use its closed form"
        )
    power = 1.0 - a
    ranges = [_range(p, x) for p, x in zip(power.ravel().tolist(), lam.ravel().tolist(), strict=True)]
    low, knee, high = np.array(ranges).reshape((*a.shape, 3)).transpose(-1, *range(a.ndim))
    before, after = (knee - low)[..., None], (high - knee)[..., None]
    u = np.concatenate([low[..., None] + before * NODE, knee[..., None] + after * NODE], axis=-1)
    weight = np.concatenate([before * WEIGHT, after * WEIGHT], axis=-1)
    s = np.expm1(u)
    log_density = power[..., None] * u - lam[..., None] * s
    peak = log_density.max(axis=-1)
    density = weight * np.exp(log_density - peak[..., None])
    total = density.sum(axis=-1)
    density /= total[..., None]
    mean_u = (density * u).sum(axis=-1)
    mean_s = (density * s).sum(axis=-1)
    du, ds = u - mean_u[..., None], s - mean_s[..., None]
    return Moments(
        log_norm=np.asarray(np.log(total) + peak - lam),
        u=mean_u,
        s=mean_s,
        uu=(density * du * du).sum(axis=-1),
        us=(density * du * ds).sum(axis=-1),
        ss=(density * ds * ds).sum(axis=-1),
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
