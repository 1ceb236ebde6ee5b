"""Whether the slope differs from group to group: the F-test of one common slope against a slope for each group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from zoospectra.analysis.regression import CONSTANT, scaled
from zoospectra.analysis.statistics.sample import Sample
from zoospectra.analysis.statistics.within import centred, varying


@dataclass(frozen=True, slots=True)
class Interaction:
    """Test of equal slopes; it assumes equal variances."""

    n: int
    """Points in groups that have a slope."""
    groups: int
    """Groups that have a slope."""
    f: float | None = None
    """Statistic."""
    p: float | None = None
    """p-value of equal slopes, with G - 1 and n - 2 G degrees of freedom."""
    reason: str | None = None
    """Why numbers are missing."""


def of_sample(found: Sample) -> Interaction:
    """F-test of equal slopes; groups in which x is constant have none and do not count.

    Equivalent to `statsmodels` anova_lm of y ~ C(group) + x against y ~ C(group) * x.
    """
    if found.n == 0:
        return Interaction(0, 0, reason="no points")
    dx, dy = centred(found.x, found.group), centred(found.y, found.group)
    sloped = varying(found.x, dx, found.group)
    groups, n = int(sloped.sum()), int(sloped[found.group].sum())
    freedom = n - 2 * groups
    if groups < 2:
        return Interaction(n, groups, reason="fewer than two groups have a slope")
    if freedom < 1:
        return Interaction(n, groups, reason="no degrees of freedom left for an error")
    (dx, _), (dy, _) = scaled(dx), scaled(dy)
    sxx, sxy, syy = (np.bincount(found.group, weights=one) for one in (dx * dx, dx * dy, dy * dy))
    sxx, sxy, total = sxx[sloped], sxy[sloped], float(syy[sloped].sum())
    own = total - float((sxy**2 / sxx).sum())
    one = total - float(sxy.sum() ** 2 / sxx.sum())
    if own <= CONSTANT * total:
        return Interaction(n, groups, reason="every group lies on its own line")
    f = max(0.0, (one - own) / (groups - 1) / (own / freedom))
    return Interaction(n, groups, f, float(special.fdtrc(groups - 1, freedom, f)))
