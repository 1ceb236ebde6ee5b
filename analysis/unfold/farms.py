"""FARMS: fixed-aspect-ratio sub-matrices, pooled (Hu and others 2025, ICML, arXiv:2506.06280).

The shape of a spectrum depends on Q = N/M even for pure noise, so alpha of a 4096 x 1024 layer and of a square one are
not comparable. Here every matrix is replaced by windows of one aspect n/m = `aspect`, whose eigenvalues are pooled
into one ESD of the layer. Convolutions are sliced first, as in the paper.

Windows: m columns, n = round(aspect m) rows, at evenly spaced offsets in both directions, the first at 0 and the last
at the border, so that every entry is in a window; deterministic, no sampling noise. m is `size`, by default the largest
that fits. Fixed `size` as well as aspect makes layers of different widths comparable too, since finite-size effects on
alpha depend on m.

Eigenvalues of a window are about m n / (M N) of the layer's: alpha does not mind, norms do. Do not read scale
metrics from this rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from zoospectra.analysis.unfold import slices
from zoospectra.analysis.unfold.shape import AnyArray, MatrixShape, Unfold


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of one matrix lie."""

    n: int
    """Rows of a window."""
    m: int
    """Columns of a window."""
    rows: tuple[int, ...]
    """First row of every window."""
    columns: tuple[int, ...]
    """First column of every window."""


def windows(N: int, M: int, aspect: float = 1.0, size: int | None = None, stride: int | None = None) -> Windows:
    """Plan the windows of an N x M matrix.

    aspect: n/m >= 1; size: columns m, None for the largest that fits; stride: largest step between windows, in rows and
    in columns, None for no more overlap than covering the matrix needs. Raises ValueError when aspect < 1, a window
    does not fit, or stride < 1.
    """
    if not aspect >= 1.0 or (stride is not None and stride < 1):
        msg = (
            f"aspect must be at least 1 (rows per column, N >= M) and stride at least 1, got {aspect!r} and {stride!r}"
        )
        raise ValueError(msg)
    m = min(M, int(N / aspect)) if size is None else size
    n = min(round(aspect * m), N) if size is None else round(aspect * m)
    if not (1 <= m <= M and n <= N):
        msg = f"windows of {n} x {m} do not fit into {N} x {M}: choose a smaller size or aspect"
        raise ValueError(msg)
    return Windows(n, m, _offsets(N, n, stride or n), _offsets(M, m, stride or m))


def _offsets(length: int, window: int, stride: int) -> tuple[int, ...]:
    """Evenly spaced first positions, 0 and length - window included, at most `stride` apart."""
    room = length - window
    steps = -(-room // stride)
    return tuple(i * room // steps for i in range(steps + 1)) if steps else (0,)


def shape_of(
    shape: tuple[int, ...],
    layer_type: str,
    aspect: float = 1.0,
    size: int | None = None,
    stride: int | None = None,
) -> MatrixShape:
    """Shape and number of all windows of a tensor. Raises ValueError like `slices.shape_of` and `windows`."""
    sliced = slices.shape_of(shape, layer_type)
    plan = windows(sliced.N, sliced.M, aspect, size, stride)
    return MatrixShape(N=plan.n, M=plan.m, rf=sliced.rf * len(plan.rows) * len(plan.columns))


def unfold(
    array: AnyArray,
    layer_type: str,
    aspect: float = 1.0,
    size: int | None = None,
    stride: int | None = None,
) -> AnyArray:
    """Windows (S, n, m) of a tensor, n >= m, slice by slice, then by row and column; a copy, no cast.

    Raises ValueError like `shape_of`.
    """
    matrices = slices.unfold(array, layer_type)
    plan = windows(matrices.shape[1], matrices.shape[2], aspect, size, stride)
    cut = [matrices[:, i : i + plan.n, j : j + plan.m] for i in plan.rows for j in plan.columns]
    return np.stack(cut, axis=1).reshape(-1, plan.n, plan.m)


def rule(aspect: float = 1.0, size: int | None = None, stride: int | None = None) -> Unfold:
    """The rule for given windows; its name holds the options, so that results of two choices never mix."""
    options = {"aspect": aspect, "size": size, "stride": stride}
    given = ",".join(f"{key}={value}" for key, value in options.items() if value is not None)
    return Unfold(
        name=f"farms({given})",
        shape_of=partial(shape_of, aspect=aspect, size=size, stride=stride),
        unfold=partial(unfold, aspect=aspect, size=size, stride=stride),
    )


RULE = Unfold(name="farms", shape_of=shape_of, unfold=unfold)
