"""Safetensors files: a JSON header of names, types, shapes and byte ranges, then the bytes.

The header is parsed here, without the library, because offsets are wanted and not arrays. Every check of the library
is repeated, and duplicate names are refused too. Not covered: sub-byte types (F4, F6), which get a Skip.
Format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
import os
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

MAX_HEADER = 100_000_000
"""Largest header in bytes, the library's own limit."""

DTYPES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
"""Safetensors' names of element types -> torch's."""


def looks_like(head: bytes, size: int) -> bool:
    """Whether a file that starts with `head` and has `size` bytes can be safetensors: a header length, then JSON."""
    if len(head) < 9:
        return False
    (length,) = struct.unpack_from("<Q", head)
    return head[8:9] == b"{" and 0 < length <= size - 8


def open_safetensors(path: str) -> Checkpoint:
    """Tensors of one safetensors file in header order; CheckpointError when anything about the header is wrong."""
    return described(path, *header_of(path))


def header_of(path: str) -> tuple[bytes, int]:
    """Header of a safetensors file, as it stands, and the file's bytes; CheckpointError as `open_safetensors`."""
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return file.read(_header(file.read(8), size)), size
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error


def described(path: str, text: bytes, size: int) -> Checkpoint:
    """What the header of a file of `size` bytes says; CheckpointError as `open_safetensors`."""
    entries, header = _entries(text), len(text)
    refs: list[TensorRef] = []
    skips: list[Skip] = []
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        ref = _reference(path, name, entry, 8 + header, size - 8 - header)
        if isinstance(ref, Skip):
            skips.append(ref)
        else:
            refs.append(ref)
    _check_disjoint(refs)
    metadata = entries.get("__metadata__")
    config = {"metadata": metadata} if isinstance(metadata, dict) else {}
    return Checkpoint("safetensors", tuple(refs), tuple(skips), config=config)


def _header(first: bytes, size: int) -> int:
    """Length of the header in bytes, from the first eight bytes of a file of `size` bytes."""
    if len(first) < 8:
        raise CheckpointError(Reason.UNREADABLE, f"only {size} bytes: not a safetensors file, or cut short")
    (length,) = struct.unpack("<Q", first)
    if length > size - 8:
        raise CheckpointError(
            Reason.UNREADABLE, f"header of {length} bytes in a file of {size}: cut short or not safetensors"
        )
    if length > MAX_HEADER:
        raise CheckpointError(Reason.UNSAFE, f"header of {length} bytes; at most {MAX_HEADER} are read")
    return int(length)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON object whose keys must differ: two tensors of one name would hide one of them."""
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise CheckpointError(Reason.UNREADABLE, "the header names a tensor twice")
    return entries


def _entries(text: bytes) -> dict[str, Any]:
    """The header as a dict."""
    if len(text) > 1 << 20 and text.count(b"[") + text.count(b"{") > len(text) // 10:
        # A tensor takes three brackets and at least fifty bytes; a header of brackets would take 30 times its size.
        raise CheckpointError(Reason.UNSAFE, "the header is mostly brackets: no list of tensors")
    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"the header is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise CheckpointError(Reason.UNREADABLE, f"the header is a JSON {type(entries).__name__}, expected an object")
    return entries


def _reference(path: str, name: str, entry: object, base: int, room: int) -> TensorRef | Skip:
    """Reference of one header entry; `base` is where data begins, `room` how many bytes of it there are."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise CheckpointError(
            Reason.UNREADABLE, f"{name}: expected dtype, shape and data_offsets, got {str(entry)[:80]}"
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise CheckpointError(
            Reason.UNREADABLE, f"{name}: shape {str(shape)[:80]} or offsets {str(offsets)[:80]} malformed"
        )
    begin, end = offsets
    if not begin <= end <= room:
        raise CheckpointError(Reason.UNREADABLE, f"{name}: bytes {begin} to {end} lie outside the {room} bytes of data")
    dtype = DTYPES.get(str(entry["dtype"]))
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"safetensors type {str(entry['dtype'])[:40]} is not read", True)
    # The library refuses sizes that differ too: bytes without an owner could hide anything.
    needed = math.prod(shape) * types.itemsize(dtype)
    if needed != end - begin:
        detail = f"{name}: shape {tuple(shape)} of {dtype} needs {needed} bytes, the header gives {end - begin}"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return TensorRef(name, path, dtype, tuple(shape), None, base + begin, needed)


def _counts(value: object) -> bool:
    """Whether a JSON value is a list of non-negative integers (and few enough of them to be a shape)."""
    return isinstance(value, list) and len(value) <= 64 and all(type(v) is int and v >= 0 for v in value)


def _check_disjoint(refs: list[TensorRef]) -> None:
    """Two tensors never share bytes in this format: an overlap means a forged or damaged header."""
    filled = sorted((ref for ref in refs if ref.nbytes), key=lambda ref: ref.offset)
    for before, after in pairwise(filled):
        if before.offset + before.nbytes > after.offset:
            raise CheckpointError(Reason.UNREADABLE, f"{before.name} and {after.name} overlap in the file")
