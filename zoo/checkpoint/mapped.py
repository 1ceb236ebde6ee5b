"""Files mapped into memory, their pages asked for first, so that a failing disk is an error and no death.

A page of a mapped file that cannot be read (an I/O error, a stale mount, a file that shrank) raises nothing: the kernel
sends SIGBUS, which ends the whole process, and a rerun at the same place. Linux says so before when it is asked for the
pages (MADV_POPULATE_READ, Linux 5.14); where it cannot be asked, the bytes are read once.
Not covered: pages that go between the question and their use.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import NDArray

from zoospectra.zoo.checkpoint.tensor import AnyArray
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason

POPULATE_READ = 22
"""MADV_POPULATE_READ of Linux, which Python 3.11 does not name."""

PIECE = 1 << 26
"""Bytes asked for at a time: a deadline's alarm comes between two."""

SMALL = 1 << 24
"""Bytes of a file whose pages are asked for once, when it is mapped."""

HEADERS = 1 << 28
"""Bytes of a file without a header of its own that are asked for when it is opened."""


def mappable() -> int:
    """How many files may stay mapped at once: each keeps a descriptor, of which others need some too."""
    most = os.sysconf("SC_OPEN_MAX")
    return most // 4 if most > 0 else 1 << 10


Mapped = np.memmap[tuple[int, ...], np.dtype[np.uint8]]


def mapped_file(path: str, size: int) -> NDArray[np.uint8]:
    """The first `size` bytes of a file, mapped; OSError and ValueError as np.memmap, CheckpointError as `reach`."""
    mapped: Mapped = np.memmap(path, dtype=np.uint8, mode="r", shape=(size,))
    if size <= SMALL:
        reach(mapped)
        mapped.reached = True  # type: ignore[attr-defined]
    return np.asarray(mapped)


def whole(path: str | Path) -> NDArray[np.uint8]:
    """All bytes of a file whose headers lie among its values, mapped; OSError and ValueError as np.memmap."""
    data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    reach(data[:HEADERS])
    return data


def reach(array: AnyArray) -> AnyArray:
    """The array itself, once its pages are in memory if it is mapped; CheckpointError when they cannot be read."""
    mapped = _mapped(array)
    if mapped is None or hasattr(mapped, "reached") or not array.size:
        return array
    (low, high), (begin, _) = byte_bounds(array), byte_bounds(mapped)
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        for start in range((low - begin) // page * page, high - begin, PIECE):
            _populate(mapped, start, min(PIECE, high - begin - start))
    except OSError as error:
        raise CheckpointError(Reason.UNREADABLE, f"{mapped.filename}: {error.strerror}") from error
    return array


def is_mapped(array: AnyArray) -> bool:
    """Whether an array's values lie in a mapped file, and not in memory of their own."""
    return _mapped(array) is not None


def _mapped(array: object) -> Mapped | None:
    """The mapped file that an array looks at; None when it lies in memory of its own."""
    found = None
    while array is not None:
        found = array if isinstance(array, np.memmap) else found
        array = getattr(array, "base", None)
    return found


def _populate(mapped: Mapped, start: int, size: int) -> None:
    """Ask for the pages of a range; OSError says why they cannot be had."""
    while True:
        try:
            mapped.base.madvise(POPULATE_READ, start, size)  # type: ignore[union-attr]  # an mmap
        except InterruptedError:
            continue
        except OSError:
            _read(str(mapped.filename), start, size)
        return


def _read(path: str, start: int, size: int) -> None:
    """Read a range and forget it: a kernel that cannot be asked for pages, or only says EFAULT, tells then."""
    file = os.open(path, os.O_RDONLY)
    try:
        at, end = start, start + size
        while at < end:
            got = len(os.pread(file, min(1 << 22, end - at), at))  # fewer bytes than asked for, then the error
            if not got:
                raise OSError(errno.EIO, f"it ends at {os.fstat(file).st_size} bytes while it is read", path)
            at += got
    finally:
        os.close(file)
