"""Whole records of every statistic against the textbook formulas in exact fractions, over small hostile populations."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.statistics import exact
from tests.analysis.statistics.direct import between, chance, interaction, leave_group, within
from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.statistics.theil_sen import theil_sen

SEEDS = range(160)


FORMULAS = [
    (regression, exact.line),
    (theil_sen, exact.median_of_slopes),
    (influence, exact.one_point_less),
    (within, exact.inside),
    (robust_slope, exact.robust),
    (between, exact.means),
    (interaction, exact.equal_slopes),
    (leave_group, exact.one_group_less),
]


@pytest.mark.parametrize("case", FORMULAS, ids=lambda case: case[1].__name__)
def test_every_field_of(case) -> None:
    statistic, formula = case
    grouped = statistic in (within, robust_slope, between, interaction, leave_group)
    for seed in SEEDS:
        points = exact.hostile(seed)
        exact.same(statistic(*points.given[: 2 + grouped]), formula(points))


def test_every_order_of_small_groups() -> None:
    looked = 0
    for seed in SEEDS:
        points = exact.hostile(seed)
        orders = np.prod([float(np.prod(range(1, len(points.of(name)) + 1))) for name in points.names])
        if orders <= 150:
            exact.same(chance(*points.given, shuffles=150), exact.every_order(points))
            looked += 1
    assert looked > 50
