"""Statistics of points with groups, from plain sequences."""

from __future__ import annotations

from zoospectra.analysis.statistics import between as between_
from zoospectra.analysis.statistics import interaction as interaction_
from zoospectra.analysis.statistics import leave_group as leave_group_
from zoospectra.analysis.statistics import permutation
from zoospectra.analysis.statistics import within as within_
from zoospectra.analysis.statistics.sample import sample


def within(x, y, groups):
    return within_.of_sample(sample(x, y, groups))


def between(x, y, groups):
    return between_.of_sample(sample(x, y, groups))


def interaction(x, y, groups):
    return interaction_.of_sample(sample(x, y, groups))


def leave_group(x, y, groups):
    return leave_group_.of_sample(sample(x, y, groups))


def chance(x, y, groups, *, shuffles=9999, seed=0):
    return permutation.of_sample(sample(x, y, groups), shuffles, seed)
