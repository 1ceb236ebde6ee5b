"""The loop that keeps an executor busy: a bounded window, the longest first, what may pass tried again with a cap.

Models are opened, largest first, while less than AHEAD seconds a slot of other work waits: later, and the last one
opened may bring the longest task of all (0.88 of the list-scheduling bound in a simulated night, 0.999 with it);
earlier, and a night cut short has all models begun and none complete, and downloads leave the cache before their turn.

A raise inside a task is deterministic and is reported at once. Tried again are
- a crash (worker killed, out of memory, past its deadline), which may be a neighbour's fault: alone on a node, and
  after a death by memory with twice the memory; one that crashes again goes back to its owner, who may split it;
- a task whose whole node was lost, as it is, up to LOSSES times;
- a failure of access, on another node where there is one, behind everything else: it may pass meanwhile.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Callable, Iterable

from zoospectra.jobs.work.executors.task import PATIENCE, Executor, Outcome, Patience, Task
from zoospectra.zoo.checkpoint.trouble import Reason

WINDOW = 3
"""Submitted tasks per slot: enough to hide the submission, few enough to keep 'the longest first' true."""

AHEAD = 2.0
"""Predicted seconds of work a slot that shall wait before no further model is opened."""

LOSSES = 5
"""Nodes that may be lost under one task before it is suspected: spot nodes are taken away whatever they do."""

TICK = 5.0
"""Seconds between two looks at the clock while nothing ends."""

Handle = Callable[[Outcome], Iterable[Task]]


def check_attempts(attempts: int) -> None:
    """Refuse fewer tries of a task than one, as a ValueError."""
    if attempts < 1:
        msg = f"attempts={attempts}: expected at least 1"
        raise ValueError(msg)


def inaccessible(outcome: Outcome) -> bool:
    """Whether a task could not reach what it reads."""
    return outcome.reason is Reason.INACCESSIBLE


def again(outcome: Outcome, attempts: int, blocked: Callable[[Outcome], bool] = inaccessible) -> Task | None:
    """The task that an outcome asks for in its own place; None when the outcome is final. Pure."""
    task = outcome.task
    if outcome.lost and task.losses < LOSSES:
        return dataclasses.replace(task, losses=task.losses + 1)
    if task.attempt >= attempts:
        return None
    if outcome.crash:
        memory = 2 * task.memory if outcome.reason is Reason.OUT_OF_MEMORY else task.memory
        return dataclasses.replace(task, attempt=task.attempt + 1, alone=True, memory=memory)
    if blocked(outcome):
        return dataclasses.replace(task, attempt=task.attempt + 1, avoid=task.avoid | {outcome.node})
    return None


def run(
    tasks: Iterable[Task],
    executor: Executor,
    handle: Handle,
    *,
    attempts: int = 2,
    patience: Patience = PATIENCE,
    blocked: Callable[[Outcome], bool] = inaccessible,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run tasks, and those that `handle` returns for an outcome, until none is left.

    handle sees every final outcome, in completion order, in the caller's thread: value, error, or a crash that happened
    `attempts` times. `blocked` tells outcomes that another node or time may better; `tick` is called between outcomes,
    at least every TICK seconds where the executor can wait. KeyboardInterrupt passes through after the executor's tasks
    are cancelled by its owner.
    """
    order = itertools.count()
    waiting: list[tuple[float, int, Task]] = []
    unopened: list[tuple[float, int, Task]] = []
    ready = 0.0  # seconds of work in `waiting`

    def add(new: Iterable[Task]) -> None:
        nonlocal ready
        for task in new:
            first = 0.0 if task.avoid else -math.inf if task.soon else -task.seconds
            heapq.heappush(unopened if task.opens else waiting, (first, next(order), task))
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
            task = take()
            executor.submit(dataclasses.replace(task, deadline=patience.deadline(task)))
            running += 1
        for outcome in executor.wait(TICK):
            running -= 1
            retry = again(outcome, attempts, blocked)
            add(handle(outcome) if retry is None else [retry])
        tick()
