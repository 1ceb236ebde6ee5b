"""Other orders of axes as torch's, by strides: the bytes stay where they are. torch: (out, in), (out, in, *kernel).

Legend: k the axes of a kernel, m depth multiplier, h heads, d width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from zoospectra.zoo.checkpoint.tensor import TensorRef, contiguous_stride


def ordered(ref: TensorRef, axes: Sequence[int]) -> TensorRef:
    """The same elements with their axes in another order; as it is when its rows are blocks of codes."""
    shape = tuple(ref.shape[a] for a in axes)
    if ref.parts and all(len(part.shape) == len(axes) for part in ref.parts):
        return replace(
            ref, shape=shape, parts=tuple(ordered(p, axes) for p in ref.parts), axis=list(axes).index(ref.axis)
        )
    step = ref.stride or contiguous_stride(ref.shape)
    return replace(ref, shape=shape, stride=tuple(step[a] for a in axes))


def outputs_last(ref: TensorRef) -> TensorRef:
    """(*k, in, out) as (out, in, *k)."""
    dims = len(ref.shape)
    return ordered(ref, (dims - 1, dims - 2, *range(dims - 2)))


def inputs_last(ref: TensorRef) -> TensorRef:
    """(out, *k, in) as (out, in, *k)."""
    dims = len(ref.shape)
    return ordered(ref, (0, dims - 1, *range(1, dims - 1)))


def depthwise(ref: TensorRef) -> TensorRef:
    """(*k, in, m) as (in m, 1, *k): the last two axes are one, for they lie side by side; needs a contiguous tensor."""
    *kernel, channels, multiplier = ref.shape
    step = contiguous_stride(ref.shape)
    shape = (channels * multiplier, 1, *kernel)
    return replace(ref, shape=shape, stride=(1, channels * multiplier, *step[:-2]))


def joined(ref: TensorRef, inputs: int) -> TensorRef:
    """A contiguous tensor whose first `inputs` axes are the input, the rest the output, as (out, in)."""
    rows, columns = prod(ref.shape[inputs:]), prod(ref.shape[:inputs])
    return replace(ref, shape=(rows, columns), stride=(1, rows))
