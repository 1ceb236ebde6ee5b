"""A mixed model: one slope, and an intercept for each group drawn from a normal distribution (random intercepts).

Between the pooled line and fixed effects: groups borrow from each other. By statsmodels (restricted maximum
likelihood), which is an optional dependency (extra 'studies'). Not covered: random slopes.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import is_constant, scaled
from zoospectra.analysis.statistics.sample import degenerate, sample


@dataclass(frozen=True, slots=True)
class Mixed:
    """y = intercept + u[group] + slope * x, u normal."""

    n: int
    """Points."""
    groups: int
    """Groups."""
    slope: float | None = None
    """Unit of y over unit of x."""
    slope_se: float | None = None
    """Its standard error."""
    p: float | None = None
    """Two-sided p-value of slope = 0 (normal)."""
    group_sd: float | None = None
    """Standard deviation of the intercepts, unit of y; 0 when groups add nothing."""
    residual_sd: float | None = None
    """Standard deviation of the residuals, unit of y."""
    reason: str | None = None
    """Why numbers are missing."""


def mixed(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable],
    covariates: Sequence[Sequence[float | None]] = (),
) -> Mixed:
    """Random-intercept model; points without x, y or a covariate are left out.

    Equivalent to `statsmodels.MixedLM(y, [1, x, covariates], groups).fit(reml=True)`.
    """
    if covariates:
        whole = [None not in row for row in zip(*covariates, strict=True)]
        x = [value if there else None for value, there in zip(x, whole, strict=True)]
    found = sample(x, y, groups)
    count = len(found.names)
    if why := degenerate(found, 4):
        return Mixed(found.n, count, reason=why)
    if count < 2 or count == found.n:
        return Mixed(found.n, count, reason="groups need at least two members, and there must be two of them")
    try:
        model = import_module("statsmodels.regression.mixed_linear_model")
    except ImportError:
        return Mixed(found.n, count, reason="statsmodels is not installed: pip install 'zoospectra[studies]'")
    (z, unit_x), (target, unit_y) = _standard(found.x), _standard(found.y)
    others = [np.array([float(side[i] or 0.0) for i in found.kept]) for side in covariates]
    sides = [_standard(side)[0] for side in others if not is_constant(side)]
    design = np.column_stack([np.ones(found.n), z, *sides])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            fit = model.MixedLM(target, design, groups=found.group).fit(reml=True)
        except np.linalg.LinAlgError:
            return Mixed(found.n, count, reason="the model is singular: the line explains everything")
        slope, error = float(fit.fe_params[1]), float(fit.bse_fe[1])
        variance, scale, p = float(fit.cov_re[0, 0]), float(fit.scale), float(fit.pvalues[1])
    if not (fit.converged and np.isfinite([slope, error, variance, scale, p]).all()):
        return Mixed(found.n, count, reason="the likelihood has no maximum that could be found")
    unit = unit_y / unit_x
    deviations = (unit_y * variance**0.5, unit_y * scale**0.5)
    return Mixed(found.n, count, unit * slope, unit * error, p, *deviations)


def _standard(values: FloatArray) -> tuple[FloatArray, float]:
    """Values with mean 0 and deviation 1, and the unit; the largest is taken out first, for squares overflow."""
    shifted, largest = scaled(values - values.mean())
    unit = float(shifted.std())
    return shifted / unit, largest * unit
