"""Leave one group out: whether the trend inside groups hangs on a single group."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.statistics import robust
from zoospectra.analysis.statistics.sample import Sample
from zoospectra.analysis.statistics.within import centred


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
    unit_x, unit_y = float(np.abs(dx).max()) or 1.0, float(np.abs(dy).max()) or 1.0
    dx, dy = dx / unit_x, dy / unit_y
    sxx, sxy = (np.bincount(found.group, weights=one, minlength=count) for one in (dx * dx, dx * dy))
    rest = sxx.sum() - sxx
    usable = np.flatnonzero(rest > 1e-20 * found.n)
    if len(usable) == 0:
        return LeaveGroup(count)
    slopes = (sxy.sum() - sxy[usable]) / rest[usable] * (unit_y / unit_x)
    low, high = float(slopes.min()), float(slopes.max())
    turned = slopes * np.sign(sxy.sum())
    worst = int(np.argmin(turned))
    if turned[worst] >= 0:
        return LeaveGroup(count, low, high)
    gone = int(usable[worst])
    kept = found.group != gone
    others = robust.of_sample(Sample(found.x[kept], found.y[kept], found.group[kept], found.names, found.kept[kept]))
    p = None if others.p is None else min(1.0, others.p * count)
    return LeaveGroup(count, low, high, found.names[gone], others.slope, p)
