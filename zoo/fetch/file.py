"""A remote file as a seekable one, for readers that jump: the table of an archive, then the members that are wanted.

    with zipfile.ZipFile(RemoteFile(url)) as archive: ...

Read-only; a window of bytes is read ahead. Not covered: servers without ranges, which raise RangeIgnoredError.
"""

from __future__ import annotations

import io
import os

from zoospectra.zoo.fetch.ranges import read_range, stream_range
from zoospectra.zoo.fetch.session import Session, session

WINDOW = 1 << 16
"""Bytes read ahead at the least."""


class RemoteFile(io.RawIOBase):
    """A remote file, opened; FetchError when it cannot be had. Equivalent to fsspec's HTTPFile, but strict."""

    def __init__(self, url: str, within: Session | None = None, window: int = WINDOW) -> None:
        super().__init__()
        self._url = url
        self._here = within or session()
        self._window = window
        self._at = 0
        first = bytearray()
        self._size = stream_range(url, 0, window, first.extend, within=self._here, clip=True)
        self._start, self._kept = 0, bytes(first)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self._size

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; nothing is read yet."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            msg = f"seek to byte {base + offset} of {self._url}: expected 0 or more"
            raise ValueError(msg)
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, all that are left by default; empty at the end."""
        left = max(0, self._size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        if not count:
            return b""
        inside = self._at - self._start
        if not (inside >= 0 and inside + count <= len(self._kept)):
            stop = min(self._size, self._at + max(count, self._window))
            self._kept = read_range(self._url, self._at, stop, within=self._here)
            self._start, inside = self._at, 0
        self._at += count
        return self._kept[inside : inside + count]

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the file goes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
