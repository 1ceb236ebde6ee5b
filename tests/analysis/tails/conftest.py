"""Tails of known origin, real tails, and the reference package's fits of them."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch

UNIT = 3.7e-3
"""Synthetic tails start here rather than at 1, so that a forgotten unit shows."""


def synthetic():
    """Name -> ascending tail above UNIT, of a law stated in the name."""
    rng = np.random.default_rng(20_260_101)
    normal = np.exp(rng.normal(0.0, 1.0, 1500))
    heavy = (1.0 - rng.random(2500)) ** -1.0
    weibull = rng.weibull(0.5, 1200)
    tails = {
        "pareto alpha 3": (1.0 - rng.random(300)) ** (-1 / 2.0),
        "pareto alpha 1.5": (1.0 - rng.random(300)) ** (-1 / 0.5),
        "pareto alpha 6": (1.0 - rng.random(40)) ** (-1 / 5.0),
        "exponential": 1.0 + rng.exponential(1.0, 300),
        "lognormal": normal[normal > 1.0],
        "truncated alpha 2 Lambda 0.05": heavy[rng.random(2500) < np.exp(-0.05 * (heavy - 1.0))],
        "weibull beta 0.5": weibull[weibull > 1.0],
        "uniform": 1.0 + rng.random(300),
    }
    return {name: np.sort(x) * UNIT for name, x in tails.items()}


@pytest.fixture(scope="session")
def tails():
    return synthetic()


@pytest.fixture(scope="session")
def real_spectra(shared):
    """Spectra of every third trained convolution layer of a ResNet-20, pooled over their slices."""
    path = shared / "zoo" / "cifar10-resnet" / "resnet20-12fca82f.th"
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    spectra = {}
    for name, weight in state.items():
        if weight.ndim == 4 and min(weight.shape[:2]) >= 16:
            slices = weight.double().numpy().transpose(2, 3, 0, 1).reshape(-1, *weight.shape[:2])
            spectra[name] = np.sort(np.linalg.svd(slices, compute_uv=False).ravel() ** 2)
    return dict(list(spectra.items())[::3])


@pytest.fixture(scope="session")
def real_tails(real_spectra):
    """Their upper thirds."""
    return {name: evals[len(evals) * 2 // 3 :] for name, evals in real_spectra.items()}


@pytest.fixture(scope="session")
def reference():
    """A function (x, xmin) -> powerlaw 1.5's Fit with its chatter silenced; fits of a tail are made once."""
    powerlaw = pytest.importorskip("powerlaw")
    cache = {}

    def fit(x, xmin):
        key = (x.tobytes(), xmin)
        if key not in cache:
            with silent():
                cache[key] = powerlaw.Fit(x, xmin=xmin, verbose=False)
        return cache[key]

    return fit


@contextlib.contextmanager
def silent():
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session", name="silent")
def silent_fixture():
    return silent
