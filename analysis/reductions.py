"""Plain numbers of one tensor, cheap enough to take of every tensor that is read: moments, range, zeros, repeats.

Signs of damage (nothing but zeros, one value, dead rows) and of rounding (few values, many repeats). Not covered:
spectra.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
    stacks,
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
    ((_, values, flat),) = stacks([array])
    moments, scratch = _moments(flat, margins(values)), workspace(*flat.shape)
    for block in blocks(flat):
        _add(moments, block, scratch)
    return _reductions(moments, values, flat)[0]


def sketch_and_reductions(array: AnyArray) -> tuple[Sketch, Reductions]:
    """Both of a tensor of any shape."""
    return sketches_and_reductions([array])[0]


@QUIET
def sketches_and_reductions(arrays: Sequence[AnyArray]) -> list[tuple[Sketch, Reductions]]:
    """Both of every tensor, of any shapes; the bits of `sketch` and `reductions`.

    Block by block: what is read for one is at hand for the other. Small tensors of one shape are worked on together.
    """
    made: dict[int, tuple[Sketch, Reductions]] = {}
    for numbers, values, flat in stacks(arrays):
        made.update(zip(numbers, _both(values, flat), strict=True))
    return [made[n] for n in range(len(arrays))]


def _both(values: Single, flat: Single) -> Iterable[tuple[Sketch, Reductions]]:
    """Both of tensors (T, *shape), their elements (T, n) in C order."""
    sums, scratch = margins(values), workspace(*flat.shape)
    moments, projection = _moments(flat, sums), Projection(*flat.shape)
    for block in blocks(flat):
        _add(moments, block, scratch)
        projection.add(block, scratch)
    return zip(beside(projection.result(), sums), _reductions(moments, values, flat), strict=True)


class _Moments:
    """Powers, range and zeros of the finite values of a vector (n,) that comes block by block."""

    def __init__(self, n: int, total: float | None) -> None:
        self.count, self.zeros = 0, 0
        self.low, self.high = math.inf, -math.inf
        self._n, self._mean = n, None if total is None else total / n
        self._shift: float | None = None
        self._powers = [0.0] * 4
        self.within = -math.inf
        """Blocks whose largest square is below it have no new extremes."""

    def add(self, block: Single, squares: Single, smallest: float) -> None:
        """Take the next values, with their squares, the smallest of which is known; overwrites the squares."""
        moved, second = block, 0.0 if self._shift else float(block @ block)
        if self._shift is None:
            self._shift = 0.0 if self._is_near_zero(block, second) else _mean_afar(block)
        if self._shift:
            moved = block - np.float32(self._shift)
            np.multiply(moved, moved, out=squares)
            second = float(moved @ moved)
        self._add_powers(moved, second, squares)
        if not smallest > 0.0:  # a square above 0 is no zero's
            self.zeros += int(np.count_nonzero(block == 0))

    def add_wide(self, block: FloatArray) -> None:
        """Take finite values whose powers may leave float32's range, or nothing but zeros."""
        if block.size:
            self.extend(float(block.min()), float(block.max()))
            if self._shift is None:
                self._shift = _mean_afar(block)
            moved = block - self._shift
            self._add_powers(moved, float(moved @ moved), np.square(moved))
            self.zeros += int(np.count_nonzero(block == 0))

    def extend(self, low: float, high: float) -> None:
        """Take the extremes of a block."""
        self.low, self.high = min(self.low, low), max(self.high, high)
        reach = np.float32(max(0.0, min(-self.low, self.high)))
        self.within = float(reach * reach)  # rounded as squares are

    def _is_near_zero(self, block: Single, second: float) -> bool:
        """Whether the mean of the first block (b,) is surely less than NEAR of the size; float32 sums: good to 1e-5."""
        known = self._mean is not None and block.size == self._n
        mean = self._mean if known and self._mean is not None else float(block.sum()) / block.size
        return abs(mean) < 0.9 * NEAR * math.sqrt(second / block.size)

    def _add_powers(self, moved: Single | FloatArray, second: float, squares: Single | FloatArray) -> None:
        first = 0.0 if self._mean is not None and not self._shift else float(moved.sum())
        powers = first, second, float(squares @ moved), float(squares @ squares)
        self._powers = [before + power for before, power in zip(self._powers, powers, strict=True)]
        self.count += moved.size

    def central(self) -> tuple[float, float, float | None]:
        """Mean, standard deviation and kurtosis of one value or more."""
        shift = self._shift or 0.0
        m1, m2, m3, m4 = (power / self.count for power in self._powers)
        if self._mean is not None and not shift:
            m1 = self._mean
        var = max(m2 - m1**2, 0.0)
        fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1**2 * m2 - 3.0 * m1**4
        return m1 + shift, var**0.5, fourth / var**2 if var > 0.0 else None


def _moments(flat: Single, sums: Margins | None) -> list[_Moments]:
    """Of vectors (T, n) before their first block."""
    return [_Moments(flat.shape[1], total) for total in (sums.totals if sums else [None] * len(flat))]


def _add(moments: Sequence[_Moments], block: Single, scratch: Single) -> None:
    """Take the next values (T, b); overwrites a `workspace`. Called within QUIET."""
    squares = np.multiply(block, block, out=scratch[: block.size].reshape(block.shape))
    largest = np.maximum.reduce(squares, axis=1).tolist()  # a NaN is the maximum
    smallest = np.minimum.reduce(squares, axis=1).tolist()
    if any(square >= each.within for each, square in zip(moments, largest, strict=True)):
        low, high = np.minimum.reduce(block, axis=1).tolist(), np.maximum.reduce(block, axis=1).tolist()
    for t, each in enumerate(moments):
        if not TINY < largest[t] < HUGE:
            each.add_wide(block[t][np.isfinite(block[t])].astype(np.float64))
            continue
        if largest[t] >= each.within:
            each.extend(low[t], high[t])
        each.add(block[t], squares[t], smallest[t])


def _mean_afar(block: Single | FloatArray) -> float:
    """The mean of values (n,) as float32, what powers are taken about; 0 where that is as good and cheaper."""
    wide = block.astype(np.float64)
    mean, size = float(wide.mean()), math.sqrt(float(np.mean(wide * wide)))
    return float(np.float32(mean)) if abs(mean) > NEAR * size else 0.0


def _reductions(moments: Sequence[_Moments], values: Single, flat: Single) -> list[Reductions]:
    """All numbers of tensors (T, *shape), their elements (T, n) in C order, given what their blocks say."""
    runs, n = _sorted_runs(flat), flat.shape[1]
    equal = runs[:, :, 1:] == runs[:, :, :-1]
    repeats, many = _repeats(runs, equal), _many(moments, runs, equal, n)
    made = []
    for t, each in enumerate(moments):
        dead_rows, dead_columns = _dead(values[t]) if each.zeros else (0, 0)
        mean, std, kurtosis = each.central() if each.count else (None, None, None)
        made.append(
            Reductions(
                mean=mean,
                std=std,
                kurtosis=kurtosis,
                min=each.low if each.count else None,
                max=each.high if each.count else None,
                zeros=each.zeros / max(n, 1),
                repeats=repeats[t],
                non_finite=1.0 - each.count / max(n, 1),
                distinct=DISTINCT if many[t] else _distinct(flat[t]),
                dead_rows=dead_rows,
                dead_columns=dead_columns,
            )
        )
    return made


def _dead(array: Single) -> tuple[int, int]:
    """Rows and columns that are all 0, of an array of any shape."""
    if array.ndim < 2:
        return int(np.count_nonzero(array == 0)), 0
    rows, columns = array.any(axis=tuple(range(1, array.ndim))), array.any(axis=(0, *range(2, array.ndim)))
    return int(np.count_nonzero(~rows)), int(np.count_nonzero(~columns))


def _sorted_runs(flat: Single) -> Single:
    """Runs of neighbours of vectors (T, n), sorted, NaN last: (T, runs, elements of a run)."""
    taken = flat.take(_runs(flat.shape[1]), axis=1, mode="clip")
    taken.sort(axis=2)
    return taken


def _repeats(runs: Single, equal: NDArray[np.bool_]) -> list[float]:
    """Share (T,) of elements that repeat another of their run: what a grid of few values cannot avoid."""
    if not equal.any():
        return [0.0] * len(runs)
    counts = np.count_nonzero(equal & (runs[:, :, 1:] != 0), axis=(1, 2))
    return [count / runs[0].size for count in counts.tolist()]


def _many(moments: Sequence[_Moments], runs: Single, equal: NDArray[np.bool_], n: int) -> list[bool]:
    """Whether vectors (T, n) surely have DISTINCT values: RUN in their first run, and another beyond its ends."""
    if runs.shape[2] < DISTINCT - 1:
        return [False] * len(moments)
    low, high = runs[:, 0, 0].tolist(), runs[:, 0, -1].tolist()
    repeated = np.logical_or.reduce(equal[:, 0], axis=1).tolist()
    return [
        each.count == n and not repeated[t] and (each.low < low[t] or each.high > high[t])
        for t, each in enumerate(moments)
    ]


@lru_cache(maxsize=64)
def _runs(size: int) -> NDArray[np.intp]:
    """Where the runs of so many elements lie: (runs, elements of a run)."""
    starts = np.linspace(0, max(size - RUN, 0), min(RUNS, max(1, size // RUN))).astype(np.intp)
    return starts[:, None] + np.arange(min(RUN, size))


def _distinct(flat: Single) -> int:
    """Distinct finite values of a vector (n,), counted until DISTINCT: a few thousand decide it for most tensors."""
    sample = flat[:: max(1, flat.size // (2 * DISTINCT))]
    if _differ(sample):
        return DISTINCT
    known = _finite_values(sample)
    for start in range(0, flat.size, ELEMENTS):
        if len(known) >= DISTINCT:
            return DISTINCT
        known = np.union1d(known, _finite_values(flat[start : start + ELEMENTS]))
    return min(len(known), DISTINCT)


def _differ(part: Single) -> bool:
    """Whether values (n,) are all finite, and DISTINCT or more of them differ."""
    if part.size < DISTINCT:
        return False
    values = np.sort(part)
    ends = math.isfinite(values[0]) and math.isfinite(values[-1])  # NaN come last
    return ends and 1 + int(np.count_nonzero(values[1:] != values[:-1])) >= DISTINCT


def _finite_values(part: Single) -> Single:
    return np.unique(part[np.isfinite(part)])
