"""sha256 of files, remembered: a zoo that did not change is not read again.

A file is taken as unchanged while its path, size, modification time (ns) and inode are. Not covered: a file whose
bytes were changed in place and whose times were set back on purpose.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


def file_sha256(path: str | Path) -> str:
    """sha256 (hex) of a file's bytes; OSError when it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_entries() -> dict[str, tuple[int, int, int, str]]:
    return {}


@dataclass(slots=True)
class FingerprintCache:
    """Known checksums; `save` writes them when there are new ones. Losing the file costs time, nothing else."""

    path: Path | None = None
    """JSON-lines file of the cache; None keeps it in memory only."""
    hash_file: Callable[[str], str] = file_sha256
    """How a file that is not known is read."""
    entries: dict[str, tuple[int, int, int, str]] = field(default_factory=_no_entries)
    """Absolute path -> (size in bytes, modification time in ns, inode, sha256 hex)."""
    changed: bool = False
    """Whether there is anything that the file does not have."""

    @classmethod
    def load(cls, folder: str | Path | None, hash_file: Callable[[str], str] = file_sha256) -> FingerprintCache:
        """Cache kept in `folder`/fingerprints.jsonl; lines that cannot be understood are forgotten."""
        if folder is None:
            return cls(None, hash_file)
        path = Path(folder) / "fingerprints.jsonl"
        cache = cls(path, hash_file)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return cache
        for line in lines:
            entry = _entry(line)
            if entry is not None:
                cache.entries[entry[0]] = entry[1:]
        return cache

    def sha256(self, path: str) -> str:
        """sha256 (hex) of a file, read only when it is new or changed; OSError when it cannot be read."""
        place = str(Path(path).absolute())
        status = os.stat(place)
        key = (status.st_size, status.st_mtime_ns, status.st_ino)
        known = self.entries.get(place)
        if known is not None and known[:3] == key:
            return known[3]
        digest = self.hash_file(place)
        self.entries[place] = (*key, digest)
        self.changed = True
        return digest

    def save(self) -> None:
        """Write the cache beside its place and move it there, so that a reader never sees half of it."""
        if self.path is None or not self.changed:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self.path.parent, prefix=".fingerprints-", delete=False
        ) as file:
            for place, entry in sorted(self.entries.items()):
                file.write(json.dumps([place, *entry]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, self.path)
        self.changed = False


def _entry(line: str) -> tuple[str, int, int, int, str] | None:
    """One line of the cache; None for anything else."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, list) or [type(item) for item in entry] != [str, int, int, int, str]:
        return None
    return (entry[0], entry[1], entry[2], entry[3], entry[4])
