"""sha256 of files and the names of their nets, remembered: a zoo that did not change is not read again.

A file is taken as unchanged while its size, modification time (ns) and inode are, under whatever name; one whose bytes
were changed in place and whose times were set back is met only by a cache that doubts what it knows. A file system's
clock has ticks: a file that changed in the present one is looked at in the next, since it may change in this one again.

A model of more than LARGE bytes is pinned without reading them: its revision is STATE and the sha256 of a line for each
of its files, in order, of name, size, modification time (ns) and the sha256 of the first HEAD bytes, where formats have
their headers. It changes whenever the bytes may have changed, and by a copy that does not keep times. Where all its
bytes are known or asked for (a cache that doubts), it has the revision that smaller ones have.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from zoospectra.zoo.checkpoint.plain import plain_file
from zoospectra.zoo.sources.watch import WATCH

BLOCK = 1 << 20
"""Bytes of a file that are read at a time."""


def file_sha256(path: str | Path) -> str:
    """sha256 (hex) of a file's bytes; OSError when it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            WATCH.at(str(path))
    return digest.hexdigest()


LARGE = 4 << 30
"""Bytes of a model's files above which it is not read in one go: not for its revision, and not by one task."""

HEAD = 1 << 16
"""Bytes of each of its files that its revision is made from."""

STATE = "files-"
"""Begins such a revision."""


def state_revision(files: Iterable[tuple[str, str | Path]]) -> str:
    """Revision of a large model with these files, (name, path); OSError when one cannot be read."""
    lines = []
    for name, path in files:
        settled(path)
        with open(path, "rb") as file:
            status, head = os.fstat(file.fileno()), hashlib.sha256(file.read(HEAD)).hexdigest()
        lines.append(f"{name}:{status.st_size}:{status.st_mtime_ns}:{head}\n")
    return STATE + hashlib.sha256("".join(sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


TICK, COARSE = 0.02, 2.0
"""Seconds within which a file system may give two changes one time; one that keeps whole ones, as FAT every other."""

LOOKS = 3
"""Times that a file is looked at which changes while it is waited for."""

MOST = 1 << 63
"""Bound of what is kept of a time: years before 1970 and after 2262 have times too."""


def settled(path: str | Path) -> os.stat_result:
    """Status of a plain file, links followed, after the tick of its last change; OSError as plain_file.

    A time that is ahead of this machine's clock is taken as it is: a change would set it back.
    """
    for _ in range(LOOKS):
        status = plain_file(path)
        age = time.time() - status.st_mtime_ns / 1e9
        tick = TICK if status.st_mtime_ns % 1_000_000_000 else COARSE
        if not 0 <= age < tick:
            break
        time.sleep(tick - age)
    return status


RULES = 2
"""Version of the rules that tell the nets of a file; names that others found are forgotten."""

Nets = tuple[str, ...] | None
"""Names of a file's nets; None when it is one model."""


class FileState(NamedTuple):
    """What a file had when it was read: while it has the same, it is not read again."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Time of its last change, ns."""
    inode: int
    """Its number in the file system."""


PACKED = struct.Struct("<qqQI?B?")
"""Numbers of a Fingerprint: of its FileState, its rules, what follows: a checksum of so many bytes less one, nets."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is known about a file."""

    seen: FileState
    """Whether it still holds."""
    sha256: str | None = None
    """Checksum, hex; None for a large file that nobody has read."""
    nets: Nets = None
    """Its nets."""
    rules: int = 0
    """Version of the rules that told them; 0 when nobody asked."""
    looked: bool = False
    """Whether the file was looked at in this crawl: each is once, for a crawl asks five times."""

    def packed(self) -> bytes:
        """The same in 100 bytes, where the record and what it holds take 400; struct.error for numbers of no file."""
        digest = b"" if self.sha256 is None else bytes.fromhex(self.sha256)
        length = 0 if self.sha256 is None else 1 + len(digest)
        head = PACKED.pack(*self.seen, self.rules, self.looked, length, self.nets is not None)
        return head + digest + (b"" if self.nets is None else json.dumps(self.nets).encode())


def unpacked(packed: bytes) -> Fingerprint:
    """What is known about a file."""
    *seen, rules, looked, length, has_nets = PACKED.unpack_from(packed)
    end = PACKED.size + max(0, length - 1)
    nets = tuple(json.loads(packed[end:])) if has_nets else None
    return Fingerprint(FileState(*seen), packed[PACKED.size : end].hex() if length else None, nets, rules, looked)


def _no_entries() -> dict[str, bytes]:
    return {}


@dataclass(slots=True)
class FingerprintCache:
    """Known checksums; `save` writes them when there are new ones. Losing the file costs time, nothing else."""

    path: Path | None = None
    """JSON-lines file of the cache; None keeps it in memory only."""
    hash_file: Callable[[str], str] = file_sha256
    """How a file that is not known is read."""
    entries: dict[str, bytes] = field(default_factory=_no_entries)
    """Packed fingerprints by absolute path."""
    doubt: bool = False
    """Whether every file that is asked for is read once, however unchanged it looks."""
    states: dict[FileState, str | None] | None = None
    """Checksums that were known at the start by what the files were then; None until a file is new."""
    changed: bool = False
    """Whether there is anything that the file does not have."""
    last: tuple[str, Fingerprint] | None = None
    """The file that was asked for last, and most often is again."""

    @classmethod
    def load(
        cls, folder: str | Path | None, hash_file: Callable[[str], str] = file_sha256, *, doubt: bool = False
    ) -> FingerprintCache:
        """Cache kept in `folder`/fingerprints.jsonl; lines that cannot be understood are forgotten.

        doubt: every file that is asked for is read once, whatever the cache says.
        """
        if folder is None:
            return cls(None, hash_file)
        path = Path(folder) / "fingerprints.jsonl"
        cache = cls(path, hash_file, doubt=doubt)
        try:
            with path.open(encoding="utf-8") as lines:
                cache.entries.update(entry for line in lines if (entry := _entry(line)) is not None)
        except (OSError, UnicodeDecodeError):
            cache.entries.clear()
        return cache

    def sha256(self, path: str) -> str:
        """sha256 (hex) of a file, read only when it is new or changed; OSError when it cannot be read."""
        where = _absolute(path)
        known = self._fingerprint(where)
        if known.sha256 is not None:
            return known.sha256
        digest = self.hash_file(where)
        self._keep(where, replace(known, sha256=digest))
        self.changed = True
        return digest

    def knows(self, path: str) -> bool:
        """Whether a file's bytes are known as they are now, or are to be read in any case; OSError without one."""
        return self.doubt or self._fingerprint(_absolute(path)).sha256 is not None

    def size(self, path: str) -> int:
        """Bytes of a file; OSError when it is none."""
        return self._fingerprint(_absolute(path)).seen.size

    def nets(self, path: str, read: Callable[[str], Nets]) -> Nets:
        """Names of a file's nets, which `read` takes from its header when it is new or changed; None for one model."""
        where = _absolute(path)
        try:
            if self._fingerprint(where).seen.size <= LARGE:
                self.sha256(where)
            else:
                Path(where).open("rb").close()
        except OSError:
            return None
        known = self._fingerprint(where)
        if known.rules != RULES:
            known = self._keep(where, replace(known, nets=read(where), rules=RULES))
            self.changed = True
        return known.nets

    def _fingerprint(self, where: str) -> Fingerprint:
        if self.last is not None and self.last[0] == where:
            return self.last[1]
        packed = self.entries.get(where)
        known = None if packed is None else unpacked(packed)
        if known is not None and known.looked:
            self.last = where, known
            return known
        WATCH.at(where)
        status = settled(where)
        seen = FileState(status.st_size, status.st_mtime_ns % MOST, status.st_ino)
        if known is None or known.seen != seen or self.doubt:
            moved = None if self.doubt or known is not None else self._moved(seen)
            known = Fingerprint(seen, moved)
            self.changed = True
        return self._keep(where, replace(known, looked=True))

    def _keep(self, where: str, known: Fingerprint) -> Fingerprint:
        self.entries[where] = known.packed()
        self.last = where, known
        return known

    def _moved(self, seen: FileState) -> str | None:
        """Checksum of a file that is under a new name, or under several."""
        if self.states is None:
            self.states = {known.seen: known.sha256 for known in map(unpacked, self.entries.values())}
        return self.states.get(seen)

    def save(self) -> None:
        """Write the cache beside its place and move it there, so that a reader never sees half of it."""
        if self.path is None or not self.changed:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self.path.parent, prefix=".fingerprints-", delete=False
        ) as file:
            for where in sorted(self.entries):
                entry = unpacked(self.entries[where])
                file.write(json.dumps([where, *entry.seen, entry.sha256, entry.rules, entry.nets]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, self.path)
        self.changed = False


def _absolute(path: str) -> str:
    return path if os.path.isabs(path) else str(Path(path).absolute())


def _entry(line: str) -> tuple[str, bytes] | None:
    """One line of the cache; None for anything else."""
    try:
        path, *seen, sha256, rules, nets = json.loads(line)
    except (ValueError, TypeError):
        return None
    plain = [type(item) for item in (path, *seen, sha256 or "", rules)] == [str, int, int, int, str, int]
    if not plain or not (nets is None or (isinstance(nets, list) and all(isinstance(net, str) for net in nets))):
        return None
    try:
        return path, Fingerprint(FileState(*seen), sha256, nets if nets is None else tuple(nets), rules).packed()
    except (struct.error, ValueError):  # numbers or checksums of no file
        return None
