"""Sixty-four numbers that stand for a tensor: a seeded linear sketch, by which relatives are known without weights.

A sign CountSketch (Charikar, Chen, Farach-Colton 2002): S x adds each element, with a random sign, to one of K buckets.
`S x . S y` is an unbiased estimate of `x . y`; over the draw of S its variance is at most

    Var <= (|x|^2 |y|^2 + (x . y)^2) / K                                         (K = 64)

so the cosine of two unrelated tensors has a standard deviation of at most 1/8, that of a tensor and its slight change
far less. S depends on the number of elements alone: tensors of equal size share it, and sums of them can be told apart.

How S is drawn: elements come in blocks of 64 neighbours, each block meets every bucket once, turned by a random shift;
the signs and shifts of 1,024 blocks serve every superblock of 65,536 elements, each turned and signed anew. Repeating
them costs nothing in the bound, because |X^T Y|_F <= |X|_F |Y|_F for superblocks as rows of X and Y.
All bits come from Philox's raw stream, which numpy keeps stable. Legend: B blocks, K buckets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.unfold.shape import AnyArray

SKETCH_VERSION = "1"
"""Changes when any stored number of a sketch or of the reductions would change: the next scan makes them anew."""

K = 64
"""Numbers in a sketch, and elements in a block."""

SUPERBLOCK = 1024
"""Blocks that one drawing of signs and shifts serves."""

ELEMENTS = SUPERBLOCK * K

Single = NDArray[np.float32]

QUIET = np.errstate(over="ignore", invalid="ignore")
"""Whatever bytes a tensor holds are data: what leaves float32's range is infinite, without a warning."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Three projections of one tensor; linear all of them, float32, of shape (K,)."""

    whole: Single
    """Of all its elements, in C order."""
    columns: Single | None
    """Of the sums over the first axis, less their mean: no order of the rows (outputs, heads) changes it; None for a
    tensor with fewer than two axes."""
    rows: Single | None
    """Of the sums over all axes but the first, less their mean: no order of the columns (inputs) changes it."""


class _Turn(NamedTuple):
    """What tells the superblocks of a tensor apart."""

    order: NDArray[np.intp]
    """(K,): bucket of the superblock's own buckets."""
    sign: float
    """-1 or 1."""


@dataclass(frozen=True, slots=True)
class _Direct:
    """Where the values of a vector of one round go, which is one block of every shift at most."""

    places: NDArray[np.intp]
    """(B, K): by ascending shift, which value every bucket gets; what is beyond the vector has the sign 0."""
    signs: Single
    """(B, K): -1, 1 or 0."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """Signs and shifts of the blocks of a superblock, and the rounds in which its rows are added."""

    signs: NDArray[np.int8]
    """(B, K): -1 or 1."""
    ordered: Single
    """(rounds, K * K): the signs of the blocks of `whole`; empty where no superblock is full."""
    whole: NDArray[np.intp]
    """(rounds, K): in every round one block of every shift; B where there is none left."""
    last: NDArray[np.intp]
    """The same for the last superblock, which may have fewer blocks."""
    turns: tuple[_Turn, ...]
    """One a superblock."""
    direct: _Direct | None
    """All of this in one, for a vector of K K values at most."""


@QUIET
def sketch(array: AnyArray) -> Sketch:
    """The sketches of a real tensor of any shape and dtype; NaN and infinity count as 0.

    The same values give the same bits, whatever they are stored as: all is computed from their float32.
    """
    array = real(array)
    return beside(project(np.ravel(array)), margins(array))


@QUIET
def project(vector: AnyArray) -> Single:
    """S x of a vector (n,): float32 (K,). Equivalent to S @ vector with the sparse matrix S that n alone determines."""
    return _project(vector)


def _project(vector: AnyArray) -> Single:
    """`project` within QUIET."""
    projection, scratch = Projection(vector.size), workspace(vector.size)
    for block in blocks(vector):
        projection.add(block, scratch)
    return projection.result()


class Projection:
    """S x of a vector (n,) that comes block by block."""

    def __init__(self, n: int) -> None:
        self._draw = _draw(n)
        self._turns = iter(self._draw.turns)
        self._total = np.zeros(K, dtype=np.float64)

    def add(self, block: Single, scratch: Single) -> None:
        """Take the next ELEMENTS values, or the last ones; overwrites a `workspace`. Called within QUIET."""
        turn = next(self._turns)
        add = _few if self._draw.direct else _superblock
        buckets = add(block, self._draw, scratch)
        if not math.isfinite(buckets.sum()):  # whatever is not finite is in a bucket
            buckets = add(finite(block), self._draw, scratch)
        self._total += buckets if self._draw.direct else turn.sign * buckets[turn.order]

    def result(self) -> Single:
        """Float32 (K,), once all values are in."""
        return self._total.astype(np.float32)


def workspace(n: int) -> Single:
    """What one block of n values needs to be worked on: one is enough for all, and stays near the processor."""
    return np.empty(min(ELEMENTS, (n // K + 2 * K) * K), dtype=np.float32)


def blocks(vector: AnyArray) -> Iterator[Single]:
    """A vector of shape (n,) as float32, ELEMENTS at a time. Called within QUIET."""
    return (single(vector[start : start + ELEMENTS]) for start in range(0, vector.size, ELEMENTS))


def real(array: AnyArray) -> AnyArray:
    """A complex tensor of any shape as pairs of real numbers, along a last axis of its own; a real one as it is."""
    return np.stack((array.real, array.imag), axis=-1) if np.iscomplexobj(array) else array


class Margins(NamedTuple):
    """Sums of a real tensor of two axes or more, in float32; of its finite values."""

    columns: Single
    """Over the first axis."""
    rows: Single
    """Over all axes but the first."""
    total: float | None
    """Over all; None where some value, or a sum of them, is not finite."""


def margins(array: AnyArray) -> Margins | None:
    """Sums over rows and over columns, which are all but the first axis of a shape; None for a vector, and for nothing.

    Called within QUIET.
    """
    if array.ndim < 2 or array.size == 0:
        return None
    matrix = single(array).reshape(len(array), -1)
    columns, rows = matrix.sum(axis=0), matrix.sum(axis=1)
    if _is_finite(columns) and _is_finite(rows):  # whatever is not finite is in the sums
        return Margins(columns, rows, float(rows.sum(dtype=np.float64)))
    matrix = finite(matrix)
    return Margins(matrix.sum(axis=0), matrix.sum(axis=1), None)


def beside(whole: Single, sums: Margins | None) -> Sketch:
    """The sketch of all elements and those of the margins. Called within QUIET."""
    if sums is None:
        return Sketch(whole, None, None)
    return Sketch(whole, _project(_centred(sums.columns)), _project(_centred(sums.rows)))


def _is_finite(values: Single | FloatArray) -> bool:
    return bool(np.isfinite(values).all())


def finite(values: Single) -> Single:
    """The values with 0 where they are NaN or infinite; themselves where none is."""
    good = np.isfinite(values)
    return values if good.all() else np.where(good, values, np.float32(0.0))


def single(values: AnyArray) -> Single:
    """The values, of any shape, as float32; themselves where they are. Called within QUIET."""
    return values if values.dtype == np.float32 else values.astype(np.float32)


def _few(values: Single, draw: _Draw, scratch: Single) -> FloatArray:
    """Buckets (K,) of at most K K values, turned and signed: the same sums as of a superblock, without its zeros."""
    assert draw.direct is not None
    picked = scratch[: draw.direct.places.size].reshape(-1, K)
    np.take(values, draw.direct.places, out=picked, mode="clip")
    picked *= draw.direct.signs
    buckets: FloatArray = np.add.reduce(picked, axis=0, dtype=np.float64)
    return buckets


def _superblock(values: Single, draw: _Draw, scratch: Single) -> FloatArray:
    """Buckets (K,) of at most ELEMENTS values, before the superblock's own turn and sign."""
    if len(values) == ELEMENTS:
        # The products are exact and each sum goes round by round, so that any kernel of einsum gives the same bits.
        rows = scratch.reshape(SUPERBLOCK, K)
        np.take(values.reshape(SUPERBLOCK, K), draw.whole.reshape(-1), axis=0, out=rows, mode="clip")
        by_shift = np.einsum("rk,rk->k", rows.reshape(len(draw.whole), K * K), draw.ordered)
    else:
        by_shift = _part(values, draw, scratch)
    turned: FloatArray = np.add.reduce(by_shift.take(_FOLD, mode="clip"), axis=0, dtype=np.float64)
    return turned


def _part(values: Single, draw: _Draw, scratch: Single) -> Single:
    """Sums by shift (K * K,) of the last values, fewer than ELEMENTS."""
    blocks, rest = divmod(len(values), K)
    signed = np.empty((blocks + 2, K), dtype=np.float32)
    signed[blocks:] = 0.0  # the last row stands for no block
    np.multiply(values[: blocks * K].reshape(blocks, K), draw.signs[:blocks], out=signed[:blocks])
    if rest:
        np.multiply(values[blocks * K :], draw.signs[blocks, :rest], out=signed[blocks, :rest])
    picked = scratch[: draw.last.size * K].reshape(-1, K)
    np.take(signed, draw.last.reshape(-1), axis=0, out=picked, mode="clip")
    by_shift: Single = picked.reshape(len(draw.last), K * K).sum(axis=0)
    return by_shift


_FOLD = np.arange(K)[:, None] * K + (np.arange(K)[None, :] - np.arange(K)[:, None]) % K
# Element p of a block turned by r goes to bucket (p + r) mod K; row r of by_shift has the blocks turned by r.


@lru_cache(maxsize=256)
def _draw(n: int) -> _Draw:
    blocks = min(SUPERBLOCK, max(1, -(-n // K)))
    stream = np.random.Philox(key=n)
    shifts = np.empty(blocks, dtype=np.intp)
    shifts[np.argsort(stream.random_raw(blocks), kind="stable")] = np.arange(blocks) % K
    bits = np.unpackbits(stream.random_raw(blocks).astype("<u8").view(np.uint8)).reshape(blocks, K)
    signs = bits.astype(np.int8) * np.int8(2) - np.int8(1)
    words = np.random.Philox(key=[n, 1]).random_raw(max(1, -(-n // ELEMENTS))).tolist()
    turns = tuple(_Turn((np.arange(K) - (word >> 1)) % K, 1.0 if word & 1 else -1.0) for word in words)
    left = -(-(n % ELEMENTS or ELEMENTS) // K)
    whole = _rounds(shifts, blocks)
    ordered = signs[whole].reshape(len(whole), K * K) if n >= ELEMENTS else np.empty((0, K * K))
    direct = _direct(n, shifts, signs, turns[0]) if n <= K * K else None
    return _Draw(signs, ordered.astype(np.float32), whole, _rounds(shifts[:left], blocks), turns, direct)


def _direct(n: int, shifts: NDArray[np.intp], signs: NDArray[np.int8], turn: _Turn) -> _Direct:
    order = np.argsort(shifts)
    inside = (turn.order - shifts[order, None]) % K
    places = K * order[:, None] + inside
    return _Direct(places, np.where(places < n, turn.sign * signs[order[:, None], inside], 0.0).astype(np.float32))


def _rounds(shifts: NDArray[np.intp], none: int) -> NDArray[np.intp]:
    order = np.argsort(shifts, kind="stable")
    counts = np.bincount(shifts, minlength=K)
    rounds = np.full((max(1, int(counts.max(initial=0))), K), none, dtype=np.intp)
    turns = shifts[order]
    rounds[np.arange(len(order)) - (np.cumsum(counts) - counts)[turns], turns] = order
    return rounds


def _centred(sums: Single) -> Single:
    return sums - np.float32(sums.sum(dtype=np.float64) / sums.size)
