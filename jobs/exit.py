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


KEPT = "what was finished is kept, the same command goes on from there"

ADVICE = {
    "free some, or give warehouse.dir=DIR on another disk where it is the warehouse": (errno.ENOSPC, errno.EDQUOT),
    "make it writable, or give another warehouse.dir=DIR where it is the warehouse": (errno.EROFS,),
    "give this user access to it, or another warehouse.dir=DIR where it is the warehouse": (errno.EACCES, errno.EPERM),
    "a folder is expected where a file is, or a file where a folder is": (errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    "give another warehouse.dir=DIR": (errno.ELOOP, errno.ENAMETOOLONG),
    "see whether its disk is there and whole": (
        *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENOENT, errno.EMFILE, errno.ENFILE),
    ),
}
"""What to do about a disk -> the answers of a disk for which it holds."""


def broken_disk(error: OSError) -> str | None:
    """One line about a disk that refuses: what, and what to free or set; None for another kind of error."""
    if error.errno is None:
        return None
    advice = next((words for words, numbers in ADVICE.items() if error.errno in numbers), None)
    if advice is None:
        return None
    place = error.filename or "a disk"
    return f"{place}: {os.strerror(error.errno)}; {advice}: {KEPT}"


def exit_status(failures: int) -> Exit:
    """Status of a job that came to its end with so many failed models and layers."""
    return Exit.SOME_FAILED if failures else Exit.DONE
