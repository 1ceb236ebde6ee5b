"""Sixty-four numbers that stand for a tensor: a seeded linear sketch, by which relatives are known without weights.

A sign CountSketch (Charikar, Chen, Farach-Colton 2002): S x adds each element, with a random sign, to one of K buckets.
`S x . S y` is an unbiased estimate of `x . y`; over the draw of S its variance is at most

    Var <= (|x|^2 |y|^2 + (x . y)^2) / K                                         (K = 64)

so the cosine of two unrelated tensors has a standard deviation of at most 1/8, that of a tensor and its slight change
far less. S depends on the number of elements alone: tensors of equal size share it, and sums of them can be told apart.

How S is drawn: elements come in blocks of 64 neighbours, each block meets every bucket once, turned by a random shift;
the signs and shifts of 1,024 blocks serve every superblock of 65,536 elements, each turned and signed anew. Repeating
them costs nothing in the bound, because |X^T Y|_F <= |X|_F |Y|_F for superblocks as rows of X and Y.
All bits come from Philox's raw stream, which numpy keeps stable. Small tensors of one shape are worked on together, as
a stack; one tensor is a stack of one. Legend: B blocks, K buckets, T tensors of n elements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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

TOGETHER = 4 * ELEMENTS
"""Elements of a stack of several tensors: 1 MB, and as much workspace, which the next stack finds in the cache."""

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
    """How a vector goes to its buckets: the rounds in which a superblock is added, each a block of every shift."""

    order: NDArray[np.intp]
    """(rounds * K,): which blocks; any other, with the sign 0, where none is left."""
    signs: Single
    """(rounds, K * K): of their elements, -1, 1 or 0."""
    last: int
    """Rounds of the last superblock, which may have fewer blocks."""
    turns: tuple[_Turn, ...]
    """One a superblock."""
    direct: _Direct | None
    """All of this in one, for a vector of K K values at most."""


class Stack(NamedTuple):
    """T tensors of one shape: any one, or several small ones."""

    numbers: tuple[int, ...]
    """Which of those that were given."""
    values: Single
    """(T, *shape): their values, in the order of memory that they had."""
    flat: Single
    """(T, n): the same in C order."""


@QUIET
def sketch(array: AnyArray) -> Sketch:
    """The sketches of a real tensor of any shape and dtype; NaN and infinity count as 0.

    The same values give the same bits, whatever they are stored as: all is computed from their float32.
    """
    ((_, values, flat),) = stacks([array])
    return beside(project(flat), margins(values))[0]


def project(vectors: Single) -> Single:
    """S x of vectors (T, n): float32 (T, K). Called within QUIET.

    Equivalent to vectors @ S.T with the sparse matrix S that n alone determines.
    """
    projection, scratch = Projection(*vectors.shape), workspace(*vectors.shape)
    for block in blocks(vectors):
        projection.add(block, scratch)
    return projection.result()


class Projection:
    """S x of vectors (T, n) that come block by block."""

    def __init__(self, T: int, n: int) -> None:
        self._draw = _draw(n)
        self._turns = iter(self._draw.turns)
        self._total = np.zeros((T, K), dtype=np.float64)

    def add(self, block: Single, scratch: Single) -> None:
        """Take the next ELEMENTS values of each, or the last ones; overwrites a `workspace`. Called within QUIET."""
        turn = next(self._turns)
        add = _few if self._draw.direct else _superblock
        buckets = add(block, self._draw, scratch)
        if not math.isfinite(buckets.sum()):  # whatever is not finite is in a bucket
            buckets = add(finite(block), self._draw, scratch)
        self._total += buckets if self._draw.direct else turn.sign * buckets.take(turn.order, axis=1)

    def result(self) -> Single:
        """Float32 (T, K), once all values are in."""
        return self._total.astype(np.float32)


def stacks(arrays: Sequence[AnyArray]) -> Iterator[Stack]:
    """Tensors of any shape and dtype in stacks; called within QUIET.

    Several are in one where they have one shape, lie in C order and have TOGETHER elements at most.
    """
    alike: dict[object, list[int]] = {}
    for number, array in enumerate(arrays):
        few = 0 < array.size <= ELEMENTS and array.flags.c_contiguous  # sums of another order have other bits
        alike.setdefault((array.shape, np.iscomplexobj(array)) if few else number, []).append(number)
    for numbers in alike.values():
        step = max(1, TOGETHER // max(1, arrays[numbers[0]].size))
        for start in range(0, len(numbers), step):
            part = tuple(numbers[start : start + step])
            yield _stack(part, [_real(arrays[number]) for number in part])


def _stack(numbers: tuple[int, ...], arrays: Sequence[AnyArray]) -> Stack:
    if len(arrays) == 1:
        values = single(arrays[0])[None]
    else:
        values = np.empty((len(arrays), *arrays[0].shape), dtype=np.float32)
        for t, array in enumerate(arrays):
            values[t] = array
    return Stack(numbers, values, np.ascontiguousarray(values.reshape(len(arrays), -1)))


def workspace(T: int, n: int) -> Single:
    """What one block of T vectors (n,) needs to be worked on: one is enough for all, and stays near the processor."""
    few = -(-n // K)
    return np.empty(T * K * min(SUPERBLOCK, few if n <= K * K else -(-few // K) * K), dtype=np.float32)


def blocks(vectors: Single) -> Iterator[Single]:
    """Vectors of shape (T, n), ELEMENTS of each at a time."""
    return (vectors[:, start : start + ELEMENTS] for start in range(0, vectors.shape[1], ELEMENTS))


def _real(array: AnyArray) -> AnyArray:
    """A complex tensor of any shape as pairs of real numbers, along a last axis of its own; a real one as it is."""
    return np.stack((array.real, array.imag), axis=-1) if np.iscomplexobj(array) else array


class Margins(NamedTuple):
    """Sums of real tensors of two axes or more, in float32; of their finite values."""

    columns: Single
    """(T, C): over the first axis."""
    rows: Single
    """(T, R): over all axes but the first."""
    totals: list[float | None]
    """(T,): over all; None where some value, or a sum of them, is not finite."""


def margins(values: Single) -> Margins | None:
    """Sums over rows and over columns, which are all but the first axis of a shape, of tensors (T, *shape).

    None for vectors, and for nothing. Called within QUIET.
    """
    if values.ndim < 3 or values.size == 0:
        return None
    matrices = values.reshape(*values.shape[:2], -1)
    columns, rows = matrices.sum(axis=1), matrices.sum(axis=2)
    totals: list[float | None] = [*rows.sum(axis=1, dtype=np.float64).tolist()]
    if _is_finite(columns) and _is_finite(rows):  # whatever is not finite is in the sums
        return Margins(columns, rows, totals)
    for t in range(len(totals)):
        if not (_is_finite(columns[t]) and _is_finite(rows[t])):
            matrix = finite(matrices[t])
            columns[t], rows[t], totals[t] = matrix.sum(axis=0), matrix.sum(axis=1), None
    return Margins(columns, rows, totals)


def beside(whole: Single, sums: Margins | None) -> list[Sketch]:
    """The sketches (T, K) of all elements with those of the margins, one a tensor. Called within QUIET."""
    if sums is None:
        return [Sketch(each, None, None) for each in whole]
    columns, rows = (project(_centred(each)) for each in (sums.columns, sums.rows))
    return [Sketch(*three) for three in zip(whole, columns, rows, strict=True)]


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
    """Buckets (T, K) of at most K K values each, turned and signed: the sums of a superblock, without its zeros."""
    assert draw.direct is not None
    picked = scratch[: len(values) * draw.direct.places.size].reshape(len(values), -1, K)
    np.take(values, draw.direct.places, axis=1, out=picked, mode="clip")
    picked *= draw.direct.signs
    buckets: FloatArray = np.add.reduce(picked, axis=1, dtype=np.float64)
    return buckets


def _superblock(values: Single, draw: _Draw, scratch: Single) -> FloatArray:
    """Buckets (T, K) of at most ELEMENTS values each, before the superblock's own turn and sign."""
    T, n = values.shape
    rounds, order = draw.signs, draw.order
    if n != ELEMENTS:
        rounds, order = rounds[: draw.last], order[: draw.last * K]
    if n % K or (n < ELEMENTS and len(draw.turns) > 1):
        padded = np.zeros((T, -(-n // K) * K + K), dtype=np.float32)  # its last row stands for no block
        padded[:, :n] = values
        values = padded
    # The products are exact and each sum goes round by round, so that any kernel of einsum gives the same bits.
    picked = scratch[: T * rounds.size].reshape(T, -1, K)
    np.take(values.reshape(T, -1, K), order, axis=1, out=picked, mode="clip")
    by_shift = np.einsum("trk,rk->tk", picked.reshape(T, -1, K * K), rounds)
    turned: FloatArray = np.add.reduce(by_shift.take(_FOLD, axis=1, mode="clip"), axis=1, dtype=np.float64)
    return turned


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
    if n <= K * K:
        empty = np.empty((0, K), dtype=np.float32)
        return _Draw(shifts[:0], empty, 0, turns, _direct(n, shifts, signs, turns[0]))
    order = _rounds(shifts)
    ordered = np.where(order[:, :, None] < blocks, signs.take(order, axis=0, mode="clip"), 0).astype(np.float32)
    left = -(-(n % ELEMENTS or ELEMENTS) // K)
    last = int((order < left).any(axis=1).sum())
    return _Draw(order.reshape(-1), ordered.reshape(len(order), K * K), last, turns, None)


def _direct(n: int, shifts: NDArray[np.intp], signs: NDArray[np.int8], turn: _Turn) -> _Direct:
    order = np.argsort(shifts)
    inside = (turn.order - shifts[order, None]) % K
    places = K * order[:, None] + inside
    return _Direct(places, np.where(places < n, turn.sign * signs[order[:, None], inside], 0.0).astype(np.float32))


def _rounds(shifts: NDArray[np.intp]) -> NDArray[np.intp]:
    """(rounds, K): blocks by their shifts (B,), those of one shift in their order; B where none is left."""
    order = np.argsort(shifts, kind="stable")
    counts = np.bincount(shifts, minlength=K)
    rounds = np.full((int(counts.max()), K), len(shifts), dtype=np.intp)
    turns = shifts[order]
    rounds[np.arange(len(order)) - (np.cumsum(counts) - counts)[turns], turns] = order
    return rounds


def _centred(sums: Single) -> Single:
    """Sums (T, n) less the mean of each."""
    means: FloatArray = sums.sum(axis=1, dtype=np.float64) / sums.shape[1]
    return sums - means.astype(np.float32)[:, None]
