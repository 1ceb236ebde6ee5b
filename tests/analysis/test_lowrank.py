"""The spectrum of a product from its factors is the product's."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.kernels.lowrank import product_spectrum
from zoospectra.analysis.spectrum import spectrum


@pytest.mark.parametrize(("a", "r", "b"), [(40, 4, 30), (30, 4, 40), (7, 7, 7), (50, 1, 3), (5, 2, 2)])
def test_as_the_product(a, r, b) -> None:
    rng = np.random.default_rng(a * r * b)
    up, down = rng.normal(size=(a, r)) * 1e-3, rng.normal(size=(r, b)).astype(np.float32)
    W = up @ down
    whole = spectrum((W if a >= b else W.T)[None])
    found = product_spectrum(up, down)
    assert (found.N, found.M, found.evals.shape) == (whole.N, whole.M, (1, r))
    top = whole.evals[0, -1]
    np.testing.assert_allclose(found.evals, whole.evals[:, -r:], rtol=1e-12, atol=1e-14 * top)
    assert np.count_nonzero(found.evals) == min(r, a, b)


def test_factors_that_are_not_thin_are_misuse() -> None:
    with pytest.raises(ValueError, match="thin factors"):
        product_spectrum(np.ones((3, 4)), np.ones((4, 9)))
