"""The band of a line's mean against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.band import band

sm = pytest.importorskip("statsmodels.api")


def test_the_band_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=12) + 100
    y = 3 - 2 * x + rng.normal(size=12)
    places = np.linspace(95, 105, 7)
    expected = sm.OLS(y, sm.add_constant(x)).fit().get_prediction(sm.add_constant(places)).conf_int(alpha=0.1)
    found = band(regression(x.tolist(), y.tolist()), places, level=0.9)
    assert found is not None
    assert np.column_stack(found) == pytest.approx(expected, rel=1e-9)


def test_two_points_have_no_band() -> None:
    assert band(regression([1.0, 2.0], [1.0, 3.0]), np.array([1.5])) is None
