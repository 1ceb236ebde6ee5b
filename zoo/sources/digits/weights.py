"""One trained model in one safetensors file: written whole or not at all, read by its header alone.

Written here, not by the safetensors package, for two reasons: the package sorts tensors by name and writes metadata in
any order, while layers belong in definition order and equal models must be equal bytes. The files are ordinary
safetensors to every reader.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".safetensors"
PART = ".part"
LENGTH_BYTES = 8
HEADER_LIMIT = 1_000_000
"""Bytes; ours are below 5,000."""


def write_weights(path: Path, tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str]) -> None:
    """Write float32 tensors in the given order with metadata: beside, fsync, rename; the folder must exist."""
    import numpy as np

    header: dict[str, object] = {"__metadata__": dict(metadata)}
    blocks = [np.ascontiguousarray(tensor, dtype="<f4").tobytes() for tensor in tensors.values()]
    offset = 0
    for (name, tensor), block in zip(tensors.items(), blocks, strict=True):
        span = [offset, offset + len(block)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": span}
        offset += len(block)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_metadata(path: Path) -> dict[str, str] | None:
    """Metadata of a file that `write_weights` wrote; None when it is absent or not whole, and has to be made again."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(length)) if length <= min(size, HEADER_LIMIT) else {}
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(header, dict):
        return None
    metadata = header.pop("__metadata__", None)
    ends = [entry["data_offsets"][1] for entry in header.values()]
    whole = metadata is not None and ends and size == LENGTH_BYTES + length + max(ends)
    return metadata if whole else None
