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

WORKER, AGENT = "ray::", "Agent"
"""What the title of a Ray worker begins with, and what ends that of a raylet's own helpers."""


def kill(process: int) -> None:
    """Kill a process of this machine; 0 for none."""
    with suppress(ProcessLookupError):
        if process:
            os.kill(process, signal.SIGKILL)


def kill_stopped(busy: Collection[int]) -> list[int]:
    """Kill the stopped workers of this node but those that are known to be at work; returns their numbers."""
    raylet = os.getppid()
    stopped = [process for process in stopped_children(raylet) if process not in busy]
    for process in stopped:
        kill(process)
    return stopped


def stopped_children(parent: int) -> list[int]:
    """Stopped workers of a raylet, by what /proc says; none where there is no /proc."""
    stopped = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # one that has ended meanwhile
            state, above = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state in STOPPED and int(above) == parent:
                title = (folder / "cmdline").read_bytes().rstrip(b"\0 ").decode("utf-8", "replace")
                if title.startswith(WORKER) and not title.endswith(AGENT):
                    stopped.append(int(folder.name))
    return stopped
