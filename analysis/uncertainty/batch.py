"""The search for xmin on many samples at once: what makes a bootstrap that repeats it affordable.

Same rule as the power-law fit of one spectrum: candidate i has alpha = 1 + n / sum ln(x_j / x_i) over its n = K - i
values and D = max_k |1 - (x_{i+k} / x_i)^(1 - alpha) - k / n|; the first smallest D wins. Exact, not thinned: the
maximum over a few sampled k bounds D from below, and only candidates whose bound does not exceed the best D found
are evaluated fully. One difference, which matters only for resampled data: of tied values only the first is a
candidate (Clauset's "unique xmins"). Not covered: an upper cut-off, the small-sample rule of the weightwatcher
profile for fewer than 20 values.

Why there are two searches: analysis.search goes through one sample smallest bound first, this one through many samples
in step. Measured on one core, this one takes 3 times as long as that for a single sample of K = 144, 2 to 3 at 768,
1.5 at 4096; that one in a loop takes 2.3 to 2.9, 1.6 to 2.1, 0.9 to 1.4 times as long as this for 200 samples.

Legend: R samples (rows) of K values, stored as logs; a candidate is (row, i); m sampled positions a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.records import FloatArray, IntArray
from zoospectra.analysis.rounding import FLAT
from zoospectra.analysis.search import SLACK

CELLS = 1 << 16
"""Values handled at once (512 KiB of float64): temporaries stay in a core's cache. Measured best of 2^14..2^20."""
COARSE = 8
"""Positions at which every candidate is looked at; leaves some 5 % of them."""
FINER = (32, 128, 512, 2048)
"""Positions at which the remaining ones are looked at, in turn; the later ones matter for long, good tails."""
FEW = 4
"""Candidates a row that are no longer worth thinning."""


@dataclass(frozen=True, slots=True)
class BatchFit:
    """One fit a row; rows without any tail to fit have has_tail = False, D = 1 and alpha = 1."""

    index: IntArray
    """(R,): position of xmin in the row."""
    alpha: FloatArray
    """(R,): exponent."""
    D: FloatArray
    """(R,): Kolmogorov-Smirnov distance of the tail."""
    has_tail: NDArray[np.bool_]
    """(R,): whether the row had a tail to fit."""


def search(logs: FloatArray, min_tail: int = 2) -> BatchFit:
    """Fit every row of logs (R, K), each ascending, K >= 2, by tails of at least min_tail values.

    Raises ValueError for other shapes and for min_tail < 2.
    """
    if min_tail < 2:
        raise ValueError(f"min_tail: expected at least 2, got {min_tail}; one value has no spread")
    if logs.ndim != 2 or logs.shape[1] < 2:
        raise ValueError(f"logs: expected (samples, values >= 2), got shape {logs.shape}; pass one sorted row a sample")
    step = max(1, CELLS // logs.shape[1])
    parts = [_search(np.ascontiguousarray(logs[i : i + step]), min_tail) for i in range(0, len(logs), step)]
    return BatchFit(*(np.concatenate([getattr(part, name) for part in parts]) for name in BatchFit.__slots__))


def slopes(logs: FloatArray, min_tail: int = 2) -> FloatArray:
    """Slope alpha_i - 1 of every tail, (R, K - 1).

    0 where there is no candidate: no spread, fewer than min_tail values, or a start inside a run of ties.
    """
    K = logs.shape[1]
    n = np.arange(K, 1, -1, dtype=np.float64)
    # S_i = sum over j >= i of ln x_j, minus n_i ln x_i; a start needs a spread and is the first of its ties.
    spread = np.cumsum(logs[:, ::-1], axis=1)[:, :0:-1]
    spread -= n * logs[:, :-1]
    usable = logs[:, -1:] - logs[:, :-1] > FLAT
    usable[:, 1:] &= logs[:, 1:-1] - logs[:, :-2] > FLAT
    usable[:, max(K - min_tail + 1, 0) :] = False
    slope = np.zeros_like(spread)
    np.divide(n, spread, out=slope, where=usable)
    return slope


def distances(logs: FloatArray, slope: FloatArray, row: IntArray, first: IntArray) -> FloatArray:
    """Exact D of the candidates (row, first), (C,) with C >= 1, each over its whole tail."""
    # Cut the list wherever the tails laid end to end fill another block: temporaries stay in a core's cache.
    cost = np.cumsum(logs.shape[1] - first) // (2 * CELLS)
    edges = np.r_[0, np.flatnonzero(np.diff(cost)) + 1, len(row)]
    return np.concatenate([_distances(logs, slope, row[a:b], first[a:b]) for a, b in pairwise(edges)])


def lower_bounds(logs: FloatArray, slope: FloatArray, row: IntArray, first: IntArray, m: int) -> FloatArray:
    """Lower bound of D of the candidates (row, first), (C,), from m positions each."""
    K = logs.shape[1]
    flat = logs.reshape(-1)
    bound = np.empty(len(row))
    fractions = ((np.arange(m) + 0.5) / m)[:, None]
    step = max(1, CELLS // m)
    for i in range(0, len(row), step):
        r, f = row[i : i + step], first[i : i + step]
        size, origin = K - f, r * K + f
        k = (fractions * size).astype(np.int64)
        gap = flat[origin + k]
        gap -= flat[origin]
        gap *= -slope[r, f]
        np.exp(gap, out=gap)
        gap += k / size
        gap -= 1.0
        bound[i : i + step] = np.abs(gap, out=gap).max(axis=0)
    return bound


def _search(logs: FloatArray, min_tail: int) -> BatchFit:
    """As `search`, for one block of rows.

    `best` is the smallest exact distance of each row so far: the candidate with the least bound is evaluated, and every
    candidate whose bound is above `best` is dropped; again with finer bounds, until evaluating the rest is cheaper.
    """
    R, K = logs.shape
    slope = slopes(logs, min_tail)
    bound = _coarse(logs, slope)
    best = distances(logs, slope, np.arange(R), bound.argmin(axis=1))
    row, first = np.nonzero((bound <= best[:, None] + SLACK) & (slope > 0.0))
    for m in FINER:
        if m >= K or len(row) <= FEW * R:
            break
        lower = lower_bounds(logs, slope, row, first, m)
        lead = _leaders(row, lower)
        best[row[lead]] = np.minimum(best[row[lead]], distances(logs, slope, row[lead], first[lead]))
        keep = lower <= best[row] + SLACK
        row, first = row[keep], first[keep]
    has_tail = np.zeros(R, dtype=np.bool_)
    has_tail[row] = True
    index, alpha, D = np.zeros(R, dtype=np.int64), np.ones(R), np.ones(R)
    if len(row):
        value = distances(logs, slope, row, first)
        lead = _leaders(row, value)
        r, f = row[lead], first[lead]
        index[r], alpha[r], D[r] = f, 1.0 + slope[r, f], value[lead]
    return BatchFit(index, alpha, D, has_tail)


def _leaders(row: IntArray, value: FloatArray) -> IntArray:
    """Position of the first smallest value of every run of equal row numbers; row is ascending and not empty."""
    edge = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    least = np.minimum.reduceat(value, edge)
    hit = np.flatnonzero(value == np.repeat(least, np.diff(np.r_[edge, len(row)])))
    return hit[np.unique(row[hit], return_index=True)[1]]


def _coarse(logs: FloatArray, slope: FloatArray) -> FloatArray:
    """Lower bound of D of every candidate, (R, K - 1), from `COARSE` positions; 2 where there is no candidate."""
    K = logs.shape[1]
    first = np.arange(K - 1)
    size = K - first
    bound = np.zeros_like(slope)
    gap = np.empty_like(slope)
    for position in range(COARSE):
        k = ((position + 0.5) / COARSE * size).astype(np.int64)
        np.take(logs, first + k, axis=1, out=gap)
        gap -= logs[:, :-1]
        gap *= slope
        np.exp(np.negative(gap, out=gap), out=gap)
        gap += k / size - 1.0
        np.maximum(bound, np.abs(gap, out=gap), out=bound)
    bound[slope <= 0.0] = 2.0
    return bound


def _distances(logs: FloatArray, slope: FloatArray, row: IntArray, first: IntArray) -> FloatArray:
    """As `distances`, all tails laid end to end at once."""
    K = logs.shape[1]
    size = K - first
    start = np.cumsum(size) - size
    k = np.arange(int(size.sum())) - np.repeat(start, size)
    flat = logs.reshape(-1)
    origin = row * K + first
    gap: FloatArray = flat[k + np.repeat(origin, size)]
    gap -= np.repeat(flat[origin], size)
    gap *= np.repeat(-slope[row, first], size)
    np.exp(gap, out=gap)
    gap += k / np.repeat(size, size)
    gap -= 1.0
    return np.maximum.reduceat(np.abs(gap, out=gap), start)
