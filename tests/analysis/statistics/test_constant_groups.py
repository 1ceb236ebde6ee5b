"""Groups inside which x or y does not vary, all of them or some: the rest decides, as if they were not there."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.statistics import interaction, leave_group, permutation, robust, within
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.sample import sample

RNG = np.random.default_rng(0)
GROUP = np.repeat(np.arange(4), 6)
X, Y = RNG.normal(size=(2, 24))
Y = Y + X * GROUP


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_groups_without_x_do_not_count(unit: float) -> None:
    x, y = np.where(GROUP == 3, 7.0, X) * unit, Y / unit
    some = sample(x.tolist(), y.tolist(), GROUP.tolist())
    kept = GROUP < 3
    rest = sample(x[kept].tolist(), y[kept].tolist(), GROUP[kept].tolist())
    a, b = interaction.of_sample(some), interaction.of_sample(rest)
    assert (a.n, a.groups, a.f, a.p) == (18, 3, pytest.approx(b.f), pytest.approx(b.p))
    assert within.of_sample(some).slope == pytest.approx(within.of_sample(rest).slope)
    assert robust.of_sample(some).slope == pytest.approx(robust.of_sample(rest).slope)
    out, other = leave_group.of_sample(some), leave_group.of_sample(rest)
    common = within.of_sample(rest).slope
    assert out.low == pytest.approx(min(other.low, common))
    assert out.high == pytest.approx(max(other.high, common))


def test_nothing_varies_inside_groups() -> None:
    flat = GROUP.astype(float).tolist()
    no_x, no_y = sample(flat, Y.tolist(), GROUP.tolist()), sample(X.tolist(), flat, GROUP.tolist())
    nothing = interaction.of_sample(sample([], [], []))
    assert (nothing.n, nothing.groups, nothing.reason) == (0, 0, "no points")
    assert interaction.of_sample(no_x).reason == "fewer than two groups have a slope"
    assert interaction.of_sample(no_y).reason == "every group lies on its own line"
    assert leave_group.of_sample(no_x).low is None
    assert (leave_group.of_sample(no_y).low, leave_group.of_sample(no_y).high) == (0.0, 0.0)
    assert robust.of_sample(no_x).reason == "x is constant inside every group"
    assert robust.of_sample(no_y).slope == 0.0
    assert robust.of_sample(no_y).p == 1.0
    assert permutation.of_sample(no_x, 99, 0).p is None
    assert permutation.of_sample(no_y, 99, 0).reason == "y is constant inside every group"


@pytest.mark.parametrize(("sizes", "reason"), [
    ((2, 1), "fewer than two groups have a slope"), ((2, 2), "no degrees of freedom left for an error"), ((2, 3), None),
])  # fmt: skip
def test_two_slopes_need_five_points(sizes: tuple[int, int], reason: str | None) -> None:
    group = np.repeat([0, 1], sizes).tolist()
    found = interaction.of_sample(sample(X[: len(group)].tolist(), Y[: len(group)].tolist(), group))
    assert (found.reason, found.f is None) == (reason, reason is not None)


def test_an_interval_of_two_points_is_refused_and_of_three_is_not() -> None:
    assert slope_interval([1.0, 2.0], [1.0, 3.0]).reason == "fewer than 3 points"
    found = slope_interval([1.0, 2.0, 4.0], [1.0, 3.0, 2.0], count=200)
    assert found.low <= found.slope <= found.high
