"""What an adapter makes of a weight W (out, in) of its base, where its update is U = scale B A or the like. Pure.

added: W + U. dora: m (W + U) / |W + U|, the norm of every row (arXiv 2402.09353, equation 5). scaled: rows or columns
of W times learned numbers (IA3, arXiv 2205.05638). Computed in float64 some rows at a time, and kept in float32 unless
W has more: nothing is rounded to the type that the base is stored in. Equivalent to peft's merge_and_unload in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Change

ROWS = 1 << 22
"""Elements that are computed in float64 at a time."""

Product = tuple[AnyArray, ...] | None
"""Two factors (out, r) and (r, in) of an update, or the update alone."""


def changed(change: Change, weight: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    """The weight after a change, in its own shape; CheckpointError 'unsupported_shape' where the two do not fit."""
    turned = "turned" in dict(change.options)
    flat = weight.T if turned else weight.reshape(len(weight), -1)
    new = CHANGES[change.scheme](flat, product, [np.asarray(part, dtype=np.float64) for part in parts])
    return new.T if turned else new.reshape(weight.shape)


def _added(flat: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    new = _like(flat)
    for rows, total in _sums(flat, product):
        new[rows] = total
    return new


def _dora(flat: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    magnitudes = parts[0].reshape(-1, 1)
    new = _like(flat)
    for rows, total in _sums(flat, product):
        norms = np.linalg.norm(total, axis=1, keepdims=True)
        if not norms.all():
            raise CheckpointError(Reason.NON_FINITE, "a row of W + BA is zero: DoRA has no direction for it")
        new[rows] = total * (magnitudes[rows] / norms)
    return new


def _dora_columns(flat: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    """The same with the norm of every column, as PEFT has it for embeddings."""
    squares = np.zeros(flat.shape[1])
    for _, total in _sums(flat, product):
        squares += np.einsum("ij,ij->j", total, total)
    if not squares.all():
        raise CheckpointError(Reason.NON_FINITE, "a column of W + BA is zero: DoRA has no direction for it")
    factors = parts[0].reshape(-1) / np.sqrt(squares)
    new = _like(flat)
    for rows, total in _sums(flat, product):
        new[rows] = total * factors
    return new


def _scaled(flat: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    """Numbers (out, 1), or (1, in); those of a convolution's input channels count for every position of its kernel."""
    numbers = parts[0]
    if numbers.shape[0] == 1:
        numbers = np.repeat(numbers.reshape(1, -1), flat.shape[1] // numbers.size, axis=1)
    return np.asarray(flat * numbers, dtype=_like(flat[:0]).dtype)


def _sums(flat: AnyArray, product: Product) -> Iterator[tuple[slice, AnyArray]]:
    """Some rows of W + U at a time, in float64."""
    assert product is not None
    step = max(1, ROWS // flat.shape[1])
    for start in range(0, len(flat), step):
        rows = slice(start, start + step)
        update = product[0][rows] if len(product) == 1 else product[0][rows] @ product[1]
        yield rows, flat[rows].astype(np.float64) + update


def _like(flat: AnyArray) -> AnyArray:
    """An array of this shape for results."""
    return np.empty(flat.shape, dtype=np.result_type(flat.dtype, np.float32))


CHANGES: dict[str, Callable[[AnyArray, Product, Sequence[AnyArray]], AnyArray]] = {
    "added": _added,
    "dora": _dora,
    "dora_columns": _dora_columns,
    "scaled": _scaled,
}
"""Change.scheme -> (W (out, in), its update, further tensors in float64) -> the changed weight (out, in)."""
