"""Leave-one-out: how far a single model carries a line, and whether leaving it out turns the slope around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.regression import CONSTANT, scaled
from zoospectra.analysis.statistics.sample import degenerate, sample, without_rounding


@dataclass(frozen=True, slots=True)
class Influence:
    """Slopes of y on x without each point in turn."""

    n: int
    """Points."""
    slope: float | None = None
    """With all points."""
    low: float | None = None
    """Smallest slope without one point."""
    high: float | None = None
    """Largest."""
    most: int | None = None
    """Position, in the input, of the point whose absence moves the slope most."""
    turns: bool | None = None
    """Whether leaving out one point changes the sign of the slope."""
    reason: str | None = None
    """Why numbers are missing."""


def influence(x: Sequence[float | None], y: Sequence[float | None]) -> Influence:
    """Leave-one-out slopes in closed form; points without which x is constant have none and do not count.

    Equivalent to `statsmodels.OLS(...).fit().get_influence().dfbeta` (slope minus these).
    """
    found = sample(x, y)
    if why := degenerate(found, 3):
        return Influence(found.n, reason=why)
    dx, dy = found.x - found.x.mean(), found.y - found.y.mean()
    (dx, unit_x), (dy, unit_y) = scaled(dx), scaled(dy)
    # Removing point i takes n/(n-1) of its own product off the centred sums.
    share = found.n / (found.n - 1)
    sxx = dx @ dx - share * dx**2
    whole = float(without_rounding(dx @ dy, dx * dy))
    sxy = without_rounding(dx @ dy - share * dx * dy, dx * dy)
    usable = sxx > CONSTANT * (dx @ dx)
    scale = unit_y / unit_x
    slope = scale * float(whole / (dx @ dx))
    others = scale * sxy[usable] / sxx[usable]
    most = int(found.kept[usable][np.argmax(np.abs(others - slope))])
    low, high = float(others.min()), float(others.max())
    return Influence(found.n, slope, low, high, most, bool(low * slope < 0 or high * slope < 0))
