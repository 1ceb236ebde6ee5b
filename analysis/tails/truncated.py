"""Power law with an exponential cut-off, p(x) = C x^-alpha exp(-Lambda x) on x >= xmin.

C = Lambda^(1-alpha) / Gamma(1 - alpha, Lambda xmin). In t = x / xmin and lam = Lambda xmin it is an exponential family
with statistics (ln t, t): the log-likelihood is concave in (alpha, lam), and damped Newton steps find its maximum.
The power law is its edge lam = 0: the optimality condition there is checked in closed form first, and the result's
likelihood is never below the power law's. Clauset, Shalizi, Newman 2009, table 2.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.expint import Moments, log_expint, moments
from zoospectra.analysis.tails.tail import TailFit, at_limit, log_excess, power_density

LAW = "truncated_power_law"
ALPHA_MIN = 1.0
"""Smallest exponent allowed, as in the powerlaw package; below it the law is a gamma law rather than a power law."""
SMALLEST = 1e-13
"""Cut-off lam = Lambda xmin below which the law is taken for its power-law limit."""
ENOUGH = 1e-12
"""Promised gain a value after which no further step is taken: steps converge quadratically."""
STEPS = 80
"""Newton steps at most; 5 to 8 are used."""


@dataclass(frozen=True, slots=True)
class _State:
    alpha: float
    log_lam: float
    value: float
    at: Moments


def fit(x: FloatArray, xmin: float, alpha_min: float = ALPHA_MIN) -> TailFit | None:
    """Maximum over alpha >= alpha_min, Lambda >= 0; None where `log_excess` is.

    x is the tail (n,), ascending, >= xmin; ValueError where it is not.
    Parameters 'alpha' and 'Lambda' (unit 1/x; 0 at the power-law limit). alpha_min = -inf lifts the bound.
    Equivalent to powerlaw.Fit(x, xmin=xmin).truncated_power_law, whose simplex search may stop below this maximum.
    Raises ValueError for alpha_min > 1, where the power-law limit might be out of bounds.
    """
    if not alpha_min <= 1.0:
        raise ValueError(
            f"alpha_min: expected at most 1, got {alpha_min}; the power-law limit must stay inside the bounds"
        )
    u = log_excess(x, xmin)
    if u is None:
        return None
    s = np.expm1(u)
    mean_u, mean_s = float(u.mean()), float(s.mean())
    power = 1.0 + 1.0 / mean_u
    edge = at_limit(LAW, u, xmin, {"alpha": power, "Lambda": 0.0})
    if power > 2.0 and mean_s * (power - 2.0) >= 1.0:
        return edge  # E[t - 1] = 1 / (alpha - 2) at lam = 0: the data's mean is above it, so lam would go negative
    best = _maximise(mean_u, mean_s, float(s[-1]), alpha_min)
    value = len(u) * (best.value - math.log(xmin))
    if not value > edge.loglikelihood or best.log_lam <= math.log(SMALLEST):
        return edge
    return TailFit(LAW, xmin, len(u), {"alpha": best.alpha, "Lambda": math.exp(best.log_lam) / xmin}, value)


def loglikelihoods(x: FloatArray, tail: TailFit) -> FloatArray:
    """Log-density of every value, (n,)."""
    alpha, lam = tail.parameters["alpha"], tail.parameters["Lambda"] * tail.xmin
    t = x / tail.xmin
    if lam == 0.0:
        return power_density(np.log(t), alpha, tail.xmin)
    return -alpha * np.log(t) - lam * t - float(log_expint(alpha, lam)) - math.log(tail.xmin)


def _maximise(mean_u: float, mean_s: float, longest: float, alpha_min: float) -> _State:
    """Newton in (alpha, ln lam) on the mean log-likelihood -ln E_alpha(lam) - lam - alpha mean_u - lam mean_s."""
    state = _state(1.0 + 1.0 / mean_u, -math.log(longest), mean_u, mean_s)
    for _ in range(STEPS):
        step_alpha, step_log, gain = _step(state, mean_u, mean_s, alpha_min)
        if gain <= 0.0:
            break
        state, moved = _search(state, (step_alpha, step_log), gain, (mean_u, mean_s), alpha_min)
        if not moved or gain < ENOUGH or state.log_lam < math.log(SMALLEST):
            break
    return state


def _state(alpha: float, log_lam: float, mean_u: float, mean_s: float) -> _State:
    lam = math.exp(log_lam)
    at = moments(alpha, lam)
    return _State(alpha, log_lam, -at.log_norm - alpha * mean_u - lam * (1.0 + mean_s), at)


def _step(state: _State, mean_u: float, mean_s: float, alpha_min: float) -> tuple[float, float, float]:
    """Ascent step in (alpha, ln lam) and the first-order gain it promises; alpha stays where its bound is active."""
    lam, at = math.exp(state.log_lam), state.at
    slope_alpha = at.u - mean_u
    slope_log = lam * (at.s - mean_s)
    h_aa, h_al, h_ll = at.uu, lam * at.us, lam * lam * at.ss
    h_ll += max(0.0, -slope_log)  # the exact curvature in ln lam where that keeps it positive
    if state.alpha <= alpha_min and slope_alpha < 0.0:
        step = slope_log / h_ll if h_ll > 0.0 else 0.0
        return 0.0, step, slope_log * step
    det = h_aa * h_ll - h_al * h_al
    if not det > 0.0:
        return slope_alpha / h_aa, 0.0, slope_alpha * slope_alpha / h_aa
    step_alpha = (h_ll * slope_alpha - h_al * slope_log) / det
    step_log = (h_aa * slope_log - h_al * slope_alpha) / det
    if state.alpha + step_alpha < alpha_min:  # the best step that ends on the bound
        step_alpha = alpha_min - state.alpha
        step_log = (slope_log - h_al * step_alpha) / h_ll
    return step_alpha, step_log, slope_alpha * step_alpha + slope_log * step_log


def _search(
    state: _State, step: tuple[float, float], gain: float, means: tuple[float, float], alpha_min: float
) -> tuple[_State, bool]:
    """Halve the step until the likelihood rises; at most a factor e^3 in lam and the bound in alpha."""
    scale = min(1.0, 3.0 / max(abs(step[1]), 1e-300))
    for _ in range(30):
        alpha = max(alpha_min, state.alpha + scale * step[0])
        trial = _state(alpha, state.log_lam + scale * step[1], *means)
        if trial.value >= state.value + 1e-4 * scale * gain or gain < 1e-12:
            return trial, True
        scale *= 0.5
    return state, False
