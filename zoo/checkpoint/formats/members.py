"""Members of zip archives that hold weights: what may be read, how much, and where a stored member's bytes begin."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO

from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

MAX_EXPANSION = 100
"""Most bytes that one byte of archive may inflate to; deflate itself reaches 1032, weights rarely 2."""

SMALL = 64 << 20
"""Archives may inflate to this much whatever their size: it does no harm."""

DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged archive may raise."""


class Slice:
    """A range of bytes of an open file as a file of its own, for archives that lie inside another file."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self.file, self.start, self.length, self.at = file, start, length, 0
        self.seekable = file.seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; positions count from the first byte of the range."""
        self.at = max(0, (0, self.at, self.length)[whence] + offset)
        return self.at

    def tell(self) -> int:
        """Position in the range."""
        return self.at

    def read(self, count: int = -1) -> bytes:
        """The next bytes of the range, at most `count`."""
        left = max(0, self.length - self.at)
        self.file.seek(self.start + self.at)
        data = self.file.read(left if count < 0 else min(count, left))
        self.at += len(data)
        return data


def members_of(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name, of an archive of `size` bytes; CheckpointError when two share a name or it expands too far."""
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()):
        raise CheckpointError(Reason.UNREADABLE, "the archive names a member twice")
    check_expansion(archive.infolist(), size)
    return members


def check_expansion(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise CheckpointError for archives that inflate to far more than their size, and members that nobody may read."""
    inflated = sum(info.file_size for info in members)
    if inflated > max(SMALL, MAX_EXPANSION * size):
        raise CheckpointError(
            Reason.UNSAFE, f"archive of {size} bytes inflates to {inflated}, more than {MAX_EXPANSION} times"
        )
    for info in members:
        if info.flag_bits & 1:
            raise CheckpointError(Reason.UNSUPPORTED_FORMAT, f"member {info.filename[:80]} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CheckpointError(
                Reason.UNSUPPORTED_FORMAT, f"member {info.filename[:80]} is compressed otherwise than deflate"
            )


def data_offset(info: zipfile.ZipInfo, local: bytes, size: int) -> int:
    """First byte of a stored member: its local header has a name and padding of its own lengths.

    CheckpointError 'unreadable' for a damaged header.
    """
    if len(local) < 30 or local[:4] != b"PK\x03\x04" or info.compress_size != info.file_size:
        raise CheckpointError(Reason.UNREADABLE, f"member {info.filename[:80]} has a damaged header")
    name, extra = struct.unpack_from("<HH", local, 26)
    offset = info.header_offset + 30 + name + extra
    if offset + info.file_size > size:
        raise CheckpointError(
            Reason.UNREADABLE, f"member {info.filename[:80]} ends behind the file's {size} bytes: cut short"
        )
    return int(offset)
