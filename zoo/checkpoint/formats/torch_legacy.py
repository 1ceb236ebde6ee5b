"""Torch's files before 1.6: five pickles in a row, then the storages, each behind its length.

The pickles are: magic number, protocol version, system information, the object, the storages' keys in file order.
Nothing is executed (see unpickler). Not covered: the tar files of torch 0.1, and big-endian files.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.pickled import Storage, Tensor, storage_type
from zoospectra.zoo.checkpoint.formats.torch_state import checkpoint
from zoospectra.zoo.checkpoint.formats.unpickler import Unpickled, unpickle
from zoospectra.zoo.checkpoint.mapped import whole
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MAGIC = 0x1950A86A20F9469CFC6C
"""First object of every such file."""
PROTOCOL = 1001
"""Second object: the only version there ever was."""


REFUSED = {"qint8": 1, "quint8": 1, "qint32": 4, "complex32": 4}
"""Bytes of an element that is stored, but not read."""


def _itemsize(dtype: str | None) -> int:
    """Bytes of one element of a storage; one for a storage without a type."""
    if dtype is None:
        return 1
    return REFUSED[dtype] if dtype in REFUSED else types.itemsize(dtype)


def looks_like(head: bytes) -> bool:
    """Whether a file starts with the magic number, pickled in whatever protocol."""
    return MAGIC.to_bytes(10, "little") in head[:32] or str(MAGIC).encode() in head[:64]


def open_torch_legacy(path: str) -> Checkpoint:
    """Tensors of a legacy checkpoint; CheckpointError when it is damaged, unsafe or no torch file."""
    try:
        whole(path)
        with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return _read(path, buffer)
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error


def _read(path: str, buffer: mmap.mmap) -> Checkpoint:
    storages: dict[str, Storage] = {}

    def load(start: int) -> Unpickled:
        return unpickle(buffer, start, len(buffer), lambda reference: _persistent(reference, storages))

    magic, position, _ = load(0)
    protocol, position, _ = load(position)
    system, position, _ = load(position)
    if magic != MAGIC or protocol != PROTOCOL or not isinstance(system, dict):
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, "a pickle, but not torch's: its tensors are not told apart")
    if system.get("little_endian") is False:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, "torch file of a big-endian machine")
    root, position, names = load(position)
    keys, position, _ = load(position)
    if not isinstance(keys, list):
        raise CheckpointError(Reason.UNREADABLE, "no list of storages behind the object")
    # Storages follow the pickles in the order of the keys, so their places are known only now.
    offsets = _storage_offsets(buffer, position, keys, storages)
    return checkpoint("torch_legacy", root, names, lambda name, tensor: _reference(path, name, tensor, offsets))


def _persistent(reference: object, storages: dict[str, Storage]) -> object:
    """('storage', class, key, location, elements, view) or ('module', object, source file, source)."""
    if not isinstance(reference, tuple) or len(reference) < 2:
        raise CheckpointError(Reason.UNREADABLE, f"unknown persistent reference {type(reference).__name__}")
    if reference[0] == "module":
        return reference[1]
    if len(reference) < 5 or reference[0] != "storage":
        raise CheckpointError(Reason.UNREADABLE, "unknown persistent reference")
    key, numel, view = str(reference[2]), reference[4], reference[5] if len(reference) > 5 else None
    dtype = storage_type(reference[1])
    if type(numel) is not int or numel < 0:
        raise CheckpointError(Reason.UNREADABLE, f"storage {key} has no size")
    # The first mention of a storage fixes its type and size; views of it are storages with an offset.
    whole = storages.setdefault(key, Storage(key, dtype, numel))
    if whole.dtype != dtype or whole.numel != numel:
        raise CheckpointError(Reason.UNREADABLE, f"storage {key} is said to be of two types or sizes")
    if view is None:
        return whole
    if not isinstance(view, tuple) or len(view) != 3 or any(type(v) is not int or v < 0 for v in view[1:]):
        raise CheckpointError(Reason.UNREADABLE, f"storage {key} has a malformed view")
    _, first, count = view
    if first + count > numel:
        raise CheckpointError(Reason.UNSAFE, f"a view of storage {key} ends behind its {numel} elements")
    return Storage(key, dtype, count, first * _itemsize(dtype))


def _storage_offsets(
    buffer: mmap.mmap, position: int, keys: list[object], storages: dict[str, Storage]
) -> dict[str, int]:
    """First byte of every storage: key order, each behind eight bytes with its number of elements."""
    offsets: dict[str, int] = {}
    for key in map(str, keys):
        if key not in storages or key in offsets:
            raise CheckpointError(Reason.UNREADABLE, f"storage {key[:40]} is listed, but not used, or listed twice")
        if position + 8 > len(buffer):
            raise CheckpointError(Reason.UNREADABLE, f"the file ends before storage {key}: cut short")
        # Every storage repeats its number of elements: a file that disagrees with its pickle is damaged.
        (numel,) = struct.unpack_from("<q", buffer, position)
        storage = storages[key]
        if numel != storage.numel:
            raise CheckpointError(
                Reason.UNREADABLE, f"storage {key} has {numel} elements, its pickle says {storage.numel}"
            )
        offsets[key] = position + 8
        position += 8 + numel * _itemsize(storage.dtype)
        if position > len(buffer):
            raise CheckpointError(
                Reason.UNREADABLE, f"storage {key} ends behind the file's {len(buffer)} bytes: cut short"
            )
    return offsets


def _reference(path: str, name: str, tensor: Tensor, offsets: dict[str, int]) -> TensorRef:
    """Where a tensor's bytes are; its bounds inside the storage were checked when it was built."""
    if tensor.storage.key not in offsets:
        raise CheckpointError(Reason.UNREADABLE, f"{name}: storage {tensor.storage.key[:40]} is not in the file")
    size = types.itemsize(tensor.dtype)
    first = offsets[tensor.storage.key] + tensor.storage.begin + tensor.start * size
    length = span(tensor.shape, tensor.stride) * size
    return TensorRef(name, path, tensor.dtype, tensor.shape, tensor.stride, first, length)
