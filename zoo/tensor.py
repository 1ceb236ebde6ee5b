"""A tensor is a reference until a worker opens it: a path, a byte range, a dtype and a shape; never the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

AnyArray = NDArray[Any]


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


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight tensor that can be analysed as matrices."""

    layer_id: int
    """Position among the checkpoint's tensors, in checkpoint order, from 0."""
    longname: str
    """Module path as users know it: the tensor's name without a trailing '.weight'."""
    layer_type: str
    """'dense', 'conv2d', 'embedding', ..."""
    group: str | None
    """Role inside the block: q, k, v, o, gate, up, down, 'expert 3'; None when unknown."""
    ref: TensorRef
    """Where the bytes are."""


@dataclass(frozen=True, slots=True)
class Skip:
    """One tensor, or a whole model, that is not analysed, and why."""

    tensor: str | None
    """Tensor name; None when the whole model could not be read."""
    reason: str
    """One of zoo.skip.REASONS, a short stable code."""
    detail: str
    """What was found, and what to do."""
    failed: bool
    """True when something is wrong (corrupt, unsupported, non-finite); False when a rule says so (bias, norm, ...)."""


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint; `reason` is one of zoo.skip.REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[str, str]]:
        """Both arguments, so that the error survives the way back from a worker process."""
        return type(self), (self.reason, self.detail)
