"""What an adapter makes of a weight W (out, in) of its base, where its update is U = scale B A or the like. Pure.

added: W + U. dora: m (W + U) / |W + U|, the norm of every row (arXiv 2402.09353, equation 5). scaled: rows or columns
of W times learned numbers (IA3, arXiv 2205.05638). rotated: W Q^T, Q block-diagonal of Cayley transforms (OFT, arXiv
2306.07280). vera: W + (b B)(d A), A and B random (arXiv 2310.11454). Computed in float64 some rows at a time, and kept
in float32 unless W has more: nothing is rounded to the type that the base is stored in. Equivalent to PEFT's
merge_and_unload in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt

import numpy as np

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.layers.layer import Change

ROWS = 1 << 22
"""Elements that are computed in float64 at a time."""

Options = Mapping[str, int | float | str]
"""Change.options."""

Product = tuple[AnyArray, ...] | None
"""Two factors (out, r) and (r, in) of an update, or the update alone."""


def changed(change: Change, weight: AnyArray, product: Product, parts: Sequence[AnyArray]) -> AnyArray:
    """The weight after a change, in its own shape; CheckpointError 'unsupported_shape' where the two do not fit."""
    turned = "turned" in dict(change.options)
    flat = weight.T if turned else weight.reshape(len(weight), -1)
    arrays = [np.asarray(part, dtype=np.float64) for part in parts]
    if change.scheme == "vera":
        product = _vera(flat.shape, arrays, dict(change.options))
    new = CHANGES[change.scheme](flat, product, arrays, dict(change.options))
    return new.T if turned else new.reshape(weight.shape)


def _added(flat: AnyArray, product: Product, parts: Sequence[AnyArray], options: Options) -> AnyArray:
    new = _like(flat)
    for rows, total in _sums(flat, product):
        new[rows] = total
    return new


def _dora(flat: AnyArray, product: Product, parts: Sequence[AnyArray], options: Options) -> AnyArray:
    magnitudes = parts[0].reshape(-1, 1)
    new = _like(flat)
    for rows, total in _sums(flat, product):
        norms = np.linalg.norm(total, axis=1, keepdims=True)
        if not norms.all():
            raise CheckpointError(Reason.NON_FINITE, "a row of W + BA is zero: DoRA has no direction for it")
        new[rows] = total * (magnitudes[rows] / norms)
    return new


def _dora_columns(flat: AnyArray, product: Product, parts: Sequence[AnyArray], options: Options) -> AnyArray:
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


def _scaled(flat: AnyArray, product: Product, parts: Sequence[AnyArray], options: Options) -> AnyArray:
    """Numbers (out, 1), or (1, in); those of a convolution's input channels count for every position of its kernel."""
    numbers = parts[0]
    if numbers.shape[0] == 1:
        numbers = np.repeat(numbers.reshape(1, -1), flat.shape[1] // numbers.size, axis=1)
    return np.asarray(flat * numbers, dtype=_like(flat[:0]).dtype)


def _rotated(flat: AnyArray, product: Product, parts: Sequence[AnyArray], options: Options) -> AnyArray:
    """Columns of W turned block by block, by the transpose of what PEFT multiplies the inputs' rows with."""
    turns = _cayley(parts[0], int(options["block"]), int(options["terms"]))
    size = turns.shape[-1]
    new = _like(flat)
    for number, start in enumerate(range(0, flat.shape[1], size)):
        columns = slice(start, start + size)
        new[:, columns] = flat[:, columns].astype(np.float64) @ turns[number % len(turns)].T
    return new


def _cayley(numbers: AnyArray, size: int, terms: int) -> AnyArray:
    """(I - S)(I + S)^-1 of skew matrices S, given above the diagonal; its series of so many terms when not 0.

    Source: peft/tuners/oft/layer.py, OFTRotationModule._cayley_batch; the last power, the third at least, counts once.
    """
    skew = np.zeros((len(numbers), size, size))
    rows, columns = np.triu_indices(size, 1)
    skew[:, rows, columns] = numbers
    skew -= skew.transpose(0, 2, 1)
    identity = np.eye(size)
    if not terms:
        return np.linalg.solve((identity + skew).transpose(0, 2, 1), (identity - skew).transpose(0, 2, 1)).transpose(
            0, 2, 1
        )
    turns, power = np.tile(identity, (len(numbers), 1, 1)), identity
    last = max(terms - 1, 3) if terms > 2 else 1
    for number in range(1, last + 1):
        power = power @ skew
        turns += power * (1 if number == last > 1 else 2)
    return turns


def _vera(shape: tuple[int, ...], parts: Sequence[AnyArray], options: Options) -> tuple[AnyArray, AnyArray]:
    """Factors of VeRA's update; A and B from the file, or from PEFT's generator (peft/tuners/vera/model.py)."""
    outs, ranks = parts[0].reshape(-1, 1), parts[1].reshape(-1, 1)
    a, b = parts[2:] if len(parts) > 2 else _projections(options)
    return outs * b[: shape[0]], ranks * a[:, : shape[1]]


def _projections(options: Options) -> tuple[AnyArray, AnyArray]:
    """A (r, in) and B (out, r) of the largest sides, Kaiming-uniform in float32 as torch draws them from the seed."""
    import torch  # loaded by workers only

    rank, inputs, outputs, seed = (int(options[key]) for key in ("rank", "inputs", "outputs", "seed"))
    generator = torch.Generator(device="cpu").manual_seed(seed)
    made = []
    for sides in ((rank, inputs), (outputs, rank)):
        bound = sqrt(3.0) * (sqrt(2.0) / sqrt(sides[1]))
        made.append(torch.empty(sides).uniform_(-bound, bound, generator=generator).double().numpy())
    return made[0], made[1]


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


CHANGES: dict[str, Callable[[AnyArray, Product, Sequence[AnyArray], Options], AnyArray]] = {
    "added": _added,
    "dora": _dora,
    "dora_columns": _dora_columns,
    "scaled": _scaled,
    "rotated": _rotated,
    "vera": _added,
}
"""Change.scheme -> (W (out, in), its update, further tensors in float64) -> the changed weight (out, in)."""
