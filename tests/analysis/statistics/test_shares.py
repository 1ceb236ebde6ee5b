"""Scale against shape: known splits, and the joint share by statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.statistics.shares import scale_and_shape


def test_scale_and_shape() -> None:
    rng = np.random.default_rng(5)
    scale, shape = rng.normal(size=50), rng.normal(size=50)
    found = scale_and_shape((3 * scale + shape).tolist(), scale.tolist(), shape.tolist())
    assert found.r2 == pytest.approx(1.0)
    assert found.scale + found.shape == pytest.approx(found.r2)
    assert found.scale > 0.8
    only = scale_and_shape(scale.tolist(), scale.tolist(), shape.tolist())
    assert (only.scale_alone, only.r2) == (pytest.approx(1.0), pytest.approx(1.0))
    assert scale_and_shape([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]).reason == "2 models, at least 4 are needed"
    assert "one and the same" in scale_and_shape(scale.tolist(), shape.tolist(), shape.tolist()).reason


@pytest.mark.oracle
def test_the_joint_share_is_that_of_a_multiple_regression() -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(6)
    scale = rng.normal(size=30)
    shape = 0.7 * scale + rng.normal(size=30)
    target = scale - 2 * shape + rng.normal(size=30)
    found = scale_and_shape(target.tolist(), scale.tolist(), shape.tolist())
    fit = sm.OLS(target, sm.add_constant(np.column_stack([scale, shape]))).fit()
    assert found.r2 == pytest.approx(fit.rsquared, abs=1e-10)


def explained(target: np.ndarray, *sides: np.ndarray) -> float:
    """R2 of least squares on a constant and the sides."""
    design = np.column_stack([np.ones(len(target)), *sides])
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(1 - rest @ rest / ((target - target.mean()) @ (target - target.mean())))


@pytest.mark.parametrize("seed", range(8))
def test_every_field_by_least_squares(seed: int) -> None:
    """The gain of each, first and second, averaged; rows without a value are left out."""
    rng = np.random.default_rng(seed)
    scale, shape, noise = rng.normal(size=(3, 4 + 3 * seed))
    shape = shape + seed / 4 * scale
    target = (seed % 3) * scale - shape + noise
    a, b, both = explained(target, scale), explained(target, shape), explained(target, scale, shape)
    sides = [[*side.tolist(), 1.0, 2.0, 3.0] for side in (target, scale, shape)]
    for i, side in enumerate(sides):
        side[len(scale) + i] = None
    found = scale_and_shape(*sides)
    numbers = [both, (a + both - b) / 2, (b + both - a) / 2, a, b]
    assert (found.n, found.reason) == (len(scale), None)
    assert [found.r2, found.scale, found.shape, found.scale_alone, found.shape_alone] == pytest.approx(numbers)


def test_a_side_that_does_not_vary() -> None:
    y, x, flat = [1.0, 3.0, 2.0, 5.0], [1.0, 2.0, 3.0, 5.0], [2.0] * 4
    assert scale_and_shape(y, flat, x).reason == "scale: x is constant, shape: varies"
    assert scale_and_shape(y, x, flat).reason == "scale: varies, shape: x is constant"
    assert scale_and_shape(flat, x, y).reason == "scale: y is constant, shape: y is constant"
    same = scale_and_shape(y, x, [2 * one for one in x])
    alone = explained(np.array(y), np.array(x))
    assert (same.scale_alone, same.shape_alone, same.r2) == (pytest.approx(alone), pytest.approx(alone), None)
    assert scale_and_shape([], [], []).n == 0
