"""A tensor is a reference until a worker opens it: a path, a byte range, a dtype and a shape; never the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.view import View, shape_after

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
    codec: str | None = None
    """What gives the bytes when neither mapping nor inflating does: 'hdf5' for a chunked data set, whose path is then
    `member` (behind the archive member's name and '::' in a .keras file); offset counts from its first byte. 'memory'
    for an array of this very process, whose number is `member` (zoo.checkpoint.windows)."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A weight that is stored in several tensors, or packed: what is needed to compute its values."""

    scheme: str
    """Key of zoo.layers.packed.SCHEMES: 'gptq', 'awq', 'nf4', 'fp8', 'lora', ..."""
    parts: tuple[TensorRef, ...]
    """The stored tensors, in the order that the scheme says."""
    options: tuple[tuple[str, int | float | str], ...]
    """What the scheme must know besides: bits, group size, alpha."""
    shape: tuple[int, ...]
    """Shape of the values, torch's layout."""
    dtype: str
    """What the weights were stored as: 'gptq-int4', 'bnb-nf4', 'float8_e4m3fn+scale', ..."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One weight matrix, or kernel, that can be analysed: a stored tensor, a part of one, or one made of several."""

    layer_id: int
    """Number in checkpoint order, from 0: every tensor takes one, one that is split as many as it has layers."""
    longname: str
    """Module path as users know it: the tensor's name without a trailing '.weight', and the part of a split one."""
    layer_type: str
    """'dense', 'conv2d', 'embedding', ... 'dense_part' for q, k, v of a fused matrix that is a layer itself."""
    group: str | None
    """Role inside the block: q, k, v, o, gate, up, down, 'expert 3'; None when unknown."""
    ref: TensorRef
    """Where the bytes are; of an assembly, its first part."""
    view: View = ()
    """Which part of the tensor's (or assembly's) values this is; () for all of them as they are."""
    assembly: Assembly | None = None
    """How the values are computed where they are not stored as they are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values that are analysed."""
        return shape_after(self.assembly.shape if self.assembly else self.ref.shape, self.view)

    @property
    def dtype(self) -> str:
        """What the weights are stored as."""
        return self.assembly.dtype if self.assembly else self.ref.dtype


@dataclass(frozen=True, slots=True)
class Skip:
    """One tensor, or a whole model, that is not analysed, and why."""

    tensor: str | None
    """Tensor name; None when the whole model could not be read."""
    reason: str
    """One of zoo.checkpoint.trouble.REASONS, a short stable code."""
    detail: str
    """What was found, and what to do."""
    failed: bool
    """True when something is wrong (corrupt, unsupported, non-finite); False when a rule says so (bias, norm, ...)."""


class CheckpointError(ValueError):
    """A file that cannot be read as a checkpoint; `reason` is one of zoo.checkpoint.trouble.REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[str, str]]:
        """Both arguments, so that the error survives the way back from a worker process."""
        return type(self), (self.reason, self.detail)
