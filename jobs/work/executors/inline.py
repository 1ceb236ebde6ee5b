"""Runs every task in this process, one after another: for debugging, and for jobs too small for a cluster."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

from zoospectra.jobs.work.executors.call import call, threads_now
from zoospectra.jobs.work.executors.node import capacity, describe
from zoospectra.jobs.work.executors.task import Outcome, Task, Wanted
from zoospectra.zoo.checkpoint.trouble import Reason

AGAIN = 5.0
"""Seconds after which an alarm that something has swallowed rings again."""


class OverdueError(BaseException):
    """A task is past its deadline; no Exception, so that no reader takes it for trouble of its file."""


class InlineExecutor:
    """One slot, this process: a native crash or a kill for memory ends it, and the rerun resumes from the parts.

    A task past its deadline is broken off by an alarm, a read that never returns too. Not covered: compiled code that
    never returns, which nothing inside its process can end; threads other than the main one and programs with an alarm
    of their own, which have no deadlines.
    """

    slots = 1

    def __init__(self) -> None:
        self.capacity = capacity([describe(Wanted())])
        self._queue: deque[Task] = deque()
        self._restore: Callable[[], None] | None = None

    def lacking(self, paths: Collection[str]) -> frozenset[str]:
        """No node lacks what another has: there is one."""
        return frozenset()

    def submit(self, task: Task) -> None:
        """Queue one task."""
        self._queue.append(task)

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Run the next task."""
        if not self._queue:
            return []
        self._restore = self._restore or threads_now()
        task, began = self._queue.popleft(), time.monotonic()
        try:
            with _alarm(task.deadline):
                return [call(task)]
        except OverdueError:
            seconds = time.monotonic() - began
            crash = f"broken off after {seconds:.0f} s, predicted {task.seconds:.1f} s"
            return [Outcome(task, crash=crash, reason=Reason.TIMED_OUT, seconds=seconds)]

    def close(self, *, cancel: bool = False) -> None:
        """Forget what is queued, and give the process its threads back."""
        self._queue.clear()
        if self._restore is not None:
            self._restore()


@contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    """OverdueError inside the block after so many seconds, where this process may have an alarm."""
    free = threading.current_thread() is threading.main_thread() and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    if seconds is None or not free:
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise OverdueError
