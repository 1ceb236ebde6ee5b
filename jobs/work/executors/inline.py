"""Runs every task in this process, one after another: for debugging, and for jobs too small for a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zoospectra.jobs.work.executors.call import call, threads_now
from zoospectra.jobs.work.executors.node import capacity, describe
from zoospectra.jobs.work.executors.task import Outcome, Task, Wanted


class InlineExecutor:
    """One slot, this process: a native crash or a kill for memory ends it, and the rerun resumes from the parts.

    Not covered: deadlines. A task that hangs here hangs the job until it is interrupted.
    """

    slots = 1

    def __init__(self) -> None:
        self.capacity = capacity([describe(Wanted())])
        self._queue: deque[Task] = deque()
        self._restore: Callable[[], None] | None = None

    def submit(self, task: Task) -> None:
        """Queue one task."""
        self._queue.append(task)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Run the next task."""
        if not self._queue:
            return []
        self._restore = self._restore or threads_now()
        return [call(self._queue.popleft())]

    def close(self, *, cancel: bool = False) -> None:
        """Forget what is queued, and give the process its threads back."""
        self._queue.clear()
        if self._restore is not None:
            self._restore()
