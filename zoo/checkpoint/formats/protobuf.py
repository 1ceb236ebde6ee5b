"""The wire format of protocol buffers: fields and where their bytes lie, without any schema or copy.

Format: https://protobuf.dev/programming-guides/encoding. Not covered: groups, which were dropped from the language.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message."""

    number: int
    """Field number."""
    wire: int
    """How it is written: VARINT, FIXED64, BYTES or FIXED32."""
    value: int
    """Value of a varint; 0 for the others."""
    start: int
    """First byte of the content."""
    stop: int
    """Byte behind the content."""


def fields(data: AnyArray, start: int, stop: int) -> Iterator[Field]:
    """Fields of the message in data[start:stop], bytes of uint8; CheckpointError when it is not well-formed."""
    at = start
    while at < stop:
        # A field begins with its number and how it is written, in one varint; strings and messages have a length.
        key, at = varint(data, at, stop)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, behind = varint(data, at, stop)
            yield Field(number, wire, value, at, behind)
            at = behind
            continue
        if wire == BYTES:
            length, at = varint(data, at, stop)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise CheckpointError(
                Reason.UNREADABLE, f"protobuf wire type {wire} at byte {at}: damaged, or another format"
            )
        if length > stop - at:
            raise CheckpointError(
                Reason.UNREADABLE, f"a protobuf field of {length} bytes with {stop - at} left: cut short"
            )
        yield Field(number, wire, 0, at, at + length)
        at += length


def varint(data: AnyArray, at: int, stop: int) -> tuple[int, int]:
    """An integer of up to ten bytes, and the position behind it; CheckpointError 'unreadable' for a longer one."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            raise CheckpointError(Reason.UNREADABLE, "a protobuf number ends outside its message: cut short")
        byte = int(data[at])
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise CheckpointError(Reason.UNREADABLE, "a protobuf number of more than ten bytes: damaged, or another format")


def varints(data: AnyArray, start: int, stop: int) -> Iterator[int]:
    """Packed integers."""
    at = start
    while at < stop:
        value, at = varint(data, at, stop)
        yield value


def text(data: AnyArray, field: Field) -> str:
    """A string field."""
    return bytes(data[field.start : field.stop]).decode("utf-8", "backslashreplace")
