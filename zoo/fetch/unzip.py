"""The one file inside a zip archive, with bounds on what it may become.

Member names are never used as paths. Not covered: archives of several files, passwords.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from zoospectra.zoo.checkpoint.trouble import Reason
from zoospectra.zoo.fetch.errors import FetchError

MAX_RATIO = 100
"""Inflated bytes for each stored byte; weights hardly shrink, deflate's own limit is 1032."""
BLOCK = 1 << 20


def only_file(archive: Path, target: Path, bound: int) -> None:
    """Inflate the only file of `archive` into `target`; FetchError 'unsafe' for a bomb, 'unreadable' for a wreck."""
    try:
        with zipfile.ZipFile(archive) as opened:
            member = _member(opened, archive.stat().st_size, bound)
            with opened.open(member) as source, target.open("wb") as sink:
                left = member.file_size
                while block := source.read(min(BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise FetchError(Reason.UNSAFE, "the archive inflates to more than it says")
                    sink.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, FetchError):
            raise
        raise FetchError(Reason.UNREADABLE, f"the archive cannot be inflated: {error}") from error


def _member(opened: zipfile.ZipFile, size: int, bound: int) -> zipfile.ZipInfo:
    """The only file, after its sizes were judged."""
    members = [info for info in opened.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise FetchError(Reason.UNREADABLE, f"the archive holds {len(members)} files, expected one")
    if members[0].file_size > min(bound, MAX_RATIO * size):
        detail = f"the archive of {size} bytes says it inflates to {members[0].file_size}, more than is believed"
        raise FetchError(Reason.UNSAFE, detail)
    return members[0]
