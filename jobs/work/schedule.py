"""The loop that keeps an executor busy: a bounded window, the longest first, crashes retried with a cap.

Models are opened, largest first, while less than AHEAD seconds a slot of other work waits: later, and the last one
opened may bring the longest task of all (0.88 of the list-scheduling bound in a simulated night, 0.999 with it);
earlier, and a night cut short has all models begun and none complete, and downloads leave the cache before their turn.

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

AHEAD = 2.0
"""Predicted seconds of work a slot that shall wait before no further model is opened."""

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
    unopened: list[tuple[float, int, Task]] = []
    ready = 0.0  # seconds of work in `waiting`

    def add(new: Iterable[Task]) -> None:
        nonlocal ready
        for task in new:
            heapq.heappush(unopened if task.opens else waiting, (-task.seconds, next(order), task))
            ready += 0.0 if task.opens else task.seconds

    def take() -> Task:
        nonlocal ready
        if unopened and (not waiting or ready < AHEAD * executor.slots):
            return heapq.heappop(unopened)[2]
        task = heapq.heappop(waiting)[2]
        ready -= task.seconds
        return task

    add(tasks)
    running = 0
    while waiting or unopened or running:
        while (waiting or unopened) and running < WINDOW * executor.slots:
            executor.submit(take())
            running += 1
        for outcome in executor.wait():
            running -= 1
            task = outcome.task
            if outcome.crash and task.attempt < attempts:
                add([dataclasses.replace(task, attempt=task.attempt + 1, alone=True)])
            else:
                add(handle(outcome))
