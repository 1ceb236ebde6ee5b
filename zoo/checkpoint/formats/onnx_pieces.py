"""Constants that an ONNX graph puts together: Concat of constants along an axis, Slice of one with positive steps.

Both are references: a cut is a strided view, what was joined has parts. Every constant is in what was joined once, so
that it is never larger than what is stored. Not covered: pieces that were transposed, reshaped or dequantised before;
they are analysed as they are stored, and a row says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.tensor import TensorRef, contiguous_stride, span
from zoospectra.zoo.checkpoint.trouble import Skip

PIECES = frozenset({"Concat", "Slice"})
"""Operators that put constants together."""

MOST = 1024
"""Most pieces of a weight."""

Cut = tuple[int, int, int]
"""First index, length and step along an axis."""


@dataclass(frozen=True, slots=True)
class Pieced:
    """A value that is made of stored tensors."""

    pieces: tuple[str, ...]
    """Keys of stored or of made tensors, in their order."""
    shape: tuple[int, ...]
    """Its shape."""
    axis: int = 0
    """Of a Concat."""
    cuts: tuple[Cut, ...] = ()
    """Of a Slice, one an axis; empty for a Concat."""
    leaves: frozenset[str] = frozenset()
    """Stored tensors in it."""


def joined(keys: Sequence[str], shapes: Sequence[tuple[int, ...]], axis: int) -> tuple[int, tuple[int, ...]] | None:
    """Axis and shape of a Concat; None when the shapes do not fit."""
    first = shapes[0]
    axis = axis + len(first) if axis < 0 else axis
    if not 0 <= axis < len(first) or len(keys) > MOST:
        return None
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes if len(shape) == len(first)}
    if len(rests) != 1 or any(len(shape) != len(first) for shape in shapes):
        return None
    return axis, (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


def cut(
    shape: tuple[int, ...],
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> tuple[Cut, ...] | None:
    """Cuts of a Slice, one an axis, by numpy's rules; None for steps backwards, or numbers that do not fit."""
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(step < 1 for step in steps):
        return None
    cuts: list[Cut] = [(0, size, 1) for size in shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not -len(shape) <= axis < len(shape):
            return None
        numbers = range(shape[axis])[start:end:step]
        cuts[axis] = (numbers.start, len(numbers), step)
    return tuple(cuts)


def reference(name: str, made: Pieced, entries: Mapping[str, TensorRef | Skip]) -> TensorRef | None:
    """A reference to what is made; None when a piece is not read, or the pieces are of several types."""
    found = [entries.get(key) for key in made.pieces]
    refs = [entry for entry in found if isinstance(entry, TensorRef)]
    if len(refs) < len(found) or len({ref.dtype for ref in refs}) != 1 or 0 in made.shape:
        return None
    size = types.itemsize(refs[0].dtype)
    if not made.cuts:
        nbytes = sum(ref.nbytes for ref in refs)
        return TensorRef(
            name, refs[0].path, refs[0].dtype, made.shape, None, 0, nbytes, parts=tuple(refs), axis=made.axis
        )
    (ref,) = refs
    if ref.parts or ref.codec or ref.member:
        return None
    strides = ref.stride or contiguous_stride(ref.shape)
    start = sum(first * step for (first, _, _), step in zip(made.cuts, strides, strict=True))
    stride = tuple(step * times for step, (_, _, times) in zip(strides, made.cuts, strict=True))
    return replace(
        ref,
        name=name,
        shape=made.shape,
        stride=stride,
        offset=ref.offset + start * size,
        nbytes=span(made.shape, stride) * size,
    )
