"""The spectrum of a product from its factors is the product's."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.kernels.lowrank import product_spectrum
from zoospectra.analysis.layer import analyse_layer
from zoospectra.analysis.profile import Profile
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


def test_a_layer_of_low_rank_keeps_its_shape_and_has_a_status_instead_of_a_fit_from_its_rank() -> None:
    """Four eigenvalues are no tail, whatever M is; eight are as many as the default profile asks for."""
    rng = np.random.default_rng(0)
    for r, outcome in ((4, "filtered"), (8, "fit")):
        update = product_spectrum(rng.normal(size=(128, r)), rng.normal(size=(r, 256)))
        profile = Profile.from_mapping({"name": "p", "min_evals": 8, "methods": ["norms", "marchenko_pastur"]})
        row = analyse_layer(update, "lora", profile).layer
        assert (row["N"], row["M"], row["num_evals"], row["outcome"]) == (256, 128, r, outcome)
        assert (row["alpha"] is None) == (outcome == "filtered")
        assert row["log_norm"] == pytest.approx(np.log10(update.evals.sum()), abs=0.31)
        assert (row["rank_loss"], row["sv_min"], row["num_spikes"]) == (128 - r, 0.0, None)
