"""Plain numbers of one tensor, cheap enough to take of every tensor that is read: moments, range, zeros, repeats.

Signs of damage (nothing but zeros, one value, dead rows) and of rounding (few values, many repeats). Not covered:
spectra.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.sketch import ELEMENTS, QUIET, Single, single
from zoospectra.analysis.unfold.shape import AnyArray

DISTINCT = 257
"""Where counting distinct values ends: one more than 8 bits can tell apart."""

RUN, RUNS = 256, 16
"""Neighbours that are looked at for repeats, and how many such runs of a tensor."""

TINY, HUGE = 1e-8, 1e8
"""Between these the fourth power of a value is within float32's range."""


@dataclass(frozen=True, slots=True)
class Reductions:
    """Of the finite values of a tensor, in the units of the weights; None where nothing is finite."""

    mean: float | None
    """Mean."""
    std: float | None
    """Standard deviation, of the population."""
    kurtosis: float | None
    """Fourth central moment / variance^2: 3 for a normal law; None when the variance is 0."""
    min: float | None
    """Smallest value, as float32."""
    max: float | None
    """Largest value, as float32."""
    zeros: float
    """Share of elements that are 0."""
    repeats: float
    """Share of elements that repeat another of their run: at most 16 runs of 256 neighbours, evenly spaced."""
    non_finite: float
    """Share of elements that are NaN or infinite."""
    distinct: int
    """Count of distinct finite values; 257 stands for 257 or more."""
    dead_rows: int
    """Rows (first axis) that are all 0."""
    dead_columns: int
    """Columns (second axis) that are all 0; 0 for a vector."""


@QUIET
def reductions(array: AnyArray) -> Reductions:
    """The reductions of a real tensor of any shape and dtype, computed from its float32 values.

    Equivalent to numpy's mean, std, min, max and scipy.stats.kurtosis(fisher=False) on the finite values.
    """
    if np.iscomplexobj(array):
        array = np.stack((array.real, array.imag), axis=-1)
    flat = np.ravel(array)
    shift, count, zeros = 0.0, 0, 0
    sums = np.zeros(4)
    buffers = np.empty((2, min(flat.size, ELEMENTS)), dtype=np.float32)
    low, high = np.inf, -np.inf
    for start in range(0, flat.size, ELEMENTS):
        block: Single = single(flat[start : start + ELEMENTS])
        top, bottom = float(block.max()), float(block.min())
        if not (math.isfinite(top) and math.isfinite(bottom)):  # a NaN is the maximum
            block = block[np.isfinite(block)]
            if not block.size:
                continue
            top, bottom = float(block.max()), float(block.min())
        if not count:
            shift = float(np.float32(block.sum(dtype=np.float64) / block.size))
        if TINY < max(top, -bottom) < HUGE:
            sums += _powers(block, shift, buffers[:, : block.size])
        else:
            sums += _powers(block.astype(np.float64), shift, np.empty((2, block.size)))
        low, high = min(low, bottom), max(high, top)
        count += block.size
        if bottom <= 0.0 <= top:
            zeros += int(np.count_nonzero(block == 0))
    dead_rows, dead_columns = _dead(array) if zeros else (0, 0)
    mean, std, kurtosis = _moments(sums / count) if count else (None, None, None)
    return Reductions(
        mean=None if mean is None else mean + shift,
        std=std,
        kurtosis=kurtosis,
        min=low if count else None,
        max=high if count else None,
        zeros=zeros / max(flat.size, 1),
        repeats=_repeats(flat),
        non_finite=1.0 - count / max(flat.size, 1),
        distinct=_distinct(flat),
        dead_rows=dead_rows,
        dead_columns=dead_columns,
    )


def _powers(block: AnyArray, shift: float, buffers: AnyArray) -> AnyArray:
    """Sums of the first four powers of block - shift, of shape (4,), in the block's precision; uses two buffers."""
    moved = np.subtract(block, block.dtype.type(shift), out=buffers[0])
    squares = np.multiply(moved, moved, out=buffers[1])
    return np.array([moved.sum(), moved @ moved, squares @ moved, squares @ squares], dtype=np.float64)


def _moments(raw: AnyArray) -> tuple[float, float, float | None]:
    """Mean, standard deviation and kurtosis from the first four raw moments, of shape (4,)."""
    m1, m2, m3, m4 = (float(value) for value in raw)
    var = max(m2 - m1**2, 0.0)
    fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1**2 * m2 - 3.0 * m1**4
    return m1, var**0.5, fourth / var**2 if var > 0.0 else None


def _dead(array: AnyArray) -> tuple[int, int]:
    """Rows and columns that are all 0, of an array of any shape."""
    if array.ndim < 2:
        return int(np.count_nonzero(array == 0)), 0
    rows, columns = array.any(axis=tuple(range(1, array.ndim))), array.any(axis=(0, *range(2, array.ndim)))
    return int(np.count_nonzero(~rows)), int(np.count_nonzero(~columns))


def _repeats(flat: AnyArray) -> float:
    """Share of elements that repeat another in runs of neighbours: what a grid of few values cannot avoid."""
    if flat.size < 2:
        return 0.0
    taken = single(flat[_runs(flat.size)])
    taken.sort(axis=1)
    equal = (taken[:, 1:] == taken[:, :-1]) & (taken[:, 1:] != 0)
    return int(np.count_nonzero(equal)) / taken.size


@lru_cache(maxsize=64)
def _runs(size: int) -> NDArray[np.intp]:
    """Where the runs of so many elements lie: (runs, elements of a run)."""
    starts = np.linspace(0, max(size - RUN, 0), min(RUNS, max(1, size // RUN))).astype(np.intp)
    return starts[:, None] + np.arange(min(RUN, size))


def _distinct(flat: AnyArray) -> int:
    """Distinct finite values, counted until DISTINCT: a few thousand elements decide it for most tensors."""
    known = _finite_values(flat[:: max(1, flat.size // (2 * DISTINCT))])
    for start in range(0, flat.size, ELEMENTS):
        if len(known) >= DISTINCT:
            return DISTINCT
        known = np.union1d(known, _finite_values(flat[start : start + ELEMENTS]))
    return min(len(known), DISTINCT)


def _finite_values(part: AnyArray) -> Single:
    values = single(part)
    return np.unique(values[np.isfinite(values)])
