"""Exit statuses of the command: the only place that knows their numbers, and the rule that picks one."""

from __future__ import annotations

import errno
import os
import signal
import sys
from dataclasses import dataclass
from enum import IntEnum
from types import FrameType
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
    ended: signal.Signals | None = None
    """The signal, other than that of Ctrl-C, that has asked it to end."""


PROCESS = Process()


def end_process(words: str, status: Exit) -> NoReturn:
    """End the command's own process at once, from any thread, with a line: nothing else interrupts some calls."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
    os._exit(status)


HEEDED = (signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end: `timeout`, `docker stop`, a machine that is switched off; a terminal that was closed."""


def heed_signals() -> None:
    """One of HEEDED interrupts as Ctrl-C does from now on, in the command's own process; nohup's stays ignored."""
    for number in HEEDED:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def ended(by: signal.Signals) -> tuple[str, int]:
    """What a shell calls a process that a signal has ended: in words, and as a status."""
    return f"ended by {by.name}", 128 + by


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    PROCESS.ended = signal.Signals(number)
    raise KeyboardInterrupt


class JobError(RuntimeError):
    """The job cannot go on, through no fault of its words: one line that says what to free, start or set."""


KEPT = "what was finished is kept, the same command goes on from there"

ADVICE = {
    "free some, or give warehouse.dir=DIR on another disk where it is the warehouse": (errno.ENOSPC, errno.EDQUOT),
    "make it writable, or give another warehouse.dir=DIR where it is the warehouse": (errno.EROFS,),
    "give this user access to it, or another warehouse.dir=DIR where it is the warehouse": (errno.EACCES, errno.EPERM),
    "a folder is expected where a file is, or a file where a folder is": (errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    "raise its limit (ulimit -f), or give warehouse.dir=DIR on a disk that takes larger files": (errno.EFBIG,),
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
    if error.filename is None and not _folder_is_there():
        return f"the current folder is gone: cd to one that exists; {KEPT}"
    advice = next((words for words, numbers in ADVICE.items() if error.errno in numbers), None)
    if advice is None:
        return None
    place = error.filename or "a disk"
    return f"{place}: {os.strerror(error.errno)}; {advice}: {KEPT}"


def _folder_is_there() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


NO_ROOM = ("failed to map segment", "annot allocate memory")
"""What the loader of libraries says when there is no memory for one."""


def no_memory(error: Exception) -> str | None:
    """One line about memory that this process does not get; None for an error of another kind."""
    while not isinstance(error, MemoryError) and not any(words in str(error) for words in NO_ROOM):
        if not isinstance(error.__context__, Exception):
            return None
        error = error.__context__
    what = str(error).partition("\n")[0] or type(error).__name__
    return f"out of memory ({what}); free some, or raise the limit of this process (ulimit -v, a cgroup): {KEPT}"


def exit_status(failures: int) -> Exit:
    """Status of a job that came to its end with so many failed models and layers."""
    return Exit.SOME_FAILED if failures else Exit.DONE
