"""ONNX: the initialisers of a model's graph, and the constants among its nodes.

The file is mapped and its protobuf fields are walked in place, because offsets are wanted and no copy of a 2 GB model;
the onnx package, which gives arrays, is the tests' oracle. External data are read from plain files of the model's own
folder only. Matrices that a graph multiplies from the right (MatMul, Gemm without transB) are (in, out) and are given
torch's layout by strides. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
Not covered: initialisers of sub-graphs (If, Loop) and functions, sparse ones, and 16-bit floats in int32_data.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoospectra.zoo.checkpoint import dtype as types
from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields, text, varints
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import AnyArray, TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, Skip

DTYPES: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    24: "float8_e8m0fnu",
}
"""TensorProto.DataType -> torch's name."""

TYPED: dict[int, str] = {4: "float32", 10: "float64"}
"""TensorProto's fields float_data and double_data -> type; packed, they are the bytes that raw_data would hold."""

MAX_TENSORS = 1_000_000
"""Most initialisers and nodes of a graph."""

WEIGHTED = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose", "Gather", "LSTM", "GRU", "RNN"})
"""Operators whose constant inputs are weights."""

EXTERNAL = 1
"""TensorProto.DataLocation."""


def open_onnx(path: str) -> Checkpoint:
    """Initialisers in the graph's order, then constants; CheckpointError when the file is damaged or no ONNX model."""
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise CheckpointError(Reason.UNREADABLE, f"{path}: {error}") from error
    # Field 7 of a ModelProto is its graph; of a GraphProto, 5 is an initializer and 1 a node.
    graphs = [item for item in fields(data, 0, len(data)) if item.number == 7 and item.wire == BYTES]
    if len(graphs) != 1:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"{path}: {len(graphs)} graphs, expected 1: no ONNX model")
    initializers: list[TensorRef | Skip] = []
    constants: list[TensorRef | Skip] = []
    right: set[str] = set()
    weights: set[str] = set()
    for count, item in enumerate(fields(data, graphs[0].start, graphs[0].stop)):
        if count > MAX_TENSORS:
            raise CheckpointError(Reason.UNSAFE, f"a graph of more than {MAX_TENSORS} parts")
        if item.number == 5 and item.wire == BYTES:
            initializers.append(_tensor(path, data, item, None))
        elif item.number == 1 and item.wire == BYTES:
            constants += _node(path, data, item, right, weights)
    entries = [
        *initializers,
        *(_constant(entry, weights) for entry in constants if isinstance(entry, Skip) or len(entry.shape) > 1),
    ]
    refs = tuple(
        _outputs_first(entry) if entry.name in right else entry for entry in entries if isinstance(entry, TensorRef)
    )
    return Checkpoint("onnx", refs, tuple(entry for entry in entries if isinstance(entry, Skip)))


def _constant(entry: TensorRef | Skip, weights: set[str]) -> TensorRef | Skip:
    """A constant that is a weight of some operator; a Skip for the others, such as a detector's anchors."""
    if isinstance(entry, Skip) or entry.name in weights:
        return entry
    return Skip(entry.name, Reason.BUFFER, f"a constant of the graph of shape {entry.shape}", False)


def _node(path: str, data: AnyArray, node: Field, right: set[str], weights: set[str]) -> list[TensorRef | Skip]:
    """The tensor of a Constant node; inputs of other nodes that are weights are added to the sets."""
    inputs: list[str] = []
    outputs: list[str] = []
    operator, transposed, values = "", 0, []
    # Fields of a NodeProto: 1 input, 2 output, 4 operator, 5 attribute.
    for item in fields(data, node.start, node.stop):
        if item.number == 1:
            inputs.append(text(data, item))
        elif item.number == 2:
            outputs.append(text(data, item))
        elif item.number == 4:
            operator = text(data, item)
        elif item.number == 5 and item.wire == BYTES:
            name, number, tensor = _attribute(data, item)
            if name == "transB":
                transposed = number
            elif name == "value" and tensor is not None:
                values.append(tensor)
    if len(inputs) > 1 and (operator == "MatMul" or (operator == "Gemm" and not transposed)):
        right.add(inputs[1])
    if operator in WEIGHTED:
        weights.update(inputs)
    if operator != "Constant" or not outputs:
        return []
    return [_tensor(path, data, value, outputs[0]) for value in values]


def _attribute(data: AnyArray, attribute: Field) -> tuple[str, int, Field | None]:
    """Name, integer value and tensor value of a node's attribute."""
    name, number, tensor = "", 0, None
    for item in fields(data, attribute.start, attribute.stop):
        if item.number == 1:
            name = text(data, item)
        elif item.number == 3 and item.wire == VARINT:
            number = item.value
        elif item.number == 5 and item.wire == BYTES:
            tensor = item
    return name, number, tensor


@dataclass(slots=True)
class _Proto:
    """What a TensorProto says."""

    dims: list[int] = dataclasses.field(default_factory=list)
    kind: int = 0
    place: int = 0
    name: str = ""
    raw: Field | None = None
    typed: dict[int, list[Field]] = dataclasses.field(default_factory=dict)
    entries: dict[str, str] = dataclasses.field(default_factory=dict)


def _proto(data: AnyArray, tensor: Field) -> _Proto:
    """The fields of a TensorProto."""
    proto = _Proto()
    for item in fields(data, tensor.start, tensor.stop):
        match item.number:
            case 1:
                proto.dims += [item.value] if item.wire == VARINT else _few(varints(data, item.start, item.stop))
            case 2:
                proto.kind = item.value
            case 4 | 5 | 7 | 10 | 11:
                proto.typed.setdefault(item.number, []).append(item)
            case 8:
                proto.name = text(data, item)
            case 9:
                proto.raw = item
            case 13:
                proto.entries.update([_entry(data, item)])
            case 14:
                proto.place = item.value
    return proto


def _tensor(path: str, data: AnyArray, tensor: Field, name: str | None) -> TensorRef | Skip:
    """Reference of a TensorProto; a Skip when its type or its place is not read."""
    proto = _proto(data, tensor)
    name, dims = name or proto.name, proto.dims
    dtype = DTYPES.get(proto.kind)
    if dtype is None:
        return Skip(name, Reason.UNSUPPORTED_DTYPE, f"ONNX type {proto.kind} is not read", True)
    if len(dims) > 64 or any(size >= 1 << 62 for size in dims):
        raise CheckpointError(Reason.UNREADABLE, f"{name[:80]}: shape {str(dims)[:80]} is none")
    shape = tuple(dims)
    needed = math.prod(shape) * types.itemsize(dtype)
    if proto.place == EXTERNAL:
        return _external(path, name, dtype, shape, needed, proto.entries)
    raw = proto.raw
    if raw is None and needed:
        # Without raw_data the elements are in a typed field, whose packed bytes are what raw_data would hold.
        packed = [item for number, item in proto.typed.items() if TYPED.get(number) == dtype]
        if len(packed) != 1 or len(packed[0]) != 1 or packed[0][0].wire != BYTES:
            detail = f"{dtype} of shape {shape} that is neither in raw_data nor packed in one piece"
            return Skip(name, Reason.UNSUPPORTED_DTYPE, detail, dtype in types.FLOATING)
        raw = packed[0][0]
    length = 0 if raw is None else raw.stop - raw.start
    if length != needed:
        raise CheckpointError(
            Reason.UNREADABLE, f"{name[:80]}: shape {shape} of {dtype} needs {needed} bytes, not {length}"
        )
    return TensorRef(name, path, dtype, shape, None, 0 if raw is None else raw.start, needed)


def _few(values: Iterator[int]) -> list[int]:
    """At most 65 of the values: a shape has no more."""
    return [value for value, _ in zip(values, range(65), strict=False)]


def _entry(data: AnyArray, field: Field) -> tuple[str, str]:
    """Key and value of external data."""
    strings = {
        inner.number: text(data, inner) for inner in fields(data, field.start, field.stop) if inner.wire == BYTES
    }
    return strings.get(1, ""), strings.get(2, "")


def _external(
    path: str, name: str, dtype: str, shape: tuple[int, ...], needed: int, entries: dict[str, str]
) -> TensorRef | Skip:
    """Reference into a file beside the model; a Skip when that is no plain file below the model's folder."""
    location, folder = entries.get("location", ""), Path(path).parent
    parts = [part for part in location.replace("\\", "/").split("/") if part != "."]
    if location.startswith(("/", "\\")) or "\0" in location or not parts or any(part in ("", "..") for part in parts):
        return Skip(name, Reason.UNSAFE, f"external data at {location[:80]!r}: no path inside the model's folder", True)
    file = folder.joinpath(*parts)
    if any(folder.joinpath(*parts[: number + 1]).is_symlink() for number in range(len(parts))):
        return Skip(name, Reason.UNSAFE, f"external data at {location[:80]!r}: a link", True)
    numbers = [entries.get(key, default) for key, default in (("offset", "0"), ("length", str(needed)))]
    if not file.is_file() or not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers):
        return Skip(name, Reason.UNREADABLE, f"external data at {location[:80]!r} are missing", True)
    offset, length = map(int, numbers)
    if length != needed or offset + length > os.stat(file).st_size:
        detail = f"bytes {offset} to {offset + length} of {location[:80]!r}, which has {os.stat(file).st_size}"
        return Skip(name, Reason.UNREADABLE, f"{detail}; shape {shape} of {dtype} needs {needed}", True)
    return TensorRef(name, str(file), dtype, shape, None, offset, needed)


def _outputs_first(ref: TensorRef) -> TensorRef:
    """(in, out) as (out, in); other ranks as they are."""
    if len(ref.shape) != 2:
        return ref
    return replace(ref, shape=ref.shape[::-1], stride=(1, ref.shape[1]))
