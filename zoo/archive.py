"""ZIP archives that lie far away, read by byte ranges: the directory at the end, then only the members that are wanted.

`read_range(url, start, stop)` returns the bytes [start, stop) of the address; who calls decides how (a polite HTTP
client, a file). Everything it returns is checked for its length, members for their CRC-32 and their size; nothing is
unpacked outside the path that is given. Not covered: archives that need a password.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

ReadRange = Callable[[str, int, int], bytes]

BLOCK = 1 << 16
"""Bytes asked for at once: the end record and its comment of at most 65,557 bytes take two requests."""

BUDGET = 1 << 28
"""Most bytes that one archive may cost; the directory of the largest public one takes about 10 MB."""

COPIED = 1 << 20
"""Bytes copied at a time."""


class RangeFile(io.RawIOBase):
    """A read-only file over byte ranges; `fetched` counts what it cost. ValueError when the budget is spent."""

    def __init__(self, url: str, size: int, read_range: ReadRange, budget: int = BUDGET) -> None:
        super().__init__()
        self.url, self.size, self.budget, self.fetched = url, size, budget, 0
        self._read_range, self._position = read_range, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; a position before the start is an OSError, as in files."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if start + offset < 0:
            msg = f"{self.url}: cannot seek to {start + offset}"
            raise OSError(msg)
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the current position; fewer bytes only at the end."""
        stop = min(self._position + len(buffer), self.size)
        wanted = max(stop - self._position, 0)
        if wanted == 0:
            return 0
        if self.fetched + wanted > self.budget:
            msg = f"{self.url}: reading it costs more than {self.budget} bytes; raise the budget if that is meant"
            raise ValueError(msg)
        content = self._read_range(self.url, self._position, stop)
        if len(content) != wanted:
            msg = f"{self.url}: asked for bytes {self._position} to {stop}, got {len(content)}; is Range ignored?"
            raise ValueError(msg)
        buffer[:wanted] = content
        self._position, self.fetched = stop, self.fetched + wanted
        return wanted


def open_archive(url: str, size: int, read_range: ReadRange, budget: int = BUDGET) -> zipfile.ZipFile:
    """A ZIP archive of `size` bytes at an address; only its directory is read. ValueError when it is none.

    Equivalent to `zipfile.ZipFile` on a local copy, without the copy.
    """
    file = RangeFile(url, size, read_range, budget)
    try:
        return zipfile.ZipFile(io.BufferedReader(file, BLOCK))
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        msg = f"{url} of {size} bytes is no ZIP archive that can be read by ranges: {error}"
        raise ValueError(msg) from error


def fetch_member(archive: zipfile.ZipFile, member: str, target: Path, limit: int) -> Path:
    """Unpack one member into exactly `target`: written beside, checked, moved into place; returns the target.

    ValueError: no such member, more than `limit` bytes whatever its header says, a wrong CRC-32, a cut archive.
    """
    beside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        size = archive.getinfo(member).file_size
        if size > limit:
            msg = f"{member} unpacks to {size} bytes, more than the {limit} that are allowed"
            raise ValueError(msg)
        with archive.open(member) as packed, beside.open("xb") as file:
            copied = 0
            while block := packed.read(COPIED):
                copied += len(block)
                if copied > limit:
                    msg = f"{member} unpacks to more than the {limit} bytes that are allowed"
                    raise ValueError(msg)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except (KeyError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        msg = f"{member} cannot be unpacked: {error}"
        raise ValueError(msg) from error
    finally:
        beside.unlink(missing_ok=True)
    return target
