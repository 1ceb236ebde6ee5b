"""What a TensorProto of an ONNX file says: its shape, its type, and where its elements are. No bytes of them are read.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from zoospectra.zoo.checkpoint.formats.protobuf import BYTES, VARINT, Field, fields, text, varints
from zoospectra.zoo.checkpoint.tensor import AnyArray

MAX_NUMBERS = 64
"""Most numbers of a shape, or of axes."""


@dataclass(slots=True)
class Proto:
    """What a TensorProto says."""

    dims: list[int] = dataclasses.field(default_factory=list)
    kind: int = 0
    place: int = 0
    name: str = ""
    raw: Field | None = None
    typed: dict[int, list[Field]] = dataclasses.field(default_factory=dict)
    entries: dict[str, str] = dataclasses.field(default_factory=dict)


def proto_of(data: AnyArray, tensor: Field) -> Proto:
    """The fields of a TensorProto."""
    proto = Proto()
    for item in fields(data, tensor.start, tensor.stop):
        match item.number:
            case 1:
                proto.dims += [item.value] if item.wire == VARINT else few(varints(data, item.start, item.stop))
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


def few(values: Iterator[int]) -> list[int]:
    """At most 65 of the values: a shape has no more."""
    return [value for value, _ in zip(values, range(65), strict=False)]


def _entry(data: AnyArray, field: Field) -> tuple[str, str]:
    """Key and value of external data."""
    strings = {
        inner.number: text(data, inner) for inner in fields(data, field.start, field.stop) if inner.wire == BYTES
    }
    return strings.get(1, ""), strings.get(2, "")


def integers_of(data: AnyArray, tensor: Field) -> tuple[int, ...] | None:
    """The few numbers of an int64 tensor that is in the file itself, as shapes are; None for any other."""
    proto = proto_of(data, tensor)
    if proto.kind != 7 or proto.place or len(proto.dims) > 1 or (proto.dims and proto.dims[0] > MAX_NUMBERS):
        return None
    if proto.raw is not None:
        raw = bytes(data[proto.raw.start : min(proto.raw.stop, proto.raw.start + 8 * MAX_NUMBERS)])
        return tuple(number for (number,) in struct.iter_unpack("<q", raw[: len(raw) // 8 * 8]))
    found: list[int] = []
    for item in proto.typed.get(7, []):
        found += [item.value] if item.wire == VARINT else few(varints(data, item.start, item.stop))
    return tuple(value - (1 << 64) if value >> 63 else value for value in found[:MAX_NUMBERS])


def name_of(data: AnyArray, tensor: Field) -> str:
    """Name of a TensorProto."""
    for part in fields(data, tensor.start, tensor.stop):
        if part.number == 8:
            return text(data, part)
    return ""
