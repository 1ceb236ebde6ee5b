"""Paired numbers of models as arrays: pairs with a missing side left out, everything else checked once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import CONSTANT, is_constant

FEW = "fewer than {least} points"
X_CONSTANT, Y_CONSTANT = "x is constant", "y is constant"


@dataclass(frozen=True, slots=True)
class Sample:
    """Points with both values, and the group of each."""

    x: FloatArray
    """(n,)."""
    y: FloatArray
    """(n,)."""
    group: NDArray[np.intp]
    """(n,): index into names."""
    names: tuple[Hashable, ...]
    """Groups in the order of their first point."""
    kept: NDArray[np.intp]
    """(n,): positions in the input."""

    @property
    def n(self) -> int:
        """Points."""
        return len(self.x)


def sample(x: Sequence[float | None], y: Sequence[float | None], groups: Sequence[Hashable] | None = None) -> Sample:
    """Points that have both values; without groups all are in one.

    Raises ValueError for different lengths and for NaN or infinity.
    """
    labels: Sequence[Hashable] = [None] * len(x) if groups is None else groups
    if not len(x) == len(y) == len(labels):
        msg = f"x, y and groups must have the same length, got {len(x)}, {len(y)} and {len(labels)}"
        raise ValueError(msg)
    kept = [i for i, (a, b) in enumerate(zip(x, y, strict=True)) if a is not None and b is not None]
    data = np.array([(x[i], y[i]) for i in kept], dtype=np.float64).reshape(len(kept), 2)
    if not np.isfinite(data).all():
        msg = "x and y must be finite; give None for a number that does not exist"
        raise ValueError(msg)
    names = tuple(dict.fromkeys(labels[i] for i in kept))
    index = {name: i for i, name in enumerate(names)}
    group = np.array([index[labels[i]] for i in kept], dtype=np.intp)
    return Sample(data[:, 0], data[:, 1], group, names, np.array(kept, dtype=np.intp))


def without_rounding(sums: FloatArray, products: FloatArray) -> FloatArray:
    """Sums of these products, or of most of them; 0 where what is left is rounding: it has no sign."""
    return np.where(np.abs(sums) > CONSTANT * np.abs(products).sum(), sums, 0.0)


def degenerate(found: Sample, least: int) -> str | None:
    """Why no line can be drawn through the points, or None."""
    if found.n < least:
        return FEW.format(least=least)
    if is_constant(found.x):
        return X_CONSTANT
    return Y_CONSTANT if is_constant(found.y) else None
