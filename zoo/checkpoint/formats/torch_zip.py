"""Torch's zip files (since torch 1.6, TorchScript too): data.pkl, and one archive member a storage.

torch stores members uncompressed, so a tensor's bytes lie in the file and can be mapped. Archives that were packed
again are compressed; their tensors name the member that must be inflated. What a frozen TorchScript module computes
with lies in constants.pkl (see torchscript). Nothing is executed (see unpickler).
Not covered: other compression than deflate, encryption, big-endian files.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.members import DAMAGE, Slice, data_offset, members_of
from zoospectra.zoo.checkpoint.formats.pickled import Storage, Tensor, storage_type
from zoospectra.zoo.checkpoint.formats.torch_state import checkpoint
from zoospectra.zoo.checkpoint.formats.torchscript import with_constants
from zoospectra.zoo.checkpoint.formats.unpickler import MAX_PICKLE, unpickle
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

Refer = Callable[[str, Tensor], TensorRef]
"""(name, tensor of a pickle) -> where it lies."""


class Loaded(NamedTuple):
    """What the pickle of a zip checkpoint holds."""

    root: object
    """The object; nothing of it was executed."""
    names: set[str]
    """'module.name' of everything that it refers to."""
    refer: Refer
    """Where a tensor of it lies."""


def open_torch_zip(path: str) -> Checkpoint:
    """Tensors of a zip checkpoint; CheckpointError when the archive or its pickle is damaged or unsafe."""
    try:
        return open_range(path, 0, Path(path).stat().st_size)
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error


def open_range(path: str, start: int, length: int) -> Checkpoint:
    """Tensors of a zip checkpoint that is a range of bytes of a file, with references into that file."""
    held = loaded(path, start, length)
    return checkpoint("torch_zip", held.root, held.names, held.refer)


def loaded(path: str, start: int, length: int) -> Loaded:
    """What a zip checkpoint that is a range of bytes of a file holds; CheckpointError: damaged."""
    try:
        with Path(path).open("rb") as file, zipfile.ZipFile(cast("IO[bytes]", Slice(file, start, length))) as archive:
            return _read(path, archive, start, length)
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: damaged zip archive: {error}") from error


def _read(path: str, archive: zipfile.ZipFile, start: int, length: int) -> Loaded:
    members = members_of(archive, length)
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        detail = f"zip archive with {len(pickles)} members data.pkl, expected 1: {', '.join(list(members)[:4])[:200]}"
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, detail)
    folder = pickles[0].removesuffix("data.pkl")
    order = members.get(folder + "byteorder")
    if order is not None and archive.read(order) != b"little":
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, "torch file of a big-endian machine")
    root, names = _unpickled(archive, members[pickles[0]], "data")
    if f"{folder}constants.pkl" in members:
        held, more = _unpickled(archive, members[f"{folder}constants.pkl"], "constants")
        root, names = with_constants(root, held, archive, folder), names | more
    offsets: dict[str, int] = {}

    def refer(name: str, tensor: Tensor) -> TensorRef:
        # Offsets of stored members are looked up once: tied and sliced tensors share a storage.
        member = f"{folder}{tensor.storage.key}"
        if member not in members:
            raise CheckpointError(Reason.UNREADABLE, f"{name}: the archive has no member {member}")
        info = members[member]
        if info.compress_type == zipfile.ZIP_STORED and member not in offsets:
            with Path(path).open("rb") as file:
                file.seek(start + info.header_offset)
                offsets[member] = start + data_offset(info, file.read(30), length)
        if member not in offsets and start:
            raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{name}: compressed in an archive inside a file")
        return _reference(path, name, tensor, info, offsets.get(member))

    return Loaded(root, names, refer)


def _unpickled(archive: zipfile.ZipFile, info: zipfile.ZipInfo, storages: str) -> tuple[object, set[str]]:
    """What a member's pickle holds, and the names it refers to; keys of its storages are paths in the archive."""
    if info.file_size > MAX_PICKLE:
        raise CheckpointError(Reason.UNSAFE, f"pickle of {info.file_size} bytes, at most {MAX_PICKLE}")
    code = archive.read(info)
    root, _, names = unpickle(code, 0, len(code), partial(_storage, storages))
    return root, names


def _storage(folder: str, reference: object) -> Storage:
    """('storage', class, key, location, elements): what torch refers to a storage by."""
    if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
        raise CheckpointError(Reason.UNREADABLE, f"unknown persistent reference {type(reference).__name__}")
    key, numel = reference[2], reference[4]
    if not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise CheckpointError(Reason.UNREADABLE, "a storage without a key or a size")
    return Storage(f"{folder}/{key}", storage_type(reference[1]), numel)


def _reference(path: str, name: str, tensor: Tensor, info: zipfile.ZipInfo, offset: int | None) -> TensorRef:
    """Where a tensor's bytes are: offset is that of a stored member in the file, None for a compressed one."""
    size = types.itemsize(tensor.dtype)
    first, length = tensor.start * size, span(tensor.shape, tensor.stride) * size
    if first + length > info.file_size:
        detail = f"{name}: needs bytes {first} to {first + length} of a member of {info.file_size}"
        raise CheckpointError(Reason.UNREADABLE, detail)
    if offset is None:
        return TensorRef(name, path, tensor.dtype, tensor.shape, tensor.stride, first, length, info.filename)
    return TensorRef(name, path, tensor.dtype, tensor.shape, tensor.stride, offset + first, length)
