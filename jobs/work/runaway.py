"""The end of a process whose query heeds no limit: functions of lists and texts are interrupted by nothing.

DuckDB looks at its clock and its memory between blocks of rows; a sort of one list of 10^9 numbers, or one distance of
two long texts, is a single step, in which neither is asked. Only a process that does nothing else is ended so: the
command's, never a program that calls the library.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from zoospectra.jobs.exit import Exit, end_process

GRACE = 5.0
"""Seconds beyond its limit that a query has to notice that it was interrupted."""

ROOM = 2.0
"""Times its memory that it may take before its process is ended: its work and its result each have a limit."""

SPARE = 1e9
"""Bytes beside: what the process has of its own, and what the allocator keeps."""

LOOK = 0.05
"""Seconds between two looks at the memory."""


@contextmanager
def ended(memory_gb: float | None, seconds: float | None) -> Iterator[None]:
    """End this process, in one line and as misuse, when what runs inside goes far beyond these limits."""
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(memory_gb, seconds, done), daemon=True)
    watch.start()
    try:
        yield
    finally:
        done.set()
        watch.join()


def _watch(memory_gb: float | None, seconds: float | None, done: threading.Event) -> None:
    began, first = time.monotonic(), _resident()
    most = None if memory_gb is None else first + ROOM * memory_gb * 1e9 + SPARE
    while not done.wait(LOOK):
        if seconds is not None and time.monotonic() > began + seconds + GRACE:
            _end(f"the query ran longer than seconds={seconds:g} in one step: ask for less, or raise seconds")
        if most is not None and _resident() > most:
            _end(f"the query needs more than memory_gb={memory_gb:g} in one step: ask for less, or raise memory_gb")


def _end(words: str) -> NoReturn:
    end_process(f"zoospectra sql: {words}", Exit.MISUSE)


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
