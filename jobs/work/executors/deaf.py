"""Workers of this machine that hear nothing: a process that was stopped keeps the CPUs of what it was given.

Runs in a worker, whose parent is the raylet of its node. Not covered: processes of another user.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

STOPPED = ("T", "t")
"""States of a process in /proc that was stopped, by a signal or a debugger."""

IDLE = "ray::IDLE"
"""What a Ray worker without a task calls itself."""


def kill(process: int) -> None:
    """Kill a process of this machine; 0 for none."""
    with suppress(ProcessLookupError):
        if process:
            os.kill(process, signal.SIGKILL)


def kill_stopped(own: Collection[int | str]) -> list[int]:
    """Kill the stopped workers of this node that are idle, or have these numbers or titles; returns their numbers.

    What others do on a shared cluster stays: a worker that somebody looks at with a debugger is stopped too.
    """
    children = stopped_children(os.getppid())
    stopped = [process for process, title in children.items() if title == IDLE or process in own or title in own]
    for process in stopped:
        kill(process)
    return stopped


def stopped_children(parent: int) -> dict[int, str]:
    """Stopped processes of a raylet with their titles, by what /proc says; none where there is no /proc."""
    stopped = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # one that has ended meanwhile
            state, above = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in STOPPED and int(above) == parent:
                stopped[int(folder.name)] = (folder / "cmdline").read_bytes().rstrip(b"\0 ").decode("utf-8", "replace")
    return stopped
