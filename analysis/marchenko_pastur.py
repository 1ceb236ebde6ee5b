"""Marchenko-Pastur law of the eigenvalues of W^T W when W is pure noise, and its fit to the bulk of a spectrum.

Legend: W is N x M, N >= M, with independent entries of variance sigma^2; y = M/N; lam the eigenvalues of W^T W,
ascending; x = lam / (sigma^2 N), whose density for N, M -> infinity is sqrt((b - x)(x - a)) / (2 pi y x) on [a, b],
a, b = (1 -+ sqrt(y))^2 (Marchenko and Pastur 1967). The bulk edges of lam are therefore sigma^2 N (1 -+ sqrt(M/N))^2.

Not covered: complex matrices, entries of unequal variance, entries without a fourth moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tracy_widom import upper_edge

TAIL = 0.01
"""Default chance that pure noise shows one spike or more, over all slices of a layer; see `fit_bulk`."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """Marchenko-Pastur fit of the bulk of one spectrum; all in the units of the eigenvalues given."""

    sigma2: float
    """Variance of the bulk's entries: the noise in W, spikes removed."""
    bulk_min: float
    """Lower bulk edge sigma2 N (1 - sqrt(M/N))^2."""
    bulk_max: float
    """Upper bulk edge sigma2 N (1 + sqrt(M/N))^2."""
    spike_edge: float
    """Eigenvalues above it are spikes: the upper edge plus its finite-size Tracy-Widom width."""
    num_spikes: int
    """Number of eigenvalues above spike_edge."""
    D: float
    """Largest distance between the bulk's empirical distribution and the law, in [0, 1]."""


def edges(y: float) -> tuple[float, float]:
    """Support (a, b) of x = lam / (sigma^2 N) for aspect y = M/N in (0, 1]."""
    root = float(np.sqrt(y))
    return (1.0 - root) ** 2, (1.0 + root) ** 2


def cdf(x: FloatArray, y: float) -> FloatArray:
    """Distribution function of x = lam / (sigma^2 N), any shape, for aspect y = M/N in (0, 1].

    Closed form of the integral of the density, equal to numerical quadrature. Raises ValueError for another y.
    """
    if not 0.0 < y <= 1.0:
        msg = f"aspect y = M/N must lie in (0, 1], got {y!r}: pass the smaller side as M"
        raise ValueError(msg)
    a, b = edges(y)
    x = np.clip(x, a, b)
    positive = np.maximum(x, np.finfo(np.float64).tiny)
    first = (1.0 + y) * np.arcsin(np.clip((2.0 * x - a - b) / (b - a), -1.0, 1.0))
    second = (1.0 - y) * np.arcsin(np.clip((a + b - 2.0 * a * b / positive) / (b - a), -1.0, 1.0))
    value = 0.5 + (np.sqrt((b - x) * (x - a)) + first - second) / (2.0 * np.pi * y)
    return np.asarray(np.clip(value, 0.0, 1.0), dtype=np.float64)


def density(x: FloatArray, y: float) -> FloatArray:
    """Density of x = lam / (sigma^2 N), any shape, for aspect y = M/N in (0, 1]; 0 outside the edges, and at x = 0.

    Raises ValueError for another y.
    """
    if not 0.0 < y <= 1.0:
        msg = f"aspect y = M/N must lie in (0, 1], got {y!r}: pass the smaller side as M"
        raise ValueError(msg)
    a, b = edges(y)
    inside = (x > a) & (x < b)
    safe = np.where(inside, x, 1.0)
    value = np.sqrt(np.clip((b - safe) * (safe - a), 0.0, None)) / (2.0 * np.pi * y * safe)
    return np.asarray(np.where(inside, value, 0.0), dtype=np.float64)


@lru_cache(maxsize=4096)
def median(y: float) -> float:
    """Median of x for aspect y = M/N; the scale of Gavish and Donoho (2014, IEEE Trans. Inf. Theory 60:5040)."""
    a, b = edges(y)
    return float(brentq(lambda x: float(cdf(np.asarray(x), y)) - 0.5, a, b, xtol=1e-14))


def sigma2_of_entries(evals: FloatArray, N: int) -> float:
    """Mean square entry of the matrices whose eigenvalues (K,) these are: sum lam / (N K), in units of evals."""
    return float(np.mean(evals)) / N


def fit_bulk(evals: FloatArray, N: int, M: int, slices: int = 1, tail: float = TAIL) -> Bulk | None:
    """Fit the noise level of a spectrum and count the eigenvalues that noise does not explain.

    evals (K,) ascending, K >= 2: eigenvalues of `slices` matrices N x M, pooled. The noise level starts at the median
    (half of the spectrum may be signal), then becomes the mean square of what is left when the spikes are taken away: k
    spikes take k rows and columns with them, so sigma2 = sum(bulk) / ((N - k/S) (K - k)). The number of spikes is
    iterated to a fixed point, and a spike that is no outlier when it is put back is put back: without that step a
    false spike shrinks sigma2 and confirms itself (2.5 % false alarms for a nominal 1 % at 40 x 20; with it 0.7 %).

    `tail` is the chance that pure noise of this shape shows a spike anywhere in the layer: each slice gets tail / S.
    Returns None when there is no spectrum to fit: fewer than two eigenvalues, or a noise level of zero (rank collapse:
    a median of zero, and no eigenvalue above it that noise explains when it is put back).
    """
    K = evals.size
    top = float(evals[-1]) if K else 0.0
    if K < 2 or not top > 0.0:
        return None
    lam = evals / top
    y = M / N
    edge = upper_edge(N, M, tail / slices)
    total = np.concatenate([[0.0], np.cumsum(lam)])

    def variance(k: int) -> float:
        return float(total[K - k]) / ((N - k / slices) * (K - k))

    def beyond(sigma2: float) -> int:
        return min(K - int(np.searchsorted(lam, sigma2 * edge, side="right")), K - 1)

    k = beyond(float(np.median(lam)) / (N * median(y)))
    for _ in range(K):
        again = beyond(variance(k))
        if again <= k:  # the count only grows while spikes are found; a smaller one is left to the step below
            break
        k = again
    while k > 0 and lam[K - k] <= variance(k - 1) * edge:
        k -= 1
    sigma2 = variance(k)
    if not sigma2 > np.finfo(np.float64).eps ** 2:
        return None
    low, high = edges(y)
    return Bulk(
        sigma2=sigma2 * top,
        bulk_min=sigma2 * N * low * top,
        bulk_max=sigma2 * N * high * top,
        spike_edge=sigma2 * edge * top,
        num_spikes=k,
        D=_distance(lam[: K - k], sigma2, N - k / slices, M - k / slices),
    )


def _distance(bulk: FloatArray, sigma2: float, rows: float, columns: float) -> float:
    """Kolmogorov-Smirnov distance of bulk eigenvalues from the law of a (rows, columns) noise matrix."""
    n = bulk.size
    law = cdf(bulk / (sigma2 * rows), min(columns / rows, 1.0))
    rank = np.arange(n + 1) / n
    return float(max(np.max(rank[1:] - law), np.max(law - rank[:-1])))
