"""Runs every task in this process, one after another: for debugging, and for jobs too small for a cluster."""

from __future__ import annotations

from collections import deque

from zoospectra.jobs.work.executors.call import call
from zoospectra.jobs.work.executors.task import Outcome, Task


class InlineExecutor:
    """One slot, this process. A native crash in a task ends the process: the rerun resumes from the parts."""

    slots = 1

    def __init__(self) -> None:
        self._queue: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Queue one task."""
        self._queue.append(task)

    def wait(self) -> list[Outcome]:
        """Run the next task."""
        return [call(self._queue.popleft())] if self._queue else []

    def close(self, *, cancel: bool = False) -> None:
        """Forget what is queued."""
        self._queue.clear()
