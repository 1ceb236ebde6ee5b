"""Weights to float64, by blocks of rows, so that no copy of a large matrix is ever whole."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]
Order = Literal["C", "F"]

# Bytes of one float64 block or chunk: small against a large matrix, large enough for full speed of the rank-k update.
BLOCK_BYTES = 32 << 20
# Rows of a block at the least: a rank-k update of fewer runs at a fraction of its speed.
LEAST_ROWS = 256


def scaled(block: AnyArray, exponent: int, order: Order = "C") -> AnyArray:
    """A contiguous float64 (complex128) copy of (..., M), divided by 2^exponent, which is exact."""
    wide: AnyArray = np.array(block, dtype=np.result_type(block.dtype, np.float64), order=order)
    shrink(wide, exponent)
    return wide


def shrink(wide: AnyArray, exponent: int) -> None:
    """Divide an array of any shape by 2^exponent in place, in two steps: 2^1074 is beyond float64."""
    if exponent:
        wide *= 2.0 ** (-exponent // 2)
        wide *= 2.0 ** (-exponent - -exponent // 2)


def block_rows(M: int) -> int:
    """Rows of a block of width M."""
    return max(LEAST_ROWS, BLOCK_BYTES // (8 * M))


def chunk_size(N: int, M: int) -> int:
    """Slices of N x M that are worked on together by stacked calls."""
    return max(1, BLOCK_BYTES // (8 * N * M))
