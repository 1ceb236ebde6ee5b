"""The wire format of FlatBuffers: tables and vectors by position, without any schema or copy.

Format: https://flatbuffers.dev/internals. Every position is checked against the file, and accesses are counted, since
tables may be shared without end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MAX_ACCESSES = 20_000_000
"""Most numbers read from one file."""


class Vector(NamedTuple):
    """Elements one behind the other."""

    start: int
    """First byte of the first."""
    length: int
    """Number of elements."""


class Buffer:
    """The bytes of a file."""

    def __init__(self, data: AnyArray) -> None:
        self.data, self.accesses = data, 0

    def number(self, code: str, at: int) -> int:
        """One number by its struct code; CheckpointError outside of the file."""
        self.accesses += 1
        size = struct.calcsize(code)
        if at < 0 or at + size > len(self.data):
            raise CheckpointError(Reason.UNREADABLE, f"a FlatBuffer refers to byte {at} of {len(self.data)}")
        if self.accesses > MAX_ACCESSES:
            raise CheckpointError(Reason.UNSAFE, f"a FlatBuffer of more than {MAX_ACCESSES} numbers")
        return int(struct.unpack(f"<{code}", bytes(self.data[at : at + size]))[0])

    def root(self) -> int:
        """Position of the root table."""
        return self.number("I", 0)

    def field(self, table: int, number: int) -> int | None:
        """Position of a field of a table; None when it is not there."""
        vtable = table - self.number("i", table)
        place = 4 + 2 * number
        if place + 2 > self.number("H", vtable):
            return None
        offset = self.number("H", vtable + place)
        return table + offset if offset else None

    def scalar(self, table: int, number: int, code: str, default: int = 0) -> int:
        """A number of a table."""
        at = self.field(table, number)
        return default if at is None else self.number(code, at)

    def table(self, table: int, number: int) -> int | None:
        """Position of a table that a field refers to."""
        at = self.field(table, number)
        return None if at is None else at + self.number("I", at)

    def vector(self, table: int, number: int, size: int) -> Vector:
        """The vector that a field refers to, of `size` bytes an element, or an empty one; CheckpointError: damaged."""
        start = self.table(table, number)
        if start is None:
            return Vector(0, 0)
        count = self.number("I", start)
        if start + 4 + count * size > len(self.data):
            raise CheckpointError(
                Reason.UNREADABLE, f"a FlatBuffer vector of {count} elements at byte {start}: cut short"
            )
        return Vector(start + 4, count)

    def tables(self, table: int, number: int) -> list[int]:
        """Positions of the tables in a vector."""
        vector = self.vector(table, number, 4)
        places = range(vector.start, vector.start + 4 * vector.length, 4)
        return [at + self.number("I", at) for at in places]

    def integers(self, table: int, number: int) -> tuple[int, ...]:
        """A vector of 32-bit integers."""
        vector = self.vector(table, number, 4)
        return tuple(self.number("i", at) for at in range(vector.start, vector.start + 4 * vector.length, 4))

    def text(self, table: int, number: int) -> str:
        """A string."""
        vector = self.vector(table, number, 1)
        return bytes(self.data[vector.start : vector.start + min(vector.length, 1 << 16)]).decode("utf-8", "replace")
