"""A tensor is a reference until a worker opens it: a path, a byte range, a dtype and a shape; never the bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

AnyArray = NDArray[Any]

MAX_REPEATED = 1 << 24
"""Most elements of a view that has more of them than are stored, as `expand` makes: it costs no bytes in the file, but
memory and time where it is read."""


@dataclass(frozen=True, slots=True)
class TensorRef:
    """Where one tensor's bytes lie; small and picklable, safe to send to any worker that sees the same file."""

    name: str
    """Key in the checkpoint, wrapping prefixes such as 'module.' and containers such as 'state_dict' removed."""
    path: str
    """Absolute path of the file."""
    dtype: str
    """Stored element type in torch's words: 'float32', 'bfloat16', 'float16', 'float8_e4m3fn', 'int64', ..."""
    shape: tuple[int, ...]
    """Logical shape."""
    stride: tuple[int, ...] | None
    """Strides in elements; None when C-contiguous."""
    offset: int
    """First byte: from the start of the file, or of the inflated member."""
    nbytes: int
    """Bytes from offset that the (possibly strided) tensor spans."""
    member: str | None = None
    """Archive member that must be inflated first; None when the bytes lie in the file as they are."""
    codec: str | None = None
    """What gives the bytes when neither mapping nor inflating does: 'hdf5' for a chunked data set, whose path is then
    `member` (behind the archive member's name and '::' in a .keras file); offset counts from its first byte. 'memory'
    for an array of this very process, whose number is `member` (zoo.checkpoint.windows)."""
    parts: tuple[TensorRef, ...] = ()
    """Where a tensor was cut into parts, as ranks of a tensor-parallel model hold them: the parts, in their order."""
    axis: int = 0
    """Axis along which the parts were cut."""


def span(shape: tuple[int, ...], stride: tuple[int, ...] | None) -> int:
    """Elements from the first to the last one that a tensor touches, both included; 0 for an empty tensor."""
    if 0 in shape:
        return 0
    if stride is None:
        return math.prod(shape)
    return 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))


def contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    """C-order strides of `shape`, in elements."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))
