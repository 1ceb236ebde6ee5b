"""Exit statuses of the command: the only place that knows their numbers, and the rule that picks one."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """Exit status of the process; `runs.exit_status` keeps the same numbers."""

    DONE = 0
    """Everything that was asked for is done."""
    BROKE = 1
    """The job itself broke: a bug, a full disk, a lost cluster. Python's own status of an exception."""
    MISUSE = 2
    """Wrong usage, found before any work: one line says what, what was expected, and what to do."""
    SOME_FAILED = 3
    """The job finished, but models or layers failed; they are listed with reasons."""
    INTERRUPTED = 130
    """Ctrl-C: what was finished is kept."""


@dataclass(slots=True)
class Process:
    """The process that a verb runs in."""

    own: bool = False
    """Whether it is the command's, which may be ended; a program that calls the library may not."""


PROCESS = Process()


def end_process(words: str, status: Exit) -> NoReturn:
    """End the command's own process at once, from any thread, with a line: nothing else interrupts some calls."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
    os._exit(status)


class JobError(RuntimeError):
    """The job cannot go on, through no fault of its words: one line that says what to free, start or set."""


def broken_disk(error: OSError) -> str | None:
    """One line about a disk that refuses: what, and what to free or set; None for another kind of error."""
    place = error.filename or "the warehouse's disk"
    kept = "what was finished is kept, the same command goes on from there"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}: {error.strerror}; free some, or give warehouse.dir=DIR on another disk: {kept}"
    if error.errno == errno.EROFS:
        return f"{place}: {error.strerror}; make it writable, or give another warehouse.dir=DIR: {kept}"
    if error.errno in (errno.EACCES, errno.EPERM):
        words = "give this user access to it, or another warehouse.dir=DIR where it is the warehouse"
        return f"{place}: {error.strerror}; {words}: {kept}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"{place}: {error.strerror}; a folder is expected where a file is, or a file where a folder is: {kept}"
    if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
        return f"{place}: {error.strerror}; give another warehouse.dir=DIR: {kept}"
    if error.errno in (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOENT, errno.EMFILE, errno.ENFILE):
        return f"{place}: {error.strerror}; see whether its disk is there and whole: {kept}"
    return None


def exit_status(failures: int) -> Exit:
    """Status of a job that came to its end with so many failed models and layers."""
    return Exit.SOME_FAILED if failures else Exit.DONE
