"""Bytes of tensors that this process holds itself, where references to them look; put there by formats/memory.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MEMORY = "memory"
"""TensorRef.codec of such references."""

Window = NDArray[np.uint8]
"""One tensor from its first element to its last, read-only, in place."""

WINDOWS: dict[str, tuple[Window, ...]] = {}
"""TensorRef.path -> tensors, by the number in TensorRef.member."""


def window(ref: TensorRef) -> Window:
    """The bytes of a reference; CheckpointError when its model is not, or no longer, in this process's memory."""
    assert ref.member is not None
    if ref.path not in WINDOWS:
        raise CheckpointError(Reason.UNREADABLE, f"{ref.name}: {ref.path} is not in this process's memory")
    return WINDOWS[ref.path][int(ref.member)]
