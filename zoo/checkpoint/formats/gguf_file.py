"""GGUF: llama.cpp's single file of metadata, tensor infos and aligned data.

The header is parsed here and not by the gguf package, which believes every count that a file states; the package
dequantises (see zoo.checkpoint.dtype). Shapes are written fastest axis first: reversed they are torch's.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Not covered: version 1, big-endian files, split
files ('-00001-of-00003'), which count as one model each.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

MAX_HEADER = 256 << 20
"""Most bytes of metadata and infos; vocabularies of 250,000 words take about 10 MB."""

MAX_COUNT = 1_000_000
"""Most tensors, and most metadata entries."""

SCALARS: dict[int, str] = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""Metadata type -> struct format. 8 is a string, 9 an array."""

STRING, ARRAY = 8, 9

TYPES: dict[int, str] = {
    0: "float32",
    1: "float16",
    2: "q4_0",
    3: "q4_1",
    6: "q5_0",
    7: "q5_1",
    8: "q8_0",
    10: "q2_k",
    11: "q3_k",
    12: "q4_k",
    13: "q5_k",
    14: "q6_k",
    16: "iq2_xxs",
    17: "iq2_xs",
    18: "iq3_xxs",
    19: "iq1_s",
    20: "iq4_nl",
    21: "iq3_s",
    22: "iq2_s",
    23: "iq4_xs",
    24: "int8",
    25: "int16",
    26: "int32",
    27: "int64",
    28: "float64",
    29: "iq1_m",
    30: "bfloat16",
    34: "tq1_0",
    35: "tq2_0",
    39: "mxfp4",
    40: "nvfp4",
}
"""ggml's number of an element type -> its name in zoo.checkpoint.dtype."""

KEPT = ("general.architecture", "adapter.lora.alpha")
KEPT_ENDINGS = (".attention.head_count", ".attention.head_count_kv", ".embedding_length")
"""Metadata that tells how fused tensors split and adapters scale; the rest is passed over."""


class _Cursor:
    """A position in the header; every step is checked against what is there."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        """The next bytes; CheckpointError when the header ends before."""
        if length > len(self.data) - self.at:
            raise CheckpointError(Reason.UNREADABLE, "the GGUF header ends before its counts say: cut short or forged")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, code: str) -> Any:  # noqa: ANN401 - whatever the format code says
        """One scalar."""
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def text(self) -> str:
        """One string."""
        return self.take(self.number("<Q")).decode("utf-8", "backslashreplace")

    def value(self, kind: int, depth: int = 0) -> Any:  # noqa: ANN401 - metadata of any plain type
        """One metadata value; arrays are passed over and give None."""
        if kind in SCALARS:
            return self.number(SCALARS[kind])
        if kind == STRING:
            return self.text()
        if kind != ARRAY or depth > 4:
            raise CheckpointError(Reason.UNREADABLE, f"GGUF metadata of the unknown type {kind}")
        inner, count = self.number("<I"), self.number("<Q")
        if inner in SCALARS:
            self.take(count * struct.calcsize(SCALARS[inner]))
            return None
        if count > len(self.data) // 8:
            raise CheckpointError(Reason.UNREADABLE, f"a GGUF array of {count} values does not fit into its header")
        for _ in range(count):
            self.value(inner, depth + 1)
        return None


def open_gguf(path: str) -> Checkpoint:
    """Tensors of a GGUF file in file order; CheckpointError when the header is damaged or unsafe."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            cursor = _Cursor(file.read(min(size, MAX_HEADER)))
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    cursor.take(4)
    version = cursor.number("<I")
    if version not in (2, 3):
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"GGUF version {version} is not read, expected 2 or 3")
    tensors, pairs = cursor.number("<Q"), cursor.number("<Q")
    if max(tensors, pairs) > MAX_COUNT:
        raise CheckpointError(Reason.UNSAFE, f"{tensors} tensors and {pairs} metadata entries; at most {MAX_COUNT}")
    config: dict[str, Any] = {}
    alignment = 32
    for _ in range(pairs):
        key, value = cursor.text(), cursor.value(cursor.number("<I"))
        if key in KEPT or key.endswith(KEPT_ENDINGS):
            config[key.rpartition(".")[2]] = value
        elif key == "general.alignment":
            alignment = value
    if type(alignment) is not int or not 1 <= alignment <= 1 << 20:
        raise CheckpointError(Reason.UNREADABLE, f"GGUF alignment of {str(alignment)[:40]} bytes")
    infos = [_info(cursor) for _ in range(tensors)]
    # Data begin at the next multiple of the alignment; the offsets of the infos count from there.
    base = -(-cursor.at // alignment) * alignment
    entries = [_reference(path, info, base, size) for info in infos]
    names = [info[0] for info in infos]
    if len(set(names)) != len(names):
        raise CheckpointError(Reason.UNREADABLE, "the header names a tensor twice")
    refs = tuple(entry for entry in entries if isinstance(entry, TensorRef))
    return Checkpoint("gguf", refs, tuple(entry for entry in entries if isinstance(entry, Skip)), config=config)


def _info(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape in torch's order, type number and offset of one tensor."""
    name, dims = cursor.text(), cursor.number("<I")
    if dims > 8:
        raise CheckpointError(Reason.UNREADABLE, f"{name[:80]}: a tensor of {dims} dimensions")
    shape = tuple(cursor.number("<Q") for _ in range(dims))
    return name, shape[::-1], cursor.number("<I"), cursor.number("<Q")


def _reference(path: str, info: tuple[str, tuple[int, ...], int, int], base: int, size: int) -> TensorRef | Skip:
    """Reference of one tensor; a Skip for a type that is not read."""
    name, shape, kind, offset = info
    dtype = TYPES.get(kind)
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"GGUF type {kind} is not read", True)
    try:
        needed = types.nbytes(shape, dtype)
    except ValueError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{name[:80]}: {error}") from error
    if base + offset + needed > size:
        detail = f"{name[:80]}: bytes {base + offset} to {base + offset + needed} lie outside the {size} of the file"
        raise CheckpointError(Reason.UNREADABLE, detail)
    return TensorRef(name, path, dtype, shape, None, base + offset, needed)
