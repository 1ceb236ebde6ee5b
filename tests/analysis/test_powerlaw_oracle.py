"""Oracle: the powerlaw package below 2.0 with xmax = max(x), which WeightWatcher 0.2.7 called; tolerance 1e-9,
rounding.
"""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest

from zoospectra.analysis.powerlaw import fit_powerlaw

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("K", [25, 60, 120, 250])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_natcomm2021_is_powerlaw_cut_at_the_largest_value(K, seed) -> None:
    powerlaw = pytest.importorskip("powerlaw", "1.5")
    W = np.random.default_rng(seed).standard_t(3, size=(2 * K, K))
    x = np.linalg.eigvalsh(W.T @ W)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        expected = powerlaw.Fit(x, xmax=x[-1], verbose=False)
    found = fit_powerlaw(x, "natcomm2021")
    assert found.xmin == pytest.approx(expected.xmin, rel=1e-12)
    assert found.alpha == pytest.approx(expected.alpha, rel=1e-9)
    assert pytest.approx(expected.D, rel=1e-9) == found.D
