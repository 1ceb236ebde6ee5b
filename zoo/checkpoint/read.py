"""From a reference to its values: memory-mapped views and content hashes.

Bounds are checked here again, whatever reader made the reference, so that no reference can reach beyond its file.
Not covered: writing, and machines with big-endian byte order.
"""

from __future__ import annotations

import hashlib
import math
import os
import zipfile
import zlib
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.mapped import mapped_file, reach
from zoospectra.zoo.checkpoint.tensor import MAX_REPEATED, AnyArray, TensorRef, contiguous_stride, span
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason
from zoospectra.zoo.checkpoint.windows import MEMORY, window
from zoospectra.zoo.fetch.locator import is_remote

SMALL = 4 << 20
"""Bytes of a small file: more of them stay mapped."""

HASH_BLOCK = 1 << 22
"""Bytes hashed at a time: large enough to amortise the calls, small enough to stay in the cache's reach."""


def read(ref: TensorRef) -> AnyArray:
    """Values of a tensor, of shape ref.shape: a read-only view of the mapped file where numpy knows the type.

    bfloat16 and 8-bit floats come back as float32, which holds them exactly. Equivalent to `torch.load(..., mmap=True)`
    and `.numpy()`. Raises CheckpointError when the file no longer holds what the reference says.
    """
    return types.decode(reach(stored(ref)), ref.dtype)


def stored(ref: TensorRef) -> AnyArray:
    """Elements as stored, in the numpy type that carries them (see dtype.CARRIERS), shape ref.shape, read-only.

    Block types come as rows of bytes (see zoo.checkpoint.dtype.carried). Raises CheckpointError for a reference that
    its file does not keep.
    """
    if ref.parts:
        return _joined(ref)
    if is_remote(ref.path):
        from zoospectra.zoo.checkpoint.remote import local  # clients of the network are not loaded for local files

        ref = local(ref)
    carrier = types.carrier(ref.dtype)
    try:
        shape = types.carried(ref.shape, ref.dtype)
    except ValueError as error:
        raise CheckpointError(Reason.UNSAFE, f"{ref.name}: {error}") from error
    if ref.stride is not None and (len(ref.stride) != len(shape) or min(ref.stride, default=0) < 0):
        raise CheckpointError(Reason.UNSAFE, f"{ref.name}: strides {ref.stride} do not fit shape {ref.shape}")
    room = ref.nbytes if ref.stride is None else max(ref.nbytes, MAX_REPEATED * carrier.itemsize)
    if min(shape, default=1) < 0 or math.prod(shape) * carrier.itemsize > room:
        detail = f"{ref.name}: shape {ref.shape} of {ref.dtype} needs more than its {ref.nbytes} stored bytes"
        raise CheckpointError(Reason.UNSAFE, detail)
    elements = span(shape, ref.stride)
    if elements * carrier.itemsize > ref.nbytes:
        detail = f"{ref.name}: strides {ref.stride} of shape {ref.shape} reach beyond its {ref.nbytes} stored bytes"
        raise CheckpointError(Reason.UNSAFE, detail)
    if elements == 0:
        return np.empty(shape, dtype=carrier)
    flat = _bytes(ref)[: elements * carrier.itemsize].view(carrier)
    # safetensors and legacy torch files align nothing: linear algebra libraries need aligned elements.
    flat = flat if flat.flags.aligned else reach(flat).copy()
    if ref.stride is None:
        return flat.reshape(shape)
    strides = tuple(step * carrier.itemsize for step in ref.stride)
    return as_strided(flat, shape, strides, writeable=False)


def _joined(ref: TensorRef) -> AnyArray:
    """A tensor of several parts: along an axis, or pieces of its elements one behind the other, whatever its shape."""
    whole = np.concatenate([reach(stored(part)) for part in ref.parts], axis=ref.axis)
    if whole.ndim == 1 and whole.size == math.prod(ref.shape) == span(ref.shape, ref.stride):
        strides = tuple(step * whole.itemsize for step in ref.stride or contiguous_stride(ref.shape))
        return as_strided(whole, ref.shape, strides, writeable=False)
    if whole.shape != ref.shape or ref.stride is not None:
        raise CheckpointError(Reason.UNSAFE, f"{ref.name}: its parts make {whole.shape}, not {ref.shape}")
    return whole


def content_hash(ref: TensorRef) -> str:
    """sha256 (hex) of element type, shape and the elements as stored, in C order.

    The same tensor has the same hash in every file, format, stride and compression. Contiguous tensors are hashed in
    place, others block by block. Raises CheckpointError as `read` does.
    """
    return digest_of(ref.dtype, ref.shape, stored(ref))


def digest_of(dtype: str, shape: tuple[int, ...], elements: AnyArray) -> str:
    """The content hash of elements of a type and shape."""
    digest = hashlib.sha256(f"{dtype} {'x'.join(map(str, shape))}\n".encode())
    reach(elements)
    if elements.flags.c_contiguous:
        flat = elements.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, HASH_BLOCK):
            digest.update(flat[start : start + HASH_BLOCK].data)
        return digest.hexdigest()
    rows = max(1, HASH_BLOCK * elements.shape[0] // elements.nbytes)
    for start in range(0, elements.shape[0], rows):
        digest.update(np.ascontiguousarray(elements[start : start + rows]).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _bytes(ref: TensorRef) -> NDArray[np.uint8]:
    """The bytes of a reference, wherever they lie."""
    if ref.codec == "hdf5":
        from zoospectra.zoo.checkpoint.formats.hdf5_data import dataset_bytes

        return dataset_bytes(ref)
    if ref.codec == MEMORY:
        return window(ref)
    assert ref.codec is None, f"unknown codec {ref.codec}"
    return _mapped(ref) if ref.member is None else _inflated(ref)


def _mapped(ref: TensorRef) -> NDArray[np.uint8]:
    """The bytes of a reference, mapped from its file."""
    try:
        seen = os.stat(ref.path)
        held = _small_file if seen.st_size <= SMALL else _file
        whole = held(ref.path, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    except CheckpointError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        detail = f"{ref.name}: bytes {ref.offset} to {ref.offset + ref.nbytes} of {ref.path} cannot be read: {error}"
        raise CheckpointError(Reason.UNREADABLE, detail) from error
    if ref.offset < 0 or ref.offset + ref.nbytes > whole.size:
        end = ref.offset + ref.nbytes
        detail = f"{ref.name}: bytes {ref.offset} to {end} of {ref.path} cannot be read: it ends at {whole.size}"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return whole[ref.offset : ref.offset + ref.nbytes]


@lru_cache(maxsize=4)
def _file(path: str, size: int, mtime_ns: int, inode: int) -> NDArray[np.uint8]:
    """A whole file, mapped once for all its tensors; the last arguments tell a file from one that took its place."""
    return mapped_file(path, size)


_small_file = lru_cache(maxsize=16)(_file.__wrapped__)
"""The same of the files of a task of small models, which reads each more than once."""


def _inflated(ref: TensorRef) -> NDArray[np.uint8]:
    """The bytes of a reference inside a compressed archive member; no more of it is inflated than is needed."""
    assert ref.member is not None
    try:
        with zipfile.ZipFile(ref.path) as archive, archive.open(ref.member) as member:
            member.seek(ref.offset)
            raw = member.read(ref.nbytes)
    except (OSError, KeyError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        detail = f"{ref.name}: member {ref.member} of {ref.path} cannot be inflated: {error}"
        raise CheckpointError(Reason.UNREADABLE, detail) from error
    if len(raw) != ref.nbytes:
        detail = f"{ref.name}: member {ref.member} of {ref.path} ends after {len(raw)} of {ref.nbytes} bytes"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return np.frombuffer(raw, dtype=np.uint8)
