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

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.sketch import (
    ELEMENTS,
    QUIET,
    Margins,
    Projection,
    Single,
    Sketch,
    beside,
    blocks,
    margins,
    real,
    single,
    workspace,
)
from zoospectra.analysis.unfold.shape import AnyArray

DISTINCT = 257
"""Where counting distinct values ends: one more than 8 bits can tell apart."""

RUN, RUNS = 256, 16
"""Neighbours that are looked at for repeats, and how many such runs of a tensor."""

TINY, HUGE = 1e-16, 1e16
"""Between these the square of a square is within float32's range."""

NEAR = 0.1
"""Mean / root mean square below which powers are taken about 0: what cancels is a hundredth of the variance."""


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
    array = real(array)
    flat, sums = np.ravel(array), margins(array)
    moments, scratch = _Moments(flat.size, sums), workspace(flat.size)
    for block in blocks(flat):
        moments.add(block, scratch)
    return _reductions(moments, flat, array)


@QUIET
def sketch_and_reductions(array: AnyArray) -> tuple[Sketch, Reductions]:
    """Both of a tensor of any shape, the same bits, block by block: what is read for one is at hand for the other."""
    array = real(array)
    flat, sums = np.ravel(array), margins(array)
    moments, projection, scratch = _Moments(flat.size, sums), Projection(flat.size), workspace(flat.size)
    for block in blocks(flat):
        moments.add(block, scratch)
        projection.add(block, scratch)
    return beside(projection.result(), sums), _reductions(moments, flat, array)


class _Moments:
    """Powers, range and zeros of the finite values of a vector (n,) that comes block by block."""

    def __init__(self, n: int, sums: Margins | None) -> None:
        self.count, self.zeros = 0, 0
        self.low, self.high = math.inf, -math.inf
        self._mean = None if sums is None or sums.total is None else sums.total / n
        self._shift: float | None = None
        self._powers = np.zeros(4)
        self._within = -math.inf  # blocks whose largest square is below it have no new extremes

    def add(self, block: Single, scratch: Single) -> None:
        """Take the next values; overwrites a `workspace`. Called within QUIET."""
        squares = np.multiply(block, block, out=scratch[: block.size])
        largest = float(np.maximum.reduce(squares))  # a NaN is the maximum
        if not TINY < largest < HUGE:
            self._add_wide(block[np.isfinite(block)].astype(np.float64))
            return
        if largest >= self._within:
            self._extend(block)
        shift = self._about(block)
        moved = block
        if shift:
            moved = block - np.float32(shift)
            np.multiply(moved, moved, out=squares)
        self._add_powers(moved, squares)
        if shift or not np.minimum.reduce(squares) > 0.0:  # a square above 0 is no zero's
            self.zeros += int(np.count_nonzero(block == 0))

    def _add_wide(self, block: FloatArray) -> None:
        """Finite values whose powers may leave float32's range, or nothing but zeros."""
        if block.size:
            self._extend(block)
            moved = block - self._about(block)
            self._add_powers(moved, np.square(moved))
            self.zeros += int(np.count_nonzero(block == 0))

    def _extend(self, block: Single | FloatArray) -> None:
        self.low, self.high = min(self.low, float(block.min())), max(self.high, float(block.max()))
        reach = np.float32(max(0.0, min(-self.low, self.high)))
        self._within = float(reach * reach)  # rounded as squares are

    def _about(self, block: Single | FloatArray) -> float:
        """What powers are taken about: the mean of the first block; 0 where that is as good and cheaper."""
        if self._shift is None:
            if block.dtype == np.float32 and _is_near_zero(block):
                self._shift = 0.0
                return self._shift
            wide = block.astype(np.float64)
            mean, size = float(wide.mean()), math.sqrt(float(np.mean(wide * wide)))
            self._shift = float(np.float32(mean)) if abs(mean) > NEAR * size else 0.0
        return self._shift

    def _add_powers(self, moved: Single | FloatArray, squares: Single | FloatArray) -> None:
        first = 0.0 if self._mean is not None and not self._shift else float(moved.sum())
        self._powers += first, float(moved @ moved), float(squares @ moved), float(squares @ squares)
        self.count += moved.size

    def central(self) -> tuple[float, float, float | None]:
        """Mean, standard deviation and kurtosis of one value or more."""
        shift = self._shift or 0.0
        raw = self._powers / self.count
        if self._mean is not None and not shift:
            raw[0] = self._mean
        mean, std, kurtosis = _central(raw)
        return mean + shift, std, kurtosis


def _is_near_zero(block: Single | FloatArray) -> bool:
    """Whether the mean of a block (n,) is surely less than NEAR of the size, by sums in float32: good to 1e-5 of it."""
    mean, square = float(block.sum()) / block.size, float(block @ block) / block.size
    return abs(mean) < 0.9 * NEAR * math.sqrt(square)


def _reductions(moments: _Moments, flat: AnyArray, array: AnyArray) -> Reductions:
    """All numbers of a real tensor, given what its blocks say."""
    count = moments.count
    dead_rows, dead_columns = _dead(array) if moments.zeros else (0, 0)
    mean, std, kurtosis = moments.central() if count else (None, None, None)
    return Reductions(
        mean=mean,
        std=std,
        kurtosis=kurtosis,
        min=moments.low if count else None,
        max=moments.high if count else None,
        zeros=moments.zeros / max(flat.size, 1),
        repeats=_repeats(flat),
        non_finite=1.0 - count / max(flat.size, 1),
        distinct=_distinct(flat),
        dead_rows=dead_rows,
        dead_columns=dead_columns,
    )


def _central(raw: AnyArray) -> tuple[float, float, float | None]:
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
    equal = taken[:, 1:] == taken[:, :-1]
    if equal.any():
        equal &= taken[:, 1:] != 0
    return int(np.count_nonzero(equal)) / taken.size


@lru_cache(maxsize=64)
def _runs(size: int) -> NDArray[np.intp]:
    """Where the runs of so many elements lie: (runs, elements of a run)."""
    starts = np.linspace(0, max(size - RUN, 0), min(RUNS, max(1, size // RUN))).astype(np.intp)
    return starts[:, None] + np.arange(min(RUN, size))


def _distinct(flat: AnyArray) -> int:
    """Distinct finite values, counted until DISTINCT: a few thousand elements decide it for most tensors."""
    sample = flat[:: max(1, flat.size // (2 * DISTINCT))]
    if _differ(sample):
        return DISTINCT
    known = _finite_values(sample)
    for start in range(0, flat.size, ELEMENTS):
        if len(known) >= DISTINCT:
            return DISTINCT
        known = np.union1d(known, _finite_values(flat[start : start + ELEMENTS]))
    return min(len(known), DISTINCT)


def _differ(part: AnyArray) -> bool:
    """Whether values (n,) are all finite, and DISTINCT or more of them differ."""
    if part.size < DISTINCT:
        return False
    values = np.sort(single(part))
    ends = math.isfinite(values[0]) and math.isfinite(values[-1])  # NaN come last
    return ends and 1 + int(np.count_nonzero(values[1:] != values[:-1])) >= DISTINCT


def _finite_values(part: AnyArray) -> Single:
    values = single(part)
    return np.unique(values[np.isfinite(values)])
