"""The loop that keeps an executor busy: a bounded window, the longest first, crashes retried with a cap.

A raise inside a task is deterministic and is reported at once. A crash (worker killed, out of memory, node lost) may be
a neighbour's fault: the task is retried alone; one that crashes again is handed back to its owner, who may split it.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterable

from zoospectra.jobs.work.executors.task import Executor, Outcome, Task

WINDOW = 3
"""Submitted tasks per slot: enough to hide the submission, few enough to keep 'the longest first' true."""

Handle = Callable[[Outcome], Iterable[Task]]


def check_attempts(attempts: int) -> None:
    """Refuse fewer tries of a task than one, as a ValueError."""
    if attempts < 1:
        msg = f"attempts={attempts}: expected at least 1"
        raise ValueError(msg)


def run(tasks: Iterable[Task], executor: Executor, handle: Handle, *, attempts: int = 2) -> None:
    """Run tasks, and those that `handle` returns for an outcome, until none is left.

    handle sees every final outcome, in completion order, in the caller's thread: value, error, or a crash that happened
    `attempts` times. KeyboardInterrupt passes through after the executor's tasks are cancelled by its owner.
    """
    order = itertools.count()
    waiting: list[tuple[float, int, Task]] = []

    def add(new: Iterable[Task]) -> None:
        for task in new:
            heapq.heappush(waiting, (-task.seconds, next(order), task))

    add(tasks)
    running = 0
    while waiting or running:
        while waiting and running < WINDOW * executor.slots:
            executor.submit(heapq.heappop(waiting)[2])
            running += 1
        for outcome in executor.wait():
            running -= 1
            task = outcome.task
            if outcome.crash and task.attempt < attempts:
                add([dataclasses.replace(task, attempt=task.attempt + 1, alone=True)])
            else:
                add(handle(outcome))
