"""LevelDB's table format, which TensorFlow's checkpoint indices are in: sorted keys and values in blocks.

Format: https://github.com/google/leveldb/blob/main/doc/table_format.md. TensorFlow writes its indices uncompressed.
Not covered: compressed blocks (refused), filters and checksums (not looked at).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zoospectra.zoo.checkpoint.formats.protobuf import varint
from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

FOOTER = 48
"""Bytes of the footer: two handles of blocks, padding, a magic number."""

MAX_ENTRIES = 1_000_000
"""Most entries of a table."""

MAX_KEY = 1 << 16
"""Longest key in bytes; every entry repeats as much of the one before as it says."""


class Entry(NamedTuple):
    """A key and where its value lies."""

    key: bytes
    """Key."""
    start: int
    """First byte of the value."""
    stop: int
    """Byte behind it."""


def entries(data: AnyArray) -> Iterator[Entry]:
    """Entries of a table of bytes `data`, by key; CheckpointError: damaged, or too many."""
    if len(data) < FOOTER:
        raise CheckpointError(Reason.UNREADABLE, f"a table of {len(data)} bytes: cut short")
    start = len(data) - FOOTER
    _, _, at = _handle(data, start, len(data))
    offset, size, _ = _handle(data, at, len(data))
    count = 0
    for _, first, stop in _block(data, offset, size):
        inner_offset, inner_size, _ = _handle(data, first, stop)
        for entry in _block(data, inner_offset, inner_size):
            count += 1
            if count > MAX_ENTRIES:
                raise CheckpointError(Reason.UNSAFE, f"a table of more than {MAX_ENTRIES} entries")
            yield entry


def _handle(data: AnyArray, at: int, stop: int) -> tuple[int, int, int]:
    """Offset and size of a block, and the position behind its handle."""
    offset, at = varint(data, at, stop)
    size, at = varint(data, at, stop)
    return offset, size, at


def _block(data: AnyArray, offset: int, size: int) -> Iterator[Entry]:
    """Entries of one block: shared and own length of the key, length of the value, own part of the key, value."""
    stop = offset + size
    if size < 4 or stop + 5 > len(data):
        raise CheckpointError(Reason.UNREADABLE, f"a block of bytes {offset} to {stop} in a table of {len(data)}")
    if data[stop]:
        raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"a block with compression {int(data[stop])} is not read")
    restarts = int.from_bytes(bytes(data[stop - 4 : stop]), "little")
    end = stop - 4 - 4 * restarts
    if end < offset:
        raise CheckpointError(Reason.UNREADABLE, f"a block of {size} bytes with {restarts} restarts: damaged")
    key, at = b"", offset
    while at < end:
        shared, at = varint(data, at, end)
        own, at = varint(data, at, end)
        length, at = varint(data, at, end)
        if shared > len(key) or shared + own > MAX_KEY or own + length > end - at:
            raise CheckpointError(Reason.UNREADABLE, f"a table's entry at byte {at} is longer than its block: damaged")
        key = key[:shared] + bytes(data[at : at + own])
        yield Entry(key, at + own, at + own + length)
        at += own + length
