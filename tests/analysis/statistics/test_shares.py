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
