"""A disk that answers no more: nothing inside a process can end a call to it, so the command ends itself in a line.

Not covered: a program that calls the library, which is not ended; workers, whose tasks have deadlines.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoospectra.jobs.exit import KEPT, PROCESS, Exit, end_process
from zoospectra.jobs.show.plain import plain

SILENCE = 300.0
"""Seconds that a disk may take to answer."""

LOOKS = 60
"""Times in these that it is looked whether it has."""


def is_silent(mark: Callable[[], object], over: threading.Event) -> bool:
    """Wait until a mark has been the same for SILENCE; False once it is over.

    What counts is the time in which this process runs: one that was stopped (Ctrl-Z) has heard nothing meanwhile.
    """
    last, looks = mark(), 0
    while not over.wait(SILENCE / LOOKS):
        last, looks = (now := mark()), looks + 1 if now == last else 0
        if looks >= LOOKS:
            return True
    return False


@dataclass(slots=True)
class Folder:
    """A folder that is asked again and again."""

    path: Path
    """Which."""
    answers: int = 0
    """How often it has answered, be it by an error."""

    def ask(self) -> None:
        """Ask until the process ends."""
        while True:
            with suppress(OSError):
                os.statvfs(self.path)
            self.answers += 1
            time.sleep(SILENCE / LOOKS / 2)

    def watch(self) -> None:
        """End the process when it does not answer."""
        if is_silent(lambda: self.answers, threading.Event()):
            advice = "is its mount hanging? Mount it anew"
            end_process(
                f"zoospectra: {plain(str(self.path))} does not answer for {SILENCE:.0f} s; {advice}: {KEPT}", Exit.BROKE
            )


def watch(path: str) -> None:
    """Watch over a folder to the end of the command's own process."""
    if PROCESS.own:
        folder = Folder(Path(path))
        for work in (folder.ask, folder.watch):
            threading.Thread(target=work, daemon=True).start()
