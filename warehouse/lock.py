"""Who works on a warehouse: the one builder, and the readers of a database file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Wait until no other builder, thread or process, works on DIR; the lock dies with its process."""
    handle = os.open(directory / "build.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_held(database: Path) -> bool:
    """Whether any process has a DuckDB file open: it holds a lock on it, a shared one where it only reads.

    This process's own locks are looked up, not tried: closing the file once more would take them away.
    """
    with contextlib.suppress(OSError):
        fds = Path("/proc/self/fd")
        if any(os.path.realpath(fd) == str(database) for fd in fds.iterdir()):
            return True
    try:
        with database.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
