"""Leave one group out: whether the trend inside groups hangs on a single group."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.regression import scaled
from zoospectra.analysis.statistics import robust
from zoospectra.analysis.statistics.sample import Sample, without_rounding
from zoospectra.analysis.statistics.within import centred, varying


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """The slope inside groups without each group in turn."""

    groups: int
    """Groups."""
    low: float | None = None
    """Smallest slope without one group."""
    high: float | None = None
    """Largest."""
    turned_by: Hashable | None = None
    """The group without which the slope turns around, of several the one that turns it furthest; else None."""
    slope: float | None = None
    """The slope without that group."""
    p: float | None = None
    """Its two-sided HC3 p-value times the number of groups, at most 1: any of them could have been the one."""


def of_sample(found: Sample) -> LeaveGroup:
    """Fixed-effects slopes without each group; groups without which x is constant inside groups do not count."""
    count = len(found.names)
    if count < 2:
        return LeaveGroup(count)
    dx, dy = centred(found.x, found.group), centred(found.y, found.group)
    sloped = varying(found.x, dx, found.group)
    usable = np.flatnonzero(sloped.sum() > sloped)  # another group has a slope
    if len(usable) == 0:
        return LeaveGroup(count)
    (dx, unit_x), (dy, unit_y) = scaled(dx), scaled(dy)
    sxx, sxy = (np.bincount(found.group, weights=one, minlength=count) for one in (dx * dx, dx * dy))
    rest = without_rounding(sxy.sum() - sxy[usable], dx * dy)
    slopes = rest / (sxx.sum() - sxx[usable]) * (unit_y / unit_x)
    low, high = float(slopes.min()), float(slopes.max())
    turned = slopes * np.sign(without_rounding(sxy.sum(), dx * dy))
    worst = int(np.argmin(turned))
    if turned[worst] >= 0:
        return LeaveGroup(count, low, high)
    gone = int(usable[worst])
    kept = found.group != gone
    others = robust.of_sample(Sample(found.x[kept], found.y[kept], found.group[kept], found.names, found.kept[kept]))
    p = None if others.p is None else min(1.0, others.p * count)
    return LeaveGroup(count, low, high, found.names[gone], others.slope, p)
