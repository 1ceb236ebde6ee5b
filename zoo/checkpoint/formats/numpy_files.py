"""numpy's files: .npy, one array, and .npz, a zip archive of them.

Headers are parsed with numpy's own reader, which evaluates literals and nothing else; arrays of objects, which are
pickles, are refused one by one. A header's size is compared with the bytes that are there before anything is read.
Names of Flax checkpoints ('Transformer/encoderblock_0/.../kernel') are read as kernels with the output last.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from zoospectra.zoo.checkpoint.formats.members import DAMAGE, data_offset, members_of
from zoospectra.zoo.checkpoint.layout import torch_layout
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

MAX_HEADER = 10_000
"""Longest header in bytes that numpy is given; numpy's own limit for files that are not trusted."""

Header = tuple[tuple[int, ...], bool, "np.dtype[np.generic]"]


def open_npy(path: str) -> Checkpoint:
    """The one array of a .npy file; CheckpointError when it is damaged or says more than it holds."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            header = _header(file)
            begin = file.tell()
    except DAMAGE as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: no numpy array: {error}") from error
    entry = _reference("tensor", path, header, begin, size - begin, None)
    return Checkpoint("npy", (), (entry,)) if isinstance(entry, Skip) else Checkpoint("npy", (entry,))


def open_npz(path: str) -> Checkpoint:
    """Every array of a .npz archive, in the archive's order; CheckpointError when the archive is damaged or unsafe."""
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    try:
        with zipfile.ZipFile(path) as archive, Path(path).open("rb") as file:
            size = file.seek(0, 2)
            for member, info in members_of(archive, size).items():
                name = member.removesuffix(".npy")
                with archive.open(info) as stream:
                    head = io.BytesIO(stream.read(MAX_HEADER + 16))
                # Only the header is inflated; a stored member is mapped from the archive, a compressed one named.
                header = _header(head)
                begin = head.tell()
                inside = None if info.compress_type == zipfile.ZIP_STORED else member
                first = begin
                if inside is None:
                    file.seek(info.header_offset)
                    first += data_offset(info, file.read(30), size)
                entry = _reference(name, path, header, first, info.file_size - begin, inside)
                if isinstance(entry, Skip):
                    skips.append(entry)
                else:
                    refs.append(entry)
    except CheckpointError:
        raise
    except DAMAGE as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: damaged numpy archive: {error}") from error
    return Checkpoint("npz", torch_layout(refs, {}), tuple(skips))


def _header(file: IO[bytes]) -> Header:
    """Shape, whether the first axis runs fastest, and type; ValueError for what is no header."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        msg = f"numpy format {version} is not read, expected 1.0 or 2.0"
        raise ValueError(msg)
    shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
    if len(shape) > 64 or not all(type(size) is int and size >= 0 for size in shape):
        msg = f"shape {str(shape)[:80]} is none"
        raise ValueError(msg)
    return shape, fortran, dtype


def _reference(name: str, path: str, header: Header, offset: int, room: int, member: str | None) -> TensorRef | Skip:
    """Reference of an array whose elements begin at `offset` with `room` bytes behind it."""
    shape, fortran, dtype = header
    if dtype.hasobject:
        return Skip(name, Reason.UNSAFE, "an array of pickled objects: these are never loaded", True)
    if dtype.kind not in "fiubc" or dtype.byteorder == ">" or dtype.name not in ("bool", *_NAMES):
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"numpy type {dtype.str[:40]} is not read", True)
    needed = math.prod(shape) * dtype.itemsize
    if needed > room:
        raise CheckpointError(Reason.UNSAFE, f"{name}: shape {shape} of {dtype} is {needed} bytes, the file has {room}")
    stride = tuple(math.prod(shape[:axis]) for axis in range(len(shape))) if fortran and len(shape) > 1 else None
    return TensorRef(name, path, dtype.name, shape, stride, offset, needed, member)


_NAMES = frozenset(f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)) - {"float8"} | {
    "complex64",
    "complex128",
}
"""numpy's names of the types that are read; torch has the same."""
