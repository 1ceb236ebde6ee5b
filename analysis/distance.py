"""Distances between the layers of two models, and the difference whose spectrum a fine-tune is judged by.

Pure arrays: which layer belongs to which is the caller's business. All arithmetic is in float64.

Against WeightWatcher 0.7.7's `distances`: 'frobenius' of two tensors is its 'raw', `layer_distance(..., 'frobenius')`
its 'euclidean', and `layer_distance(..., 'overlap')` its 'cka'. That last one is not CKA: it is the square root of the
uncentred linear CKA. 'cka' here is the published measure (Kornblith and others 2019, ICML, arXiv:1905.00414).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.unfold.shape import AnyArray


def difference(array: AnyArray, base: AnyArray) -> FloatArray:
    """Return array - base in float64, any shape: what a fine-tune changed.

    Unfold it and take its spectrum like any layer's.

    Raises ValueError when the shapes differ: the difference of two unlike layers means nothing.
    """
    if array.shape != base.shape:
        msg = f"both layers must have one shape, got {array.shape} and {base.shape}: match the layers by name first"
        raise ValueError(msg)
    return np.asarray(array, dtype=np.float64) - np.asarray(base, dtype=np.float64)


def frobenius(array: AnyArray, base: AnyArray) -> float:
    """||array - base||_F of two tensors of one shape; in the units of the weights. Raises ValueError like `difference`.

    Equivalent to numpy.linalg.norm(array - base), without its overflow above 1e154.
    """
    return _norm(difference(array, base))


def overlap(W1: AnyArray, W2: AnyArray) -> float | None:
    """||W1^T W2||_F / sqrt(||W1^T W1||_F ||W2^T W2||_F) of two matrices (N, M), in [0, 1]; None when one is zero.

    The square root of the uncentred linear CKA; WeightWatcher's 'cka'. Raises ValueError when the shapes differ.
    """
    return None if (value := _alignment(W1, W2, centred=False)) is None else float(np.sqrt(value))


def cka(W1: AnyArray, W2: AnyArray) -> float | None:
    """Linear centred kernel alignment of two matrices (N, M), rows as samples, in [0, 1]; None when one is constant.

    ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F), X and Y with their column means removed; unchanged by rotations and
    by a common factor. Raises ValueError when the shapes differ.
    """
    return _alignment(W1, W2, centred=True)


MEASURES: dict[str, Callable[[AnyArray, AnyArray], float | None]] = {
    "frobenius": frobenius,
    "overlap": overlap,
    "cka": cka,
}


def layer_distance(matrices: AnyArray, base: AnyArray, measure: str) -> float | None:
    """Mean over slices of a measure between two unfolded layers (S, N, M); None when a slice has none.

    Raises ValueError for an unknown measure or unequal shapes.
    """
    if measure not in MEASURES:
        msg = f"unknown measure {measure!r}; known measures: {', '.join(sorted(MEASURES))}"
        raise ValueError(msg)
    if matrices.shape != base.shape or matrices.ndim != 3 or len(matrices) == 0:
        msg = f"expected two unfolded layers (S, N, M) of one shape, got {matrices.shape} and {base.shape}"
        raise ValueError(msg)
    values = [MEASURES[measure](W1, W2) for W1, W2 in zip(matrices, base, strict=True)]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _alignment(W1: AnyArray, W2: AnyArray, *, centred: bool) -> float | None:
    if W1.shape != W2.shape or W1.ndim != 2:
        msg = f"expected two matrices of one shape, got {W1.shape} and {W2.shape}"
        raise ValueError(msg)
    X, Y = _unit(W1, centred=centred), _unit(W2, centred=centred)
    if X is None or Y is None:
        return None
    cross = float(np.sum((X.T @ Y) ** 2))
    return min(cross / float(np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)), 1.0)


def _unit(W: AnyArray, *, centred: bool) -> FloatArray | None:
    """W in float64 with unit Frobenius norm, so that no product over- or underflows; None for a zero matrix."""
    X = np.asarray(W, dtype=np.float64)
    top = float(np.max(np.abs(X), initial=0.0))
    if top == 0.0:
        return None
    X = X / top
    if centred:
        X = X - np.mean(X, axis=0)
    norm = float(np.linalg.norm(X))
    # A constant column minus its mean leaves rounding errors, not a signal.
    return X / norm if norm > 1e-12 else None


def _norm(X: FloatArray) -> float:
    top = float(np.max(np.abs(X), initial=0.0))
    return float(np.linalg.norm(X / top)) * top if top > 0.0 else 0.0
