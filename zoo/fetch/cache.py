"""The cache of one node: a bounded folder of files, named by hashes, the least recently used leave first.

A file that a process was given is held by a shared lock on it, and files so locked are never evicted; a process holds
the last HELD files that it was given. Not covered: bounds that are smaller than what is in use, then the bound gives.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError

HELD = 16
"""Files that one process keeps from eviction; a reader maps its file right after it was given."""
KINDS = ("files", "ranges", "headers", "info")
"""Sub-folders of what may be evicted."""
STRIPES = 256
"""Lock files for all names together, so that locks do not pile up."""
WALK_BYTES = 256 << 20
"""New bytes after which the folder is measured again, at most; less in small caches."""
NEWEST = 2
"""Of these, those that it keeps where the disk is full: given, and perhaps not mapped yet."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk, or of a user's share of it, that is full."""
PART = ".part"
"""Ends the name of an unfinished file."""
PART_SECONDS = 3600.0
"""Seconds after which an unfinished file that nobody holds counts as abandoned."""

T = TypeVar("T")


class Cache:
    """The cache below one folder, shared by all processes of the node."""

    def __init__(self, folder: Path, bound: int) -> None:
        self._root = folder.absolute()
        self._bound = bound
        self._held: OrderedDict[Path, int] = OrderedDict()
        self._placed: int | None = None
        for kind in (*KINDS, "locks"):
            (self._root / kind).mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """Its folder, absolute; made anew where somebody has removed it."""
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root

    @property
    def bound(self) -> int:
        """Bytes that it may take."""
        return self._bound

    def path(self, kind: str, key: str, suffix: str = "") -> Path:
        """Where a file lies or will lie; `key` is a hash, `suffix` one of zoo.fetch.locator's."""
        assert kind in KINDS, kind
        assert key.isalnum(), key
        return self._root / kind / key[:2] / (key + suffix)

    def lock(self, key: str) -> FileLock:
        """Lock of a key between processes; a few keys share one, so never take two at once."""
        return FileLock(self._root / "locks" / f"{int(key[:8], 16) % STRIPES:02x}.lock")

    def get(self, path: Path) -> Path | None:
        """A finished file, held from now on and counted as used now; None when it is not there."""
        if path in self._held and path.exists():
            self._held.move_to_end(path)
            os.utime(path)
            return path
        while True:
            try:
                handle = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            fcntl.flock(handle, fcntl.LOCK_SH)
            # It may have been evicted between the opening and the lock: then the name is gone, or another file's.
            if os.fstat(handle).st_nlink and path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                break
            os.close(handle)
        os.utime(path)
        self._hold(path, handle)
        return path

    def put(self, path: Path, write: Callable[[Path], None]) -> Path:
        """Make a file: `write` fills a temporary one, which is then moved into place and held."""
        temporary = path.with_name(f"{path.name}.{os.getpid()}{PART}")
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.with_room(lambda: write(temporary))
                return self.place(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)

    def with_room(self, write: Callable[[], T]) -> T:
        """What `write` returns; where its disk is full, once more after the least recently used half has left."""
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.release(NEWEST)
            taken = self.evict()
            if self.evict(taken // 2) == taken:
                raise
            return write()

    def place(self, part: Path, path: Path) -> Path:
        """Move a finished part into place, make room for it, and hold it."""
        with disk_errors():
            taken = _taken(part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        held = self.get(path)
        assert held is not None, path
        if self._placed is None or self._placed + taken > min(WALK_BYTES, self._bound // 64):
            self.evict()
            self._placed = 0
        else:
            self._placed += taken
        return held

    def evict(self, bound: int | None = None) -> int:
        """Delete the least recently used files until the bound holds, or a lower one; the bytes that are left."""
        bound = self._bound if bound is None else bound
        with FileLock(self._root / "locks" / "evict.lock"):
            files = sorted(self._files(), key=lambda file: file[1])
            total = sum(taken for _, _, taken in files)
            now = time.time()
            for path, used, taken in files:
                if total <= bound:
                    break
                if path.name.endswith(PART) and now - used < PART_SECONDS:
                    continue
                if _delete_unused(path):
                    total -= taken
            return total

    def release(self, newest: int = 0) -> None:
        """Hold nothing any more, or only the files that were given last."""
        while len(self._held) > newest:
            os.close(self._held.popitem(last=False)[1])

    def _hold(self, path: Path, handle: int) -> None:
        old = self._held.pop(path, None)
        if old is not None:
            os.close(old)
        self._held[path] = handle
        self.release(HELD)

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Every file with its time of last use and the bytes that it takes on disk."""
        for kind in KINDS:
            for folder, _, names in os.walk(self._root / kind):
                for name in names:
                    path = Path(folder) / name
                    try:
                        status = path.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield path, status.st_mtime, status.st_blocks * 512


def _taken(path: Path) -> int:
    """Bytes that a file takes on disk; holes of sparse files take none."""
    return path.stat().st_blocks * 512


def _delete_unused(path: Path) -> bool:
    """Delete a file unless some process holds it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(handle)


@contextmanager
def disk_errors(subject: str = "") -> Iterator[None]:
    """A disk that refuses is a FetchError, a reason in a row, not a crash of the worker; `subject` begins its words."""
    try:
        yield
    except OSError as error:
        hint = ": lower fetch.cache_gb or free the disk" if error.errno in FULL else ""
        detail = f"{subject}the cache cannot be written: {error}{hint}"
        raise FetchError(Reason.INACCESSIBLE, detail) from error
