"""Fixtures of the random-matrix tests: spectra made straight from matrices, without the rooms under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.records import Esd, Fit, Spectrum, Status
from zoospectra.analysis.rounding import resolved
from zoospectra.analysis.unfold.shuffled import shuffle


def _evals(matrices: np.ndarray) -> np.ndarray:
    """(S, M) ascending squared singular values of matrices (S, N, M)."""
    evals = np.sort(np.linalg.svd(matrices, compute_uv=False) ** 2, axis=1)
    return resolved(Spectrum(evals, *matrices.shape[1:], "svd", "cpu"))


def _esd(matrices: np.ndarray, replicas: int = 0, seed: int = 1, by_slice: bool = False) -> Esd:
    """Esd of matrices (S, N, M) or one matrix (N, M), N >= M, with shuffled copies."""
    matrices = matrices if matrices.ndim == 3 else matrices[None]
    slices = _evals(matrices)
    copies = [_evals(shuffle(matrices, seed, replica)) for replica in range(replicas)]
    evals = np.sort(slices, axis=None)
    return Esd(
        evals=evals,
        fitted=evals[evals > 0],
        slices=slices,
        N=matrices.shape[1],
        M=matrices.shape[2],
        rf=len(matrices),
        shuffled=tuple(copy if by_slice else np.sort(copy, axis=None) for copy in copies),
        seed=seed,
    )


def _fit(evals: np.ndarray) -> Fit:
    """Power-law fit of the positive eigenvalues, scaled to their largest; xmin a hair low, so that it counts itself."""
    x = evals[evals > 1e-12 * evals[-1]] if evals[-1] > 0 else evals[:0]
    if x.size < 2:
        return Fit(Status.TOO_FEW)
    fit = fit_powerlaw(x / x[-1])
    return fit if fit.xmin is None else replace(fit, xmin=fit.xmin * x[-1] * (1 - 1e-12), xmax=x[-1])


@pytest.fixture(scope="session")
def esd_of() -> Callable[..., Esd]:
    return _esd


@pytest.fixture(scope="session")
def fit_of() -> Callable[[np.ndarray], Fit]:
    return _fit
