"""Where a number does not exist there is None and a reason: constants, too few points, points on a line, misuse."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tests.analysis.statistics.direct import chance, within
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.theil_sen import TheilSen, theil_sen

SAME = [2.0] * 8
RISING = [float(i) for i in range(8)]
GROUPS = [0, 0, 0, 0, 1, 1, 1, 1]
TWO_SIDED = [theil_sen, residual_normality, influence, slope_interval]
GROUPED = [within, mixed, chance]


def numbers(record: object) -> list[object]:
    skipped = {"n", "groups", "reason", "shuffles", "exact"}
    return [getattr(record, one.name) for one in dataclasses.fields(record) if one.name not in skipped]


@pytest.mark.parametrize("statistic", TWO_SIDED)
@pytest.mark.parametrize("size", [0, 1])
def test_too_few(statistic, size) -> None:
    found = statistic(RISING[:size], RISING[:size])
    assert found.n == size
    assert set(numbers(found)) == {None}
    assert "fewer than" in found.reason


@pytest.mark.parametrize("statistic", [*TWO_SIDED, *GROUPED])
def test_a_constant_x(statistic) -> None:
    found = statistic(SAME, RISING, GROUPS) if statistic in GROUPED else statistic(SAME, RISING)
    assert set(numbers(found)) == {None}
    assert "x is constant" in found.reason


@pytest.mark.parametrize("statistic", [residual_normality, influence, slope_interval, mixed, chance])
def test_a_constant_y(statistic) -> None:
    found = statistic(RISING, SAME, GROUPS) if statistic in GROUPED else statistic(RISING, SAME)
    assert set(numbers(found)) == {None}
    assert "y is constant" in found.reason


def test_a_constant_y_has_a_flat_line() -> None:
    assert (theil_sen(RISING, SAME).slope, within(RISING, SAME, GROUPS).slope) == (0.0, 0.0)
    assert theil_sen(RISING, SAME) == TheilSen(8, 0.0, 2.0, 0.0, 0.0)


def test_points_on_a_line() -> None:
    twice = [2 * one for one in RISING]
    assert residual_normality(RISING, twice).reason == "the points lie on a line"
    found = within(RISING, twice, GROUPS)
    assert found.slope == pytest.approx(2.0)
    assert found.p == pytest.approx(0.0, abs=1e-12)
    assert mixed(RISING, twice, GROUPS).slope in (None, pytest.approx(2.0))


def test_groups_of_one_say_nothing() -> None:
    found = within(RISING, RISING, range(8))
    assert (found.slope, found.reason) == (None, "no group has two points")
    assert mixed(RISING, RISING, range(8)).slope is None
    assert chance(RISING, RISING, range(8)).p is None


def test_two_points_have_a_slope_but_no_error() -> None:
    found = within([1, 2], [3, 5], ["a", "a"])
    assert (found.slope, found.slope_se, found.p) == (pytest.approx(2.0), None, None)
    assert found.reason == "no degrees of freedom left for an error"


def test_leaving_one_out_may_turn_the_slope() -> None:
    found = influence([0, 1, 2, 10], [0, -1, -2, 10])
    assert (found.turns, found.most) == (True, 3)
    assert found.low == pytest.approx(-1.0)
    assert influence(RISING, [2 * one + 0.1 * (-1) ** one for one in RISING]).turns is False


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_sizes_do_not_matter(scale) -> None:
    y = [scale * one for one in [0.0, 3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]]
    for statistic in TWO_SIDED:
        assert all(value is None or math.isfinite(value) for value in numbers(statistic(RISING, y)))
    for statistic in GROUPED:
        assert all(value is None or math.isfinite(value) for value in numbers(statistic(RISING, y, GROUPS)))
    assert within(RISING, y, GROUPS).slope == pytest.approx(0.85 * scale, rel=1e-9)  # (5 + 3.5) / (5 + 5)


def test_misuse() -> None:
    with pytest.raises(ValueError, match="same length"):
        within([1.0], [1.0, 2.0], [0])
    with pytest.raises(ValueError, match="finite"):
        theil_sen([1.0, math.inf], [1.0, 2.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.1, 1.2])
    with pytest.raises(ValueError, match="at least 1"):
        chance(RISING, RISING, GROUPS, shuffles=0)


def test_tests_that_were_not_made_do_not_count() -> None:
    assert benjamini_hochberg([None, 0.02, None, 0.03]) == [None, 0.03, None, 0.03]
    assert benjamini_hochberg([]) == []


def test_missing_values_leave_their_pair_out() -> None:
    x, y = [1.0, None, 2.0, 3.0, 5.0, 4.0], [2.0, 1.0, 1.0, None, 4.0, 5.0]
    assert theil_sen(x, y) == theil_sen([1.0, 2.0, 5.0, 4.0], [2.0, 1.0, 4.0, 5.0])
    assert influence(x, y).most in (0, 2, 4, 5)
