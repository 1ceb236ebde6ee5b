"""What the values of a tensor show beyond plain numbers: zeros in one piece, and rows that stand twice.

Signs of pieces of a file that were never written, or written over others. Not covered: what they mean (integrity.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.unfold.shape import AnyArray

LONG = 16
"""Values of a row that are needed to say that two are the same."""


@dataclass(frozen=True, slots=True)
class Traces:
    """Of one tensor."""

    hole: int
    """Zeros in one piece: in C order, or adjacent columns of a matrix, whichever are more."""
    lines: int
    """Whole rows, or columns, in that piece; 0 where it begins or ends within a row."""
    repeated: float
    """Share of rows, or of columns, that are equal to an earlier one, other than zeros."""


NO_TRACES = Traces(0, 0, 0.0)


def traces(values: AnyArray) -> Traces:
    """Of a real tensor (N, ...) of any floating type."""
    if values.ndim < 2 or values.size == 0 or np.iscomplexobj(values):
        return NO_TRACES
    matrix = values.reshape(len(values), -1)
    hole, lines = _hole(matrix)
    repeated = _repeated(matrix)
    if values.ndim == 2 and repeated == 0.0:
        repeated = _repeated(matrix.T)
    return Traces(hole, lines, repeated)


def _hole(matrix: AnyArray) -> tuple[int, int]:
    used = matrix.reshape(-1) != 0
    if used.all() or not used.any():
        return 0, 0
    places = np.flatnonzero(used)
    ends = np.append(places, len(used))
    gaps = np.diff(ends, prepend=-1) - 1
    longest = int(np.argmax(gaps))
    start, hole = int(ends[longest] - gaps[longest]), int(gaps[longest])
    width = matrix.shape[1]
    lines = hole // width if start % width == 0 and hole % width == 0 else 0
    columns = _adjacent(~used.reshape(matrix.shape).any(axis=0))
    return (columns * len(matrix), columns) if columns * len(matrix) > hole else (hole, lines)


def _adjacent(flags: NDArray[np.bool_]) -> int:
    """The most neighbours that are set."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _repeated(matrix: AnyArray) -> float:
    """Share of rows that are equal to an earlier one: told by a few values first, then by all."""
    if matrix.shape[1] < LONG or len(matrix) < 2:
        return 0.0
    columns = np.linspace(0, matrix.shape[1] - 1, LONG).astype(np.intp)
    sample = np.ascontiguousarray(matrix[:, columns])
    _, first, inverse = np.unique(
        sample.view(np.uint8).reshape(len(matrix), -1), axis=0, return_index=True, return_inverse=True
    )
    same = np.flatnonzero(first[inverse.reshape(-1)] != np.arange(len(matrix)))
    earlier = first[inverse.reshape(-1)[same]]
    equal = [bool(np.array_equal(matrix[a], matrix[b]) and matrix[a].any()) for a, b in zip(same, earlier, strict=True)]
    return sum(equal) / len(matrix)
