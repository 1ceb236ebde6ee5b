"""Distances between the layers of two models, and the difference whose spectrum a fine-tune is judged by.

Pure arrays, real or complex: which layer belongs to which is the caller's business. All arithmetic is in float64, by
blocks of rows: of two float32 layers no float64 copy is ever whole, but for the difference that is asked for. A complex
layer is the vector of its real and imaginary parts, so that a cosine is the real part of the complex one.

Against WeightWatcher 0.7.7's `distances`: 'frobenius' of two tensors is its 'raw', `layer_distance(..., 'frobenius')`
its 'euclidean', and `layer_distance(..., 'overlap')` its 'cka'. That last one is not CKA: it is the square root of the
uncentred linear CKA. 'cka' here is the published measure (Kornblith and others 2019, ICML, arXiv:1905.00414).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from zoospectra.analysis.cost import PAIR_BLOCK_BYTES
from zoospectra.analysis.unfold.shape import AnyArray


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over all elements of a layer W and of its base."""

    size: float
    """||W||_F, unit of the weights."""
    base: float
    """||W_base||_F, unit of the weights."""
    moved: float
    """||W - W_base||_F, unit of the weights."""
    product: float
    """sum W W_base, of complex ones the real part of sum W conj(W_base), squared unit of the weights."""

    @property
    def distance(self) -> float | None:
        """||W - W_base||_F / ||W_base||_F; None for a base of zeros."""
        return self.moved / self.base if self.base else None

    @property
    def cosine(self) -> float | None:
        """Cosine of both as vectors, in [-1, 1] to rounding; None where one is zero."""
        both = self.size * self.base
        return self.product / both if both else None


def moments(array: AnyArray, base: AnyArray) -> Moments:
    """Norms and product of two arrays of one shape. Raises ValueError like `difference`.

    Equivalent to numpy.linalg.norm of each and of array - base, and numpy.vdot(base, array).real, all in float64.
    """
    _check_shapes(array, base)
    sums = np.zeros(4)
    wide = _wide(array, base)
    for part in _rows(array.shape):
        W, old = (np.asarray(side[part], dtype=wide).ravel().view(np.float64) for side in (array, base))
        moved = W - old
        sums += W @ W, old @ old, moved @ moved, W @ old
    size, before, moved_by = np.sqrt(sums[:3]).tolist()
    return Moments(size, before, moved_by, float(sums[3]))


def difference(array: AnyArray, base: AnyArray) -> AnyArray:
    """Return array - base in float64 (complex128), any shape: what a fine-tune changed.

    Unfold it and take its spectrum like any layer's.

    Raises ValueError when the shapes differ: the difference of two unlike layers means nothing.
    """
    _check_shapes(array, base)
    moved: AnyArray = np.subtract(array, base, dtype=_wide(array, base))
    return moved


def frobenius(array: AnyArray, base: AnyArray) -> float:
    """||array - base||_F of two tensors of one shape; in the units of the weights. Raises ValueError like `difference`.

    Equivalent to numpy.linalg.norm(array - base), without its overflow above 1e154.
    """
    return _norm(difference(array, base))


def overlap(W1: AnyArray, W2: AnyArray) -> float | None:
    """||W1^H W2||_F / sqrt(||W1^H W1||_F ||W2^H W2||_F) of two matrices (N, M), in [0, 1]; None when one is zero.

    The square root of the uncentred linear CKA; WeightWatcher's 'cka'. Raises ValueError when the shapes differ.
    """
    return None if (value := _alignment(W1, W2, centred=False)) is None else float(np.sqrt(value))


def cka(W1: AnyArray, W2: AnyArray) -> float | None:
    """Linear centred kernel alignment of two matrices (N, M), rows as samples, in [0, 1]; None when one is constant.

    ||X^H Y||_F^2 / (||X^H X||_F ||Y^H Y||_F), X and Y with their column means removed; unchanged by rotations and
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


def own_cka(matrices: AnyArray) -> float | None:
    """layer_distance(matrices, matrices, 'cka') of an unfolded layer (S, N, M) without its products: 1, or None."""
    return 1.0 if all(_unit(W, centred=True) is not None for W in matrices) else None


@dataclass(frozen=True, slots=True)
class _Unit:
    """A matrix scaled to unit Frobenius norm, so that no product over- or underflows; computed block by block."""

    W: AnyArray
    """(N, M), as stored."""
    top: float
    """Largest absolute entry, of complex ones the largest real or imaginary part."""
    means: AnyArray
    """Column means of W / top that are taken off, (M,)."""
    norm: float = 1.0
    """Frobenius norm of W / top - means."""

    def block(self, part: slice) -> AnyArray:
        """Rows of the scaled matrix."""
        X = np.array(self.W[part], dtype=_wide(self.W))
        X /= self.top
        X -= self.means
        X /= self.norm
        return X


def _alignment(W1: AnyArray, W2: AnyArray, *, centred: bool) -> float | None:
    if W1.shape != W2.shape or W1.ndim != 2:
        msg = f"expected two matrices of one shape, got {W1.shape} and {W2.shape}"
        raise ValueError(msg)
    X, Y = _unit(W1, centred=centred), _unit(W2, centred=centred)
    if X is None or Y is None:
        return None
    cross, own, other = (_product_norm(*pair) for pair in ((X, Y), (X, X), (Y, Y)))
    return min(cross**2 / (own * other), 1.0)


def _product_norm(X: _Unit, Y: _Unit) -> float:
    """||X^H Y||_F."""
    M = X.W.shape[1]
    product = np.zeros((M, M), dtype=_wide(X.W, Y.W))
    for part in _rows(X.W.shape):
        left = X.block(part)
        right = left if X is Y else Y.block(part)
        product += (left.conj() if np.iscomplexobj(left) else left).T @ right
    return float(np.linalg.norm(product))


def _unit(W: AnyArray, *, centred: bool) -> _Unit | None:
    """W in units of its norm, column means taken off where it is centred; None for a zero matrix."""
    parts_of = (W.real, W.imag) if np.iscomplexobj(W) else (W,)
    top = max(max(float(part.max(initial=0.0)), -float(part.min(initial=0.0))) for part in parts_of)
    if top == 0.0:
        return None
    raw = _Unit(W, top, np.zeros(W.shape[1], dtype=_wide(W)))
    parts = list(_rows(W.shape))
    if centred:
        raw = _Unit(W, top, np.sum([raw.block(part).sum(axis=0) for part in parts], axis=0) / len(W))
    norm = float(np.linalg.norm([np.linalg.norm(raw.block(part)) for part in parts]))
    # A constant column minus its mean leaves rounding errors, not a signal.
    return _Unit(W, top, raw.means, norm) if norm > 1e-12 else None


def _rows(shape: tuple[int, ...]) -> Iterator[slice]:
    """Blocks of rows of an array, PAIR_BLOCK_BYTES each in float64."""
    step = max(1, PAIR_BLOCK_BYTES // (8 * max(1, prod(shape[1:]))))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def _wide(*arrays: AnyArray) -> type[np.float64] | type[np.complex128]:
    """Type of 64 bits a number that holds them all."""
    return np.complex128 if any(map(np.iscomplexobj, arrays)) else np.float64


def _check_shapes(array: AnyArray, base: AnyArray) -> None:
    if array.shape != base.shape:
        msg = f"both layers must have one shape, got {array.shape} and {base.shape}: match the layers by name first"
        raise ValueError(msg)


def _norm(X: AnyArray) -> float:
    top = float(np.max(np.abs(X), initial=0.0))
    return float(np.linalg.norm(X / top)) * top if top > 0.0 else 0.0
