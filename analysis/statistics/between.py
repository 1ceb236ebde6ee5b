"""The trend between groups: a line through group means, tested with the degrees of freedom that groups give, G - 2.

Models of one group share what made the group; for a trend from group to group they are one observation. Twelve models
of each of 3 groups leave 1 degree of freedom, not 34.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.sample import Sample


@dataclass(frozen=True, slots=True)
class Between:
    """mean of y = intercept + slope * mean of x, over groups."""

    groups: int
    """Groups."""
    slope: float | None = None
    """Unit of y over unit of x."""
    slope_se: float | None = None
    """Its standard error with G - 2 degrees of freedom; None for 2 groups."""
    p: float | None = None
    """Two-sided p-value of slope = 0; None for 2 groups."""
    reason: str | None = None
    """Why numbers are missing."""


def of_sample(found: Sample) -> Between:
    """Line through group means, each group once. Equivalent to `scipy.stats.linregress` of the means."""
    if len(found.names) < 2:
        return Between(len(found.names), reason="fewer than two groups")
    counts = np.bincount(found.group)
    means = [(np.bincount(found.group, weights=side) / counts).tolist() for side in (found.x, found.y)]
    line = regression(means[0], means[1])
    why = line.reason or ("two groups leave no degrees of freedom between groups" if len(found.names) == 2 else None)
    return Between(len(found.names), line.slope, line.slope_se, line.slope_p, why)
