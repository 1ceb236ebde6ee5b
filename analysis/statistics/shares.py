"""Scale against shape: how much of a quantity of models comes from mean log lambda_max and how much from mean alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from zoospectra.analysis.regression import regression

SMALLEST = 4
"""Models a split needs."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of a quantity comes from scale and how much from shape."""

    n: int
    """Models."""
    r2: float | None = None
    """Share of its variance that both explain together."""
    scale: float | None = None
    """Part of r2 that is scale's: its gain averaged over both orders of entering (Lindeman, Merenda and Gold 1980)."""
    shape: float | None = None
    """Part of r2 that is shape's; scale + shape = r2."""
    scale_alone: float | None = None
    """R2 of scale alone."""
    shape_alone: float | None = None
    """R2 of shape alone."""
    reason: str | None = None
    """Why numbers are missing."""


def scale_and_shape(
    target: Sequence[float | None],
    scale: Sequence[float | None],
    shape: Sequence[float | None],
    smallest: int = SMALLEST,
) -> Shares:
    """Split the variance of a target (alpha_weighted, a reported metric) between mean log lambda_max and mean alpha."""
    rows = [row for row in zip(target, scale, shape, strict=True) if None not in row]
    data = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    if len(data) < smallest:
        return Shares(len(data), reason=f"{len(data)} models, at least {smallest} are needed")
    a, b = (regression(data[:, i].tolist(), data[:, 0].tolist()) for i in (1, 2))
    if a.r2 is None or b.r2 is None:
        return Shares(len(data), reason=f"scale: {a.reason or 'varies'}, shape: {b.reason or 'varies'}")
    r = float(stats.pearsonr(data[:, 1], data[:, 2]).statistic)
    if 1 - r * r < 1e-10:
        return Shares(len(data), scale_alone=a.r2, shape_alone=b.r2, reason="scale and shape are one and the same")
    ra, rb = (float(stats.pearsonr(data[:, 0], data[:, i]).statistic) for i in (1, 2))
    both = min(1.0, (ra * ra + rb * rb - 2 * r * ra * rb) / (1 - r * r))
    mine = (a.r2 + both - b.r2) / 2
    return Shares(len(data), both, mine, both - mine, a.r2, b.r2)
